"""Warnings about a finished run: rounds that changed no weight, models whose answers became blank or unread, monitors
that fired; and which checkpoint is the best by what they watch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.results import Marked, TaskResult, read_results
from harness.runs.names import EVAL, OPTIMISE
from harness.runs.reading import read_ledger, read_recipe
from harness.runs.watches import best_sentence, read_watched, stop_sentence

SILENT_SHARE = 0.2
"""A larger rise of the share of blank or unread answers is a warning."""


def notes_of_run(out: Path) -> list[str]:
    """The lines about a run in a folder, in the order of its rounds."""
    lines = read_ledger(out)
    return [
        *_overlapping(out), *_unmoved(lines), *_silenced(out, [line["stage"] for line in lines]), *_mixed(lines),
        *_watched(out),
    ]  # fmt: skip


def _watched(out: Path) -> Iterator[str]:
    """What fired in each round, which checkpoint is the best, and what ended the run."""
    rounds = read_watched(out)
    for number, watched in rounds.items():
        for reading in watched.fired:
            yield f"round {number}: {reading.monitor}: {reading.why}"
    if best := best_sentence(rounds.values()):
        yield f"best checkpoint: {best}"
    if sentence := stop_sentence(out, read_recipe(out).get("stop_when") or ()):
        yield sentence


def _overlapping(out: Path) -> Iterator[str]:
    """That pictures of a task may have been trained on, where the recipe allowed it."""
    if names := read_recipe(out).get("allow_overlap"):
        yield (
            f"pictures of {', '.join(names)} were allowed to be trained on (allow_overlap): their figures are no test "
            "of pictures that the model has not seen"
        )


def _unmoved(lines: list[dict[str, Any]]) -> Iterator[str]:
    for line in lines:
        stage, facts = str(line["stage"]), line.get("facts")
        if stage.endswith(f"/{OPTIMISE}") and isinstance(facts, dict) and facts.get("changed") == 0:
            yield (
                f"{_round(stage)}: training changed no weight; the checkpoint is the one it started from (look at "
                "optimise.trl.learning_rate)"
            )


def _mixed(lines: list[dict[str, Any]]) -> Iterator[str]:
    """A line about a run whose model answered here on one kind of device or in one precision, there in another."""
    last = {line["stage"]: line.get("computed", {}) for line in lines}
    models = [computed["model"] for computed in last.values() if "model" in computed]
    ways = dict.fromkeys(f"on {model['device'].partition(':')[0]} in {model['dtype']}" for model in models)
    if len(ways) > 1:
        yield (
            f"the model answered {' and '.join(ways)}, and rounding may change answers; set device and dtype in the "
            "recipe to hold a run's figures together"
        )


def _silenced(out: Path, stages: list[str]) -> Iterator[str]:
    """Of each measured round, the tasks with more blank or unread answers than the seed's."""
    first, *later = [stage for stage in stages if stage.endswith(f"/{EVAL}")] or [""]
    if not later:
        return
    before = {result.task: result for result in read_results(out / first).tasks}
    for stage in later:
        for result in read_results(out / stage).tasks:
            if result.task in before and (silence := _silence(result, before[result.task])):
                yield f"{_round(stage)}, {result.task}: {silence}"


def _silence(result: TaskResult, before: TaskResult) -> str | None:
    for word, is_so in (("blank", _is_blank), ("unread", _is_unread)):
        now, then = (sum(map(is_so, task.rows)) / max(1, len(task.rows)) for task in (result, before))
        if now > then + SILENT_SHARE:
            return f"{now:.0%} of the answers are {word}, of the seed's {then:.0%}"
    return None


def _is_blank(row: Marked) -> bool:
    return not row.answer.strip()


def _is_unread(row: Marked) -> bool:
    return row.parsed is None


def _round(stage: str) -> str:
    return stage.partition("/")[0].replace("-", " ")
