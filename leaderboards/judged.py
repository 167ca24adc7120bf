"""Which judge stands behind figures of a board, and how far it is to be believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.examination import words_of
from harness.results import Results
from harness.runs.names import round_of
from harness.runs.reading import Run, read_ledger

JUDGE, FORM = "judge", "form"
"""How a stage's facts call its verifier's judge and what that is asked; of an ensemble's, behind the member's name."""

Measured = Callable[[str, str], Mapping[str, Any] | None]
"""What `strop judges` measured of a judge of this id in this form (`harness.examination.kept`); None: nothing."""


def unmeasured(judge: str, form: str) -> None:
    """Nothing was measured of any judge."""


def task_judges(results: Results) -> dict[str, str]:
    """Task -> the judge that marked it, with its figures as of then."""
    judges = {task.task: task.info["judge"] for task in results.tasks if task.info.get("judge")}
    return {task: f"{judge['id']}, {_told(judge.get('measured'))}" for task, judge in judges.items()}


def round_judges(run: Run, measured: Measured) -> dict[int, str]:
    """Round -> the judges that its answers were verified by, with their figures as of now."""
    judges: dict[int, str] = {}
    for line in read_ledger(run.folder):
        facts, number = line.get("facts") or {}, round_of(str(line.get("stage")))
        words = [
            f"{judge} ({form}), {_told((measured(judge, form) or {}).get('shares'))}"
            for name, judge in facts.items()
            if name.endswith(JUDGE) and (form := facts.get(f"{name.removesuffix(JUDGE)}{FORM}"))
        ]
        if number is not None and words:
            judges[number] = "; ".join(words)
    return judges


def judge_notes(name: str, run: Run, measured: Measured) -> Iterator[str]:
    """A note for each task of a run's rows that a judge marked, and for each round that one verified: what was measured
    of the judge, or that nothing was."""
    for results in run.rounds.values():
        for task, judge in task_judges(results).items():
            yield f"{name}: {task} is marked by judge {judge}"
    for number, judge in round_judges(run, measured).items():
        yield f"{name}, round {number}: answers are verified by judge {judge}"


def _told(measured: Mapping[str, Any] | None) -> str:
    return f"where the verdict is known: {words_of(measured)}" if measured else "never measured (`strop judges`)"
