"""Which published figures on SQA-IMG are the same measure as one of the task."""

from __future__ import annotations

from harness.yardsticks import Yardstick

YARDSTICKS = (
    *(
        Yardstick(
            task=task,
            metric=metric,
            benchmark="SQA-IMG",
            published="accuracy",
            answers=(2017,),
            profiles=("official",),
        )
        for task, metric in (("scienceqa", "image/accuracy"), ("scienceqa_img", "accuracy"))
    ),
)
