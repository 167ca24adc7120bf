"""Whose data Grounding needs, under which licence, and where they come from."""

from __future__ import annotations

from tasks.data.folder import coco_pictures
from tasks.data.sources import Source

SOURCES = (
    Source(
        task="grounding",
        file="annotations_trainval2014.zip",
        about="COCO's instances",
        origin="COCO 2014, annotations/annotations_trainval2014.zip",
        licence="CC BY 4.0",
        needed=True,
        unpacked="annotations/instances_*.json",
        shared_with=("chair",),
    ),
    coco_pictures("grounding", shared_with=("pope", "chair")),
)
