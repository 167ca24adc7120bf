"""Which classes are in an image, as CHAIR is told: from a truth made ready by others, or from COCO annotations.

Two truths are in use. The authors' unites the annotated instances with what the human captions name ("all"), so that a
model is not blamed for what people saw and annotators did not outline; the stricter one takes the instances alone.
A ready-made file is the first and cannot be taken apart. Source: Rohrbach et al. (2018); protocols, CHAIR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from harness.errors import DataError, UsageError
from tasks.data.annotations import AnnotatedImage, annotation_files, read_captions, read_instances
from tasks.data.containers import is_pickle
from tasks.data.rows import as_row, is_list_of, listed, read_document
from tasks.reading.object_words import ChairTables, merge_words, named_classes, normalise

OBJECTS: Mapping[str, str] = MappingProxyType(
    {"all": "instances and what the human captions name", "instances": "annotated instances only"}
)
"""Name of a truth -> what is in it."""


class ChairTruth(Protocol):
    """`classes(image)` is asked only of the images that are captioned, since there may be 123,287 others."""

    @property
    def files(self) -> tuple[Path, ...]: ...

    @property
    def about(self) -> str: ...

    def __len__(self) -> int: ...

    def __contains__(self, image: object) -> bool: ...

    @property
    def file_names(self) -> Mapping[str, str]: ...

    def classes(self, image: str) -> frozenset[str]: ...


def truth_in(folder: Path) -> Path | None:
    """The truth that lies in CHAIR's folder, None where there is none; raises `DataError` where there are several.

    A ready-made one, else the folder of annotations itself or the one that COCO's archive unpacks into.
    """
    ready_made = sorted(folder.glob("ground_truth_*.json*"))
    if len(ready_made) > 1:
        # The builds give different figures, so which one is used is for the user to say.
        names = ", ".join(path.name for path in ready_made)
        raise DataError(f"{folder} holds several: {names}; keep one there, or name one (--truth of `strop score`)")
    annotated = [candidate for candidate in (folder, folder / "annotations") if any(candidate.glob("instances*.json"))]
    return next(iter((*ready_made, *annotated)), None)


def read_truth(
    path: Path, objects: str, class_of: Mapping[str, str], named: Callable[[str], Iterable[str]]
) -> ChairTruth:
    """The truth of a ready-made file, or of a folder with COCO's ``instances*.json`` and ``captions*.json``.

    `objects` is one of `OBJECTS`; `class_of` maps a category's name to its class; `named` gives the classes that a
    caption names, by the same normaliser that reads the captions to be marked. Raises `UsageError` for another
    `objects`, or "instances" of a ready-made file, and `DataError` naming a file that is missing or malformed, a
    category that is no class, and (at `classes`) an image without captions under "all".
    """
    if objects not in OBJECTS:
        raise UsageError(f"no truth is called '{objects}'; there are {', '.join(OBJECTS)}")
    if path.is_dir():
        return _from_coco(path, objects, class_of, named)
    if objects != "all":
        raise UsageError(
            f"{path.name} unites instances with captions and cannot be taken apart; "
            "name a folder of COCO's annotations as truth to count instances only"
        )
    return _read_ready(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Coco:
    files: tuple[Path, ...]
    about: str
    images: Mapping[str, AnnotatedImage]
    captions: Mapping[str, Sequence[str]] | None
    class_of: Mapping[str, str]
    named: Callable[[str], Iterable[str]]

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, image: object) -> bool:
        return image in self.images

    @property
    def file_names(self) -> Mapping[str, str]:
        return {identifier: image.file_name for identifier, image in self.images.items()}

    def classes(self, image: str) -> frozenset[str]:
        classes = {self.class_of[name] for name in self.images[image].objects}
        if self.captions is not None:
            if image not in self.captions:
                raise DataError(
                    f"{self.files[-1].parent}: image {image} has no human caption; add them, or count instances only"
                )
            classes.update(name for caption in self.captions[image] for name in self.named(caption))
        return frozenset(classes)


def _from_coco(folder: Path, objects: str, class_of: Mapping[str, str], named: Callable[[str], Iterable[str]]) -> _Coco:
    files = annotation_files(folder, "instances")
    if objects == "all":
        files += annotation_files(folder, "captions")
    images = read_instances(folder)
    unknown = sorted({name for image in images.values() for name in image.objects} - set(class_of))
    if unknown:
        raise DataError(f"{folder}: synonyms.json has no class for the categories {listed(unknown)}; add them there")
    captions = read_captions(folder) if objects == "all" else None
    return _Coco(files=files, about=OBJECTS[objects], images=images, captions=captions, class_of=class_of, named=named)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ready:
    path: Path
    categories: Sequence[str]
    images: Mapping[str, Any]

    about: str = "as the file unites them"

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def __len__(self) -> int:
        return len(self.images)

    def __contains__(self, image: object) -> bool:
        return image in self.images

    @property
    def file_names(self) -> Mapping[str, str]:
        return {}  # a ready-made truth has ids alone

    def classes(self, image: str) -> frozenset[str]:
        indices = self.images[image]
        if not is_list_of(int, indices) or not all(0 <= index < len(self.categories) for index in indices):
            raise DataError(f"{self.path}: image {image} must have a list of indices below {len(self.categories)}")
        return frozenset(self.categories[index] for index in indices)


def _read_ready(path: Path) -> _Ready:
    if path.is_file() and is_pickle(path.read_bytes()):
        raise DataError(
            f"{path} is a port's pickle; make a truth of it: strop data build chair --from {path} --out DIR"
        )
    document = read_document(path, "a ground_truth_*.json or .json.gz, or a folder of COCO's annotations")
    row = as_row(str(path), document)
    categories, images = row.content.get("categories"), row.content.get("images")
    if not isinstance(categories, list) or not is_list_of(str, categories) or not isinstance(images, dict):
        fields = listed(list(row.content))
        raise DataError(f'{path}: expected {{"categories": [names], "images": {{"<id>": [indices]}}}}, found {fields}')
    return _Ready(path=path, categories=categories, images=images)


def open_truth(
    truth: Path, tables: ChairTables, *, objects: str = "all", words: Callable[[str], Sequence[str]] = normalise
) -> ChairTruth:
    """The classes of each image by these tables and this normaliser: `chair_truth.read_truth`, with its errors."""

    def named(caption: str) -> list[str]:
        return named_classes(merge_words(words(caption), tables), tables)

    return read_truth(truth, objects, {name: name for name in tables.synonyms} | dict(tables.class_of), named)
