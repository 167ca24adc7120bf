"""Which published figures on MathVista are the same measure as one of the task."""

from __future__ import annotations

from harness.results import TaskResult
from harness.wording import counted
from harness.yardsticks import Yardstick


def _no_extractions(task: TaskResult) -> str | None:
    rows = len(task.rows)
    extracted = task.info.get("extracted", 0)
    if 2 * extracted > rows:
        return None
    return (
        f"{extracted} of its {counted(rows, 'answer has', 'answers have')} the extraction that published figures read"
    )


YARDSTICKS = (
    Yardstick(
        task="mathvista",
        metric="accuracy",
        benchmark="MathVista",
        published="accuracy",
        answers=(1000,),
        profiles=("official", "official/integer_old"),
        obstacle=_no_extractions,
    ),
)
