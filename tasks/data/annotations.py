"""COCO's annotations: which categories are annotated in an image and where, what people wrote of it, how boxes overlap.

The only module that imports pycocotools, which is asked to index the files and to compare boxes.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.errors import DataError
from harness.files import read_json
from harness.wording import counted
from tasks.data.rows import Row, as_row

Kind = Literal["instances", "captions"]

Box = tuple[float, float, float, float]
"""x and y of the left top corner, width, height: `bbox` of a COCO instance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnnotatedImage:
    """One image of an instances file: its file name and the names of the categories annotated in it.

    `counts` says how many of a category are outlined one by one; those of which a crowd is outlined are not in it,
    since nobody counted them.
    """

    file_name: str
    objects: frozenset[str]
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class AloneInstance:
    """The one annotation of its category in an image, no crowd: `size` is the image's width and height in pixels."""

    image: str
    file_name: str
    size: tuple[int, int]
    category: str
    box: Box


def annotation_files(folder: Path, kind: Kind) -> tuple[Path, ...]:
    """The files ``<kind>*.json`` of a folder, e.g. COCO's train and val; raises `DataError` where there is none."""
    files = tuple(sorted(folder.glob(f"{kind}*.json")))
    if not files:
        reason = "no such file" if folder.is_dir() else "no such folder"
        raise DataError(f"{folder / f'{kind}_*.json'}: {reason}; name a folder of annotations in COCO's format")
    return files


def read_instances(folder: Path) -> dict[str, AnnotatedImage]:
    """Image id -> what is annotated in it, over all instances files of a folder; ids are text.

    An image without annotations has no objects. A region marked as a crowd makes its category present like any other: a
    crowd of people is people. An annotation that two files share is one. Raises `DataError` naming the file where there
    is none, where it is not in COCO's format or gives an id twice, or where an annotation is of an image or category
    that its file does not list.
    """
    names: dict[str, str] = {}
    outlined: dict[str, dict[tuple[str, ...], tuple[str, bool]]] = defaultdict(dict)
    for path in annotation_files(folder, "instances"):
        for identifier, image, instances in _instances(path):
            names[identifier] = image.text("file_name")
            for category, row in instances:
                # COCO's splits of 2014 and 2017 hold the same annotations, and two dogs are not four.
                itself = (category, row.identifier("id"), str(row.content.get("bbox")))
                outlined[identifier][itself] = (category, _is_crowd(row))
    return {identifier: _image(name, outlined[identifier].values()) for identifier, name in names.items()}


def read_alone(path: Path) -> list[AloneInstance]:
    """The instances of one file that are the only annotation of their category in their image, and no crowd.

    Raises `DataError` as `read_instances` does, and where a box or the size of an image is missing or malformed.
    """
    alone = []
    for identifier, image, instances in _instances(path):
        name, size = image.text("file_name"), (_side(image, "width"), _side(image, "height"))
        boxes = [_box(row) for _, row in instances]
        seen = Counter(category for category, _ in instances)
        alone += [
            AloneInstance(image=identifier, file_name=name, size=size, category=category, box=box)
            for (category, row), box in zip(instances, boxes, strict=True)
            if seen[category] == 1 and not _is_crowd(row)
        ]
    return alone


def read_captions(folder: Path) -> Mapping[str, Sequence[str]]:
    """Image id -> its captions, over all captions files of a folder; errors as `read_instances` has them."""
    captions: dict[str, list[str]] = defaultdict(list)
    for path in annotation_files(folder, "captions"):
        for identifier, rows in _indexed(path, "captions").imgToAnns.items():
            captions[str(identifier)] += [_annotation(path, row).text("caption") for row in rows]
    return dict(captions)


def read_captioned(folder: Path) -> Mapping[str, Sequence[str]]:
    """File name of an image -> its captions, of the images that have some; errors as `read_instances` has them."""
    captions: dict[str, list[str]] = defaultdict(list)
    for path in annotation_files(folder, "captions"):
        index = _indexed(path, "captions")
        for identifier, rows in index.imgToAnns.items():
            image = as_row(f"{path}: image {identifier}", index.imgs[identifier])
            captions[image.text("file_name")] += [_annotation(path, row).text("caption") for row in rows]
    return dict(captions)


