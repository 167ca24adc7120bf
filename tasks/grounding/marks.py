"""Grounding: where is that thing? Boxes marked by intersection over union (IoU) with a COCO instance's box.

Protocol: one thing is asked for, the gold box is a COCO instance's `bbox` (x, y, width, height in pixels), the answer
names the left, top, right and bottom edge. An answer's own mark is its IoU; it is right from an IoU of 0.5 on. What is
not read as a box (`tasks.grounding.readers`) overlaps nothing and is counted as unread. So is a box beyond the scale of
its profile.
Sources: the overlap is COCO's (`tasks.data.annotations.box_overlap`), and so is "from 0.5 on" (COCOeval counts a match
at its threshold, where some tables of referring expressions want more than 0.5).
"""

from __future__ import annotations

from harness.errors import UsageError
from harness.types import Metric, Score
from tasks.data.annotations import Box, box_overlap
from tasks.grounding.readers import FRAMES, PROFILES, Size, _box_of, read_box

NAME = "grounding"
VERSION = 3
HEADLINE = "accuracy@0.5"
RIGHT_FROM = 0.5

GROUNDING_METRICS = (
    Metric(name="IoU", terms={"overlap": 1}, over={"asked": 1}),
    Metric(name=HEADLINE, terms={"right": 1}, over={"asked": 1}),
    Metric(name="unread", terms={"unread": 1}, over={"asked": 1}, better="lower"),
)
"""Mean IoU, share of answers with an IoU of 0.5 at least, share of unread ones; all of all that is asked."""


def score_grounding(box: Box, answer: str, size: Size | None = None) -> Score:
    """Mark one answer by the gold box; `parsed` is the box read, in the gold one's form, or None. `size` as above."""
    return _marked(box, read_box(answer, size))


def _marked(box: Box, read: Box | None) -> Score:
    # A width that was added to an edge and taken off again differs in its last digits.
    overlap = round(box_overlap(read, box), 9) if read else 0.0
    counts = {"asked": 1, "overlap": overlap, "right": int(overlap >= RIGHT_FROM), "unread": int(read is None)}
    return Score(value=overlap, parsed=read, counts=counts)


def score_framed(box: Box, answer: str, size: Size, profile: str = "strict") -> Score:
    """Mark an answer under one of `PROFILES`; `parsed` is in the picture's own pixels, whatever it was said in.

    Raises `UsageError` for an unknown profile.
    """
    return _marked(box, read_framed(answer, size, profile))


def read_framed(answer: str, size: Size, profile: str = "strict") -> Box | None:
    """The one box that an answer names under one of `PROFILES`, in the picture's pixels; raises as above."""
    if profile not in FRAMES:
        raise UsageError(f"grounding has no profile '{profile}'; it has {', '.join(PROFILES)}")
    frame = FRAMES[profile]
    left, top, width, height = frame.region(size)
    read = _box_of(frame.edges(answer), frame.units(size), (width, height))
    return (read[0] + left, read[1] + top, *read[2:]) if read else None
