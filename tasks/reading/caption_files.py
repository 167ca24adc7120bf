"""Files of captions, in the layouts that people write them in: which field is the image, and which the caption.

An image is named by its id, as a number or with leading zeros, or by its file, with or without COCO's prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.errors import DataError
from tasks.data.rows import Row, as_row, is_document, listed, read_document, read_rows
from tasks.reading.row_claims import LONGEST_NAME

PICTURE_KEYS = ("image_id", "image", "img_id", "file_name", "image_path", "image_file", "image_source")
ID_KEYS = (*PICTURE_KEYS, "question_id", "id")
"""Fields that name the image, the first of them that a file has, and that in every row. The last two often number rows
instead."""

ANSWER_KEYS = ("caption", "text", "answer", "response", "prediction")
"""Fields that hold the caption, if there is one of them alone."""

_ANSWERS = "the file of captions"
_SCORES = frozenset({"CIDEr", "Bleu_1", "METEOR", "ROUGE_L", "SPICE"})
"""What pycocoevalcap writes of captions: into captions_*_eval.json and, image by image, captions_*_evalImgs.json."""
_ENDING = re.compile(r"\.(?:jpe?g|png)$", re.IGNORECASE)
_NUMBER = re.compile(r"(?:COCO_(?:train|val|test)\d{4}_)?(\d+)")


class KnownImages(Protocol):
    """The images of a truth, by their ids as text; `file_names` has the file of each, if the truth names files."""

    def __len__(self) -> int: ...

    def __contains__(self, image: object) -> bool: ...

    @property
    def file_names(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Captioned:
    """One caption of a file: the row that it stands in, the image as the row names it, and where that is contradicted
    if it is: the other fields of the row that name an image."""

    row: Row
    key: str
    image: str
    caption: str
    others: Mapping[str, str]


def read_captions(path: Path, id_key: str | None = None, answer_key: str | None = None) -> list[Captioned]:
    """The captions of a file in any container of `tasks.data.containers`, or of one document with a list under
    "sentences" (the layout of the CHAIR ports' output); the two keys name fields that are none of `ID_KEYS` and
    `ANSWER_KEYS`.

    No truth is needed, so that a malformed file is told at once. Raises `DataError` with file and line (or list index)
    for broken JSON, missing or ill-typed fields, and where more than one field may be the caption.
    """
    captions: list[Captioned] = []
    rows = list(caption_rows(path))
    if not answer_key and rows[0].content.keys() & _SCORES and not rows[0].content.keys() & set(ANSWER_KEYS):
        raise DataError(f"{path} holds scores of captions; name the captions, such as COCO's captions_*_results.json")
    image_field = id_key or _image_key(rows)
    answer_field = answer_key or _answer_key(rows)
    for row in rows:
        others = {} if id_key else {key: row.identifier(key) for key in PICTURE_KEYS if _names_one(row, key)}
        captions.append(Captioned(row, image_field, row.identifier(image_field), row.text(answer_field), others))
    return captions


def caption_rows(path: Path) -> Iterator[Row]:
    """The rows of a file of captions. One that is a JSON document with "sentences" has them there."""
    if path.is_dir() and (results := sorted(path.glob("*_results.json"))):
        raise DataError(f"{path} is a folder; name the file of captions in it, such as {results[0]}")
    document = read_document(path, _ANSWERS) if is_document(path, _ANSWERS) else None
    if not isinstance(document, dict) or "sentences" not in document:
        if isinstance(document, dict) and "logs" not in document and not _is_row(document):
            raise _no_rows(path, document)
        yield from read_rows(path)
        return
    sentences = document["sentences"]
    if not isinstance(sentences, list) or not sentences:
        raise DataError(f"{path}: field 'sentences' must be a list with at least one object in it")
    for index, content in enumerate(sentences):
        yield as_row(f"{path}: sentences[{index}]", content)


def _is_row(document: Mapping[str, Any]) -> bool:
    """Whether one JSON object may be the only row of a file."""
    if document.keys() & {*ID_KEYS, *ANSWER_KEYS}:
        return True
    return not any(isinstance(value, list | dict) or key.isdecimal() for key, value in document.items())


def _no_rows(path: Path, document: Mapping[str, Any]) -> DataError:
    """What to say of one JSON object that is no caption: mostly there are rows somewhere in it."""
    inside = next((name for name, value in document.items() if isinstance(value, list)), None)
    hint = f"; write what lies under '{inside}' into a file of its own" if inside else ""
    return DataError(
        f"{path} is one JSON object ({listed(list(document), 3)}); wanted are rows like "
        f'{{"image_id": 1, "caption": "A cat."}}{hint}'
    )


def join_images(captions: Sequence[Captioned], images: KnownImages, truth: Path) -> dict[str, str]:
    """Image of a truth -> its caption, in the order of the file; `truth` is the file that knows the images.

    Raises `DataError` with file and line for an image that is not among `images` or is captioned twice, and for a row
    whose fields name two images.
    """
    by_name = _Images(images)
    joined: dict[str, str] = {}
    first: dict[str, str] = {}
    for caption in captions:
        where, image = caption.row.location, by_name.find(caption.image)
        if image is None:
            raise DataError(
                f"{where}: {caption.key} {caption.image} is not among the {len(images)} images of {truth}; "
                "if another field names the image, say which by --id-key"
            )
        for key, name in caption.others.items():
            if by_name.find(name) not in (image, None):
                raise DataError(
                    f"{where}: {caption.key} {caption.image} and {key} {name} are two images; say which is meant by "
                    "--id-key"
                )
        if image in first:
            raise DataError(f"{where}: {caption.key} {image} was already captioned at {first[image]}")
        first[image] = where
        joined[image] = caption.caption
    return joined


def refuse_too_few(answers: Path, captions: int, complete: int, partial: bool) -> None:
    """Raise `DataError` where there are fewer captions than a `complete` set has, unless that was asked for."""
    if captions < complete and not partial:
        raise DataError(
            f"{answers} has {captions} captions of {complete} images; complete the file, or ask for the captioned "
            "images only (--partial)"
        )


class _Images:
    """The images of a truth by whatever names them."""

    def __init__(self, images: KnownImages) -> None:
        self._images = images
        self._file_of = {image: _last_part(path) for image, path in images.file_names.items()}
        self._image_of = {file: image for image, file in self._file_of.items()}

    def find(self, name: str) -> str | None:
        """The id of the image that is named so, None where there is none."""
        if name in self._images:
            return name
        file = _last_part(name)
        if file in self._image_of:
            return self._image_of[file]
        image = _number(file)
        if image is None or image not in self._images:
            return None
        # a file's number is the image's id in COCO; where files are numbered otherwise, another file is no image of it
        own = self._file_of.get(image) if _ENDING.search(file) else None
        return image if own is None or _number(own) == image else None


def _last_part(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _number(file: str) -> str | None:
    """The number of a file that is called as COCO's are, without leading zeros."""
    number = _NUMBER.fullmatch(_ENDING.sub("", file))
    return number[1].lstrip("0") or "0" if number else None


def _image_key(rows: Sequence[Row]) -> str:
    return next((key for key in ID_KEYS if any(_names_one(row, key) for row in rows)), ID_KEYS[0])


def _names_one(row: Row, key: str) -> bool:
    """Whether a field may name an image: some hold the picture itself."""
    value = row.content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        return False
    return 0 < len(str(value).strip()) < LONGEST_NAME


def _answer_key(rows: Sequence[Row]) -> str:
    """The one field that is the caption in all rows, though some lack it: another may hold what was asked there."""
    keys: list[str] = []
    for row in rows:
        fields = ANSWER_KEYS[:1] if row.tool else ANSWER_KEYS
        keys += [key for key in fields if row.content.get(key) is not None and key not in keys]
        if len(keys) > 1:
            raise DataError(f"{row.location}: {listed(keys)} may each be the caption; say which by --answer-key")
    return keys[0] if keys else ANSWER_KEYS[0]
