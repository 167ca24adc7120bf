"""Which judge stands behind figures of a board, and how far it is to be believed."""

from __future__ import annotations

from collections.abc import Iterator

from harness.examination import words_of
from harness.results import Results


def judge_notes(name: str, results: Results) -> Iterator[str]:
    """A note for each task of a row that a judge marked: what was measured of the judge, or that nothing was."""
    for task in results.tasks:
        if (judge := task.info.get("judge")) is None:
            continue
        measured = judge.get("measured")
        told = f"where the verdict is known: {words_of(measured)}" if measured else "never measured (`strop judges`)"
        yield f"{name}: {task.task} is marked by judge {judge['id']}, {told}"
