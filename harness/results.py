"""Marked answers on disk: what `strop eval` and `strop score` leave and what boards and comparisons read.

A results folder holds `results.json` (who answered, which tasks, the definition and estimate of every metric) and one
`<task>.jsonl` a task with a row an answer. The metric definitions travel with the rows, so a folder can be compared
years later without the code of its tasks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.disks import refuse_unwritable_folder
from harness.errors import DataError
from harness.files import read_json, read_jsonl, write_json, write_jsonl
from harness.types import Metric, Sample, Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The mark of an answer's surest sentences: `sentence` is the place of the one that this step adds, `sureness` how
    sure of it who ranked them is (both None for the answer of no sentence), `counts` as in `Score`, without zeros."""

    sentence: int | None
    sureness: float | None
    counts: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """One answer with its mark: a row of `<task>.jsonl`. `answer` is the model's own text, unchanged. `ranked` holds
    the answer's `Step`s (`harness.ranked`), by who ranked its sentences; empty where nobody did."""

    id: str
    cluster: str
    group: str | None
    answer: str
    value: float
    parsed: Any
    counts: Mapping[str, float]
    ranked: Mapping[str, Sequence[Step]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """All marked answers of one task, with what is needed to turn them into figures.

    `data` is `harness.provenance.data_digest` of the samples and `sampling` how answers were drawn. Where the answers
    came in a file, `data` is the digest of the truth's files and `sampling` empty. `frontier` is the task's
    (`harness.types.Ranked`), None where the rows are not ranked.
    """

    task: str
    version: int
    profile: str
    split: str
    headline: str
    metrics: tuple[Metric, ...]
    rows: tuple[Marked, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    frontier: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """A results folder in memory. `model` is a name for people, `digest` of what `digest_of` says."""

    model: str
    digest: str
    parent: str | None
    tasks: tuple[TaskResult, ...]
    provenance: Mapping[str, Any]

    @property
    def digest_of(self) -> str:
        """What the digest is of: "weights", or where these are not known "answers" (a file), or a "served name"."""
        if "answers" in self.provenance:
            return "answers"
        return "served name" if "url" in (self.provenance.get("model") or {}) else "weights"

    @property
    def sight(self) -> str:
        """What the model was shown of pictures (`harness.models.frames.Sight`); empty where that is not known."""
        return str((self.provenance.get("model") or {}).get("pictures") or "")

    def task(self, name: str) -> TaskResult:
        for result in self.tasks:
            if result.task == name:
                return result
        raise DataError(f"these results hold no task '{name}'; they hold {', '.join(t.task for t in self.tasks)}")


def mark(sample: Sample, answer: str, score: Score, ranked: Mapping[str, Sequence[Step]] | None = None) -> Marked:
    """A scored answer as a row."""
    group = sample.meta.get("group")
    return Marked(
        id=sample.id,
        cluster=sample.cluster,
        group=group,
        answer=answer,
        value=score.value,
        parsed=score.parsed,
        counts=score.counts,
        ranked=ranked or {},
    )


def write_results(folder: Path, results: Results, estimates: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a results folder. `estimates[task][metric]` is what `harness.stats.estimate` gave, as plain values.

    The rows are written first and `results.json` last, each atomically: a folder with `results.json` is whole.
    """
    refuse_unwritable_folder(folder)
    (folder / "results.json").unlink(missing_ok=True)  # of an earlier call, whose rows go now
    for result in results.tasks:
        write_jsonl(folder / f"{result.task}.jsonl", (dataclasses.asdict(row) for row in result.rows))
    write_json(
        folder / "results.json",
        {
            "format": 1,
            "model": results.model,
            "digest": results.digest,
            "parent": results.parent,
            "tasks": [
                {
                    "task": result.task,
                    "version": result.version,
                    "profile": result.profile,
                    "split": result.split,
                    "headline": result.headline,
                    "n": len(result.rows),
                    "unread": sum(row.parsed is None for row in result.rows),
                    "data": result.data,
                    "sampling": dict(result.sampling),
                    "frontier": result.frontier,
                    "info": dict(result.info),
                    "definitions": [dataclasses.asdict(metric) for metric in result.metrics],
                    "metrics": estimates[result.task],
                }
                for result in results.tasks
            ],
            "provenance": dict(results.provenance),
        },
    )


def read_results(folder: Path) -> Results:
    """Read a results folder; raises `DataError` naming the file where it is not one."""
    path = folder / "results.json"
    if not path.is_file():
        raise DataError(f"{folder} holds no results.json; write one with `strop eval --out` or `strop score --out`")
    try:
        raw = read_json(path)
        return Results(
            model=raw["model"],
            digest=raw["digest"],
            parent=raw["parent"],
            provenance=raw["provenance"],
            tasks=tuple(_task(folder, entry) for entry in raw["tasks"]),
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not a results file of this version ({error!r}); score the answers again") from error


def _task(folder: Path, raw: Mapping[str, Any]) -> TaskResult:
    if Path(raw["task"]).name != raw["task"]:  # files are named after it, here and where it is exported
        raise DataError(f"{folder / 'results.json'}: a task cannot be called '{raw['task']}'; its name is a file's")
    return TaskResult(
        task=raw["task"],
        version=raw["version"],
        profile=raw["profile"],
        split=raw["split"],
        headline=raw["headline"],
        metrics=_metrics(raw["definitions"]),
        rows=tuple(_row(row) for row in read_jsonl(folder / f"{raw['task']}.jsonl")),
        info=raw["info"],
        data=raw.get("data"),
        sampling=raw.get("sampling", {}),
        frontier=tuple(raw["frontier"]) if raw.get("frontier") else None,
    )


def _row(raw: Mapping[str, Any]) -> Marked:
    ranked = {name: tuple(Step(**step) for step in steps) for name, steps in raw.get("ranked", {}).items()}
    return Marked(**{**raw, "ranked": ranked})


def _metrics(raw: Sequence[Mapping[str, Any]]) -> tuple[Metric, ...]:
    return tuple(Metric(**{**entry, "macro": tuple(entry["macro"])}) for entry in raw)
