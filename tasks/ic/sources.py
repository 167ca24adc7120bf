"""Whose data IC needs, under which licence, and where they come from."""

from __future__ import annotations

from tasks.data.folder import coco_pictures
from tasks.data.sources import Source
from tasks.reading.object_words import caption_tables

SOURCES = (
    Source(
        task="ic",
        file="truth.json",
        about="which pictures, and what is in them",
        origin="anybody's annotations in COCO's format, by `strop data build ic --coco ANNOTATIONS --out DATA/ic`",
        licence="that of the annotations; COCO's CC BY 4.0",
        needed=True,
    ),
    *caption_tables("ic", shared_with=("chair",)),
    coco_pictures("ic", shared_with=("pope", "chair")),
)
