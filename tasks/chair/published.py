"""Which published figures on CHAIR are the same measure as one of the task."""

from __future__ import annotations

from harness.results import TaskResult
from harness.yardsticks import Yardstick

_COCO_2014 = (123_287, 40_504)  # train and val, val alone


def _other_truth(task: TaskResult) -> str | None:
    if task.profile.endswith("/instances"):
        return "its truth leaves out what the human captions name, which the published truth counts"
    if task.info.get("images_of_truth") not in _COCO_2014:
        return "its truth is not that of COCO 2014 (123,287 pictures, or the 40,504 of val), which the published one is"
    return None


YARDSTICKS = (
    *(
        Yardstick(task="chair", metric=metric, benchmark="CHAIR", published=metric, obstacle=_other_truth)
        for metric in ("CHAIRs", "CHAIRi")
    ),
)
