"""Which published figures on POPE are the same measure as one of the task."""

from __future__ import annotations

from harness.results import TaskResult
from harness.yardsticks import Yardstick

_POPE = (8910, 9000)  # the random questions exist as 2910 and as 3000


def _other_questions(task: TaskResult) -> str | None:
    if built := task.info.get("built"):
        return f"its questions were {built}, and are not the published ones"
    if all(row.cluster.startswith("COCO_val2014_") for row in task.rows):
        return None
    return "its pictures are not COCO val2014's, which the published figures are on"


YARDSTICKS = (
    Yardstick(
        task="pope",
        metric="macro/f1",
        benchmark="POPE",
        published="mean F1",
        answers=_POPE,
        profiles=("official",),
        obstacle=_other_questions,
    ),
    *(
        Yardstick(
            task="pope",
            metric=f"{split}/accuracy",
            benchmark="POPE",
            published=f"{split} accuracy",
            answers=answers,
            profiles=("official",),
            obstacle=_other_questions,
        )
        for split, answers in (("random", (2910, 3000)), ("popular", (3000,)), ("adversarial", (3000,)))
    ),
)
