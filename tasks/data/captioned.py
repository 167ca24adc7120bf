"""Captioned photographs: a list of pictures with what people wrote of them, or COCO's captions.

A list has a JSON object a line: `image`, a path from the list's folder; `captions`, texts, or one `caption`; and where
there are some `questions`, objects with `prompt` and `answer`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, MissingError
from tasks.data.annotations import read_captioned
from tasks.data.rows import Row, as_row, is_list_of, read_rows

LAYOUT = 'a list of {"image": PATH, "captions": [TEXTS]}'

_SPACED = re.compile(r"\s+([.,!?])")


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionedPicture:
    """A photograph, its captions, and (prompt, answer) of each question about it."""

    picture: Path
    captions: tuple[str, ...]
    questions: tuple[tuple[str, str], ...] = ()


def read_captioned_pictures(path: Path) -> list[CaptionedPicture]:
    """The captioned photographs of a list, or of a folder with COCO's ``captions_*.json`` and the pictures beside them.

    Blanks before full stops and commas, as tokenised captions have them, are taken out. Raises `DataError` and
    `MissingError` naming the line of what is malformed and of a picture that is not there.
    """
    pictures = list(_in_coco(path) if path.is_dir() else _in_list(path))
    if not pictures:
        raise DataError(f"{path}: no captioned pictures in it; give {LAYOUT}")
    return pictures


def _in_list(path: Path) -> Iterator[CaptionedPicture]:
    for row in read_rows(path, LAYOUT):
        captions = row.texts("captions") if "captions" in row.content else (row.text("caption"),)
        picture = path.parent / row.text("image")
        if not picture.is_file():
            raise MissingError(f"{row.location}: no such picture as {picture}")
        questions = tuple((entry.text("prompt"), entry.text("answer")) for entry in _questions(row))
        yield CaptionedPicture(picture=picture, captions=tuple(map(_plain, captions)), questions=questions)


def _questions(row: Row) -> list[Row]:
    questions = row.content.get("questions", [])
    if not is_list_of(dict, questions):
        raise row.wrong("questions", 'a list of {"prompt": TEXT, "answer": TEXT}')
    return [as_row(f"{row.location}: questions[{index}]", entry) for index, entry in enumerate(questions)]


def _in_coco(folder: Path) -> Iterator[CaptionedPicture]:
    for name, captions in read_captioned(folder).items():
        places = [folder / name, *(candidate / name for candidate in sorted(folder.iterdir()) if candidate.is_dir())]
        picture = next((candidate for candidate in places if candidate.is_file()), None)
        if picture is None:
            raise MissingError(f"{folder}: its picture {name} lies neither in it nor in a folder of it; put it there")
        yield CaptionedPicture(picture=picture, captions=tuple(map(_plain, captions)))


def _plain(caption: str) -> str:
    return _SPACED.sub(r"\1", caption.strip())