def box_overlap(box: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1, as COCO's evaluation computes it. Both must have an area."""
    from pycocotools import mask

    return float(mask.iou([list(box)], [list(other)], [0])[0, 0])


def _image(file_name: str, outlined: Collection[tuple[str, bool]]) -> AnnotatedImage:
    """An image from (category, whether it is a crowd) of each of its annotations."""
    crowds = {category for category, crowd in outlined if crowd}
    counts = Counter(category for category, _ in outlined if category not in crowds)
    return AnnotatedImage(file_name=file_name, objects=frozenset(crowds | set(counts)), counts=dict(counts))


def _instances(path: Path) -> Iterator[tuple[str, Row, list[tuple[str, Row]]]]:
    """(id, image, its annotations with the names of their categories) of each image of an instances file."""
    index = _indexed(path, "instances")
    categories = {
        identifier: as_row(f"{path}: category {identifier}", row).text("name") for identifier, row in index.cats.items()
    }
    for identifier, row in index.imgs.items():
        image = as_row(f"{path}: image {identifier}", row)
        annotations = [_annotation(path, annotation) for annotation in index.imgToAnns.get(identifier, [])]
        yield (
            image.identifier("id"),
            image,
            [(_category(annotation, categories), annotation) for annotation in annotations],
        )


def _annotation(path: Path, row: Mapping[str, Any]) -> Row:
    return as_row(f"{path}: annotation {row['id']}", row)


def _category(row: Row, categories: Mapping[Any, str]) -> str:
    if row.integer("category_id") not in categories:
        raise DataError(
            f"{row.location} is of category {row.content['category_id']}, which is not under 'categories'; "
            "list it or drop the annotation"
        )
    return categories[row.content["category_id"]]


def _is_crowd(row: Row) -> bool:
    if row.content.get("iscrowd", 0) not in (0, 1):
        raise row.wrong("iscrowd", "0 or 1")
    return bool(row.content.get("iscrowd"))


def _side(image: Row, name: str) -> int:
    if image.integer(name) <= 0:
        raise image.wrong(name, "a number of pixels")
    return image.integer(name)


def _box(row: Row) -> Box:
    match row.content.get("bbox"):
        case [float() | int(), float() | int(), float() | int(), float() | int()] as edges:
            left, top, width, height = map(float, edges)
            if math.isfinite(left + top + width + height) and min(width, height) >= 0:
                return left, top, width, height
    raise row.wrong("bbox", "four numbers: left, top, width, height")


def _indexed(path: Path, kind: Kind) -> Any:
    """A file as pycocotools indexes it, which is asked before anything of it is believed."""
    from pycocotools.coco import COCO

    index = COCO()
    with _format_explained(path, kind):
        index.dataset = read_json(path)
        if not isinstance(index.dataset, dict):
            raise TypeError(f"a {type(index.dataset).__name__} instead of an object")
        # It reports its progress on stdout, which belongs to the figures.
        with contextlib.redirect_stdout(io.StringIO()):
            index.createIndex()
        for section in ("images", "annotations", "categories"):
            twice = [
                repeated
                for repeated, count in Counter(row["id"] for row in index.dataset.get(section, ())).items()
                if count > 1
            ]
            if twice:
                raise DataError(f"{path}: id {twice[0]} is given twice under '{section}'; keep one")
    strangers = [identifier for identifier in index.imgToAnns if identifier not in index.imgs]
    if strangers:
        raise DataError(
            f"{path}: {counted(len(strangers), 'image with annotations is', 'images with annotations are')} not under "
            f"'images', {strangers[0]} is the first; list them or drop their annotations"
        )
    return index


@contextlib.contextmanager
def _format_explained(path: Path, kind: Kind) -> Iterator[None]:
    """What pycocotools stumbles over as one line."""
    try:
        yield
    except KeyError as error:
        raise DataError(f"{path}: not COCO {kind}: field {error} is missing somewhere; export it anew") from error
    except (AttributeError, TypeError) as error:
        raise DataError(f"{path}: not COCO {kind} ({error}); export it anew") from error
