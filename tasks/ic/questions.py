"""IC's questions: the pictures of a built set and what is annotated in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from harness.errors import DataError
from harness.types import Sample
from tasks.chair.questions import PROMPT
from tasks.data.rows import as_row, is_list_of, listed, read_document
from tasks.ic.build import TRUTH_FILE
from tasks.ic.marks import NAME, VERSION
from tasks.reading.object_words import ChairTables


def load_questions(path: Path, tables: ChairTables) -> dict[str, Sample]:
    """Image -> question of a truth file: what `load_answers` joins captions to, with its errors.

    `Sample.images` is empty; `Sample.meta["file_name"]` names the picture.
    """
    images = _read_truth(path, {name: name for name in tables.synonyms} | dict(tables.class_of))
    return {
        image: Sample(
            id=image,
            prompt=PROMPT,
            images=(),
            target=picture.counts,
            cluster=image,
            meta={"file_name": picture.file_name},
        )
        for image, picture in images.items()
    }


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    file_name: str
    counts: Mapping[str, int | None]


def _read_truth(path: Path, class_of: Mapping[str, str]) -> dict[str, _Image]:
    """Image id -> its file name and its classes with their counts."""
    row = as_row(str(path), read_document(path, f"the folder of `strop data build ic`, or its {TRUTH_FILE}"))
    if row.one_of("benchmark", [NAME]) and row.integer("version") != VERSION:
        raise row.wrong("version", f"{VERSION}; build the set again")
    images: dict[str, _Image] = {}
    every = row.inner("images")
    for image in every.content:
        entry = every.inner(image)
        objects, counts = entry.content.get("objects"), entry.inner("counts")
        if not is_list_of(str, objects):
            raise entry.wrong("objects", "a list of strings")
        names: list[str] = list(objects or ())
        strangers = sorted(set(names) - set(class_of))
        if strangers:
            raise DataError(f"{entry.location}: synonyms.json has no class for {listed(strangers)}; add them there")
        counted: dict[str, int | None] = {}
        for name in names:
            count = counts.integer(name) if name in counts.content else None
            # Categories that are one class are counted together, or not at all.
            before = counted.get(class_of[name], 0)
            counted[class_of[name]] = None if count is None or before is None else before + count
        images[image] = _Image(file_name=entry.text("file_name"), counts=counted)
    return images
