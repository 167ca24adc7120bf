"""Grounding's questions on a file of COCO's instances, chosen by rule `RULE`.

An instance is asked for that is the only annotation of its category in its picture, no crowd, and whose box covers
`LEAST` of the picture or more. `QUESTIONS` of them are drawn, the categories in turn in an order drawn once, of each
category without replacement; one whose instances are used up is passed over. So the first questions are balanced like
all of them. No published set asks this; referring expressions (RefCOCO) tell alike things apart by words."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.types import Sample
from tasks.data.annotations import AloneInstance, Box, read_alone
from tasks.data.rows import listed

RULE = 1

QUESTIONS = 1_000
LEAST = 0.01
"""Share of the picture that the box of a thing asked for covers at least: 55 x 55 pixels of 640 x 480."""

REQUEST = "Provide the bounding box of the {name}."
IN_FRACTIONS = "Answer with [x1, y1, x2, y2] in fractions of the image's width and height."


def choose(alone: Iterable[AloneInstance], count: int, rng: np.random.Generator) -> list[AloneInstance]:
    """`count` instances by the rule above, or all that are large enough where those are fewer.

    The same instances, in any order, and the same state of `rng` give the same choice in the same order.
    """
    by_category: dict[str, list[AloneInstance]] = defaultdict(list)
    for instance in sorted(alone, key=lambda instance: (instance.category, instance.image)):
        if cover(instance.box, instance.size) >= LEAST:
            by_category[instance.category].append(instance)
    drawn = [[instances[index] for index in rng.permutation(len(instances))] for instances in by_category.values()]
    turns = itertools.zip_longest(*(drawn[index] for index in rng.permutation(len(drawn))))
    return [instance for turn in turns for instance in turn if instance][:count]


def cover(box: Box, size: tuple[int, int]) -> float:
    """The share of a picture that a box covers: what the whole picture as an answer earns."""
    return box[2] * box[3] / (size[0] * size[1])


def annotations_in(places: Iterable[Path]) -> Path | None:
    """The instances to ask for: COCO's val2014 if they lie there, else val2017, else the only file; None for none.

    The first of several places counts. Raises `DataError` where there is a choice.
    """
    files: dict[str, Path] = {}
    for path in (path for folder in places for path in sorted(folder.glob("instances*.json"))):
        files.setdefault(path.name, path)
    for name in ("instances_val2014.json", "instances_val2017.json"):
        if name in files:
            return files[name]
    if len(files) > 1:
        shown = listed([str(path) for path in files.values()])
        raise DataError(f"grounding is asked of one file of instances and finds {shown}; name one, or keep one there")
    return next(iter(files.values()), None)


def annotations_of(truth: Path) -> Path:
    """A file of instances, or the one in a folder of them; raises `DataError` where there is none."""
    path = annotations_in((truth, truth / "annotations")) if truth.is_dir() else truth
    if path is None or not path.is_file():
        raise DataError(
            f"{path or truth / 'instances_val2014.json'}: no such file; name COCO's instances or their folder"
        )
    return path


def questions_text(samples: Iterable[Sample]) -> str:
    """The questions as JSON lines in the layout of LLaVA's files: `question_id`, `image` (its file), `text`."""
    rows = ({"question_id": sample.id, "image": sample.meta["file_name"], "text": sample.prompt} for sample in samples)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def load_questions(annotations: Path, count: int = QUESTIONS) -> list[Sample]:
    """The questions on a file of COCO's instances.

    `Sample.target` is the gold box, `Sample.images` is empty and `Sample.meta["file_name"]` names the picture. Raises
    the errors of `tasks.data.annotations.read_alone`, and `DataError` where no instance can be asked for.
    """
    chosen = choose(map(_within, read_alone(annotations)), count, np.random.default_rng(RULE))
    if not chosen:
        raise DataError(
            f"{annotations}: no instance is the only one of its category in its picture and covers {LEAST:.0%} of it; "
            "name another file of COCO's instances"
        )
    return [
        Sample(
            id=f"{instance.image}/{instance.category.replace(' ', '-')}",
            prompt=f"{REQUEST.format(name=instance.category)}\n{IN_FRACTIONS}",
            images=(),
            target=instance.box,
            cluster=instance.image,
            meta={"object": instance.category, "size": instance.size, "file_name": instance.file_name},
        )
        for instance in chosen
    ]


def _within(instance: AloneInstance) -> AloneInstance:
    """COCO rounds boxes to hundredths of a pixel, beyond the picture too, and no fraction is above 1."""
    left, top = max(instance.box[0], 0.0), max(instance.box[1], 0.0)
    right, bottom = (
        min(instance.box[0] + instance.box[2], instance.size[0]),
        min(instance.box[1] + instance.box[3], instance.size[1]),
    )
    return replace(instance, box=(left, top, max(right - left, 0.0), max(bottom - top, 0.0)))
