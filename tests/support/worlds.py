"""Synthetic results and run folders for tests, written through the same code as real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.ranked import OWN
from harness.results import Marked, Results, Step, TaskResult, write_results
from harness.stats import as_plain, estimate
from harness.types import Metric

YES_NO = (
    Metric(name="accuracy", terms={"right": 1}, over={"asked": 1}),
    Metric(name="unread", terms={"unread": 1}, over={"asked": 1}, better="lower"),
)

CAPTIONS = (
    Metric(name="CHAIRs", terms={"hallucinated_captions": 1}, over={"captions": 1}, better="lower"),
    Metric(name="CHAIRi", terms={"hallucinated_mentions": 1}, over={"mentions": 1}, better="lower"),
    Metric(name="recall", terms={"recalled": 1}, over={"gt_objects": 1}),
    Metric(name="words", terms={"words": 1}, over={"captions": 1}, better="neither", percent=False),
)


def yes_no(marks: Sequence[int], *, task: str = "quiz", first: int = 0, **changed: Any) -> TaskResult:
    """Questions with these marks (1 right, 0 wrong), one picture each, ids from `first` on."""
    rows = tuple(
        Marked(id=f"q{i}", cluster=f"scene-{i}", group=None, answer="yes", value=mark, parsed="yes",
               counts={"right": mark, "asked": 1, "unread": 0})
        for i, mark in enumerate(marks, start=first)
    )  # fmt: skip
    fields = {"version": 1, "profile": "official", "split": "test", "headline": "accuracy", "metrics": YES_NO}
    return TaskResult(task=task, **{**fields, "rows": rows, **changed})


def captions(*texts: str, objects: int = 3) -> TaskResult:
    """Captions such as "cat dog !car": a cat and a dog that are there and a car that is not. Each word is a sentence,
    and the model is the less sure of it the later it comes in its caption."""
    rows = []
    for i, text in enumerate(texts):
        words = text.split()
        steps = [Step(sentence=None, sureness=None, counts=_caption([], objects))]
        for k in range(len(words)):
            steps.append(Step(sentence=k, sureness=-float(k), counts=_caption(words[: k + 1], objects)))
        named = [{"name": word.lstrip("!"), "right": word[0] != "!"} for word in words]
        rows.append(Marked(id=f"p{i}", cluster=f"scene-{i}", group=None, answer=text, value=0.0, parsed=named,
                           counts=_caption(words, objects), ranked={OWN: steps}))  # fmt: skip
    return TaskResult(task="chair", version=1, profile="official", split="test", headline="CHAIRi",
                      metrics=CAPTIONS, rows=tuple(rows), frontier=("CHAIRi", "recall"))  # fmt: skip


def _caption(words: Sequence[str], objects: int) -> dict[str, int]:
    wrong = sum(word[0] == "!" for word in words)
    return {"captions": 1, "hallucinated_captions": int(wrong > 0), "mentions": len(words),
            "hallucinated_mentions": wrong, "words": len(words), "gt_objects": objects,
            "recalled": len({word for word in words if word[0] != "!"})}  # fmt: skip


def write_folder(
    folder: Path,
    *tasks: TaskResult,
    model: str = "toy",
    digest: str = "d1",
    parent: str | None = None,
    entries: Mapping[str, Any] | None = None,
) -> Path:
    """A results folder; `known` is what else its provenance holds."""
    digest, provenance = digest.ljust(64, "0"), {"commit": "c0ffee" * 7, **(entries or {})}
    results = Results(model=model, digest=digest, parent=parent, tasks=tasks, provenance=provenance)
    write_results(folder, results, {task.task: as_plain(estimate(task.rows, task.metrics, draws=50)) for task in tasks})
    return folder


def write_run(
    folder: Path,
    rounds: Sequence[Sequence[TaskResult]],
    *,
    recipe: Mapping[str, Any] | None = None,
    seconds: float = 12.5,
    model: str = "toy",
) -> Path:
    """A run folder as `strop run` leaves it, with one collect and one eval stage a round."""
    content = {"name": "honed", "level": "L3", "seed": 0, "verify": {"kind": "encoder"}, **(recipe or {})}
    lines = []
    for number, tasks in enumerate(rounds):
        write_folder(folder / f"round-{number}" / "eval", *tasks, model=model, digest=f"{number}{content['seed']}abc")
        for stage in ("collect", "eval"):
            cost = {"seconds": seconds, "generated_tokens": 100 * (number + 1), "peak_memory_mb": 900.0}
            lines.append({"stage": f"round-{number}/{stage}", "cost": cost, "finished": "2026-01-02T03:04:05Z"})
    (folder / "recipe.yaml").write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    (folder / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder
