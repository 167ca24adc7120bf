"""CHAIR's question: one prompt, asked of the 500 images of COCO val2014 that OPERA drew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from harness.errors import DataError
from tasks.data.rows import is_document, is_list_of, listed, read_document
from tasks.reading.caption_files import caption_rows

PROMPT = "Please describe this image in detail."
"""OPERA's prompt, under which the published captions were written."""

IMAGES = 500
"""Images of COCO val2014 that a model captions in OPERA's protocol. They were drawn by shuffling a directory listing,
so that only the list of their ids says which."""

WANTED_IDS = "one of shikiw/OPERA's files of captions (greedy.jsonl), whose ids they are"


def load_image_ids(path: Path, count: int = IMAGES) -> list[int]:
    """The images to be captioned, in order: ``{"image_ids": [...]}``, or the `image_id` of each row of a file of
    captions, such as OPERA's own. `DataError` where they are not `count` in number, or one is given twice."""
    document = read_document(path, WANTED_IDS) if is_document(path, WANTED_IDS) else None
    if isinstance(document, dict) and "image_ids" in document:
        ids = document["image_ids"]
        if not is_list_of(int, ids):
            raise DataError(f"{path}: field 'image_ids' must be a list of integers; get {WANTED_IDS}")
    else:
        ids = [row.integer("image_id") for row in caption_rows(path)]
    twice = [str(image) for image, times in Counter(list[int](ids)).items() if times > 1]
    if twice:
        raise DataError(f"{path}: image ids are given twice: {listed(twice)}; get {WANTED_IDS}")
    if len(ids) != count:
        raise DataError(f"{path} holds {len(ids)} image ids, but the protocol has {count}; get {WANTED_IDS}")
    return list(ids)
