"""The photographs of the conformance data as an IC set, and what people score on it: the ceiling of the measure.

``python -m tests.support.photos FOLDER`` writes FOLDER/coco (annotations), FOLDER/human-1.jsonl to human-5.jsonl (a
caption of each photograph that has some and is eligible), and prints the ceiling. The annotations tell which objects
are there and not how many, so every one is marked as a crowd. They unite what annotators outlined with what the five
captions name: a caption can hardly be wrong under them. So each caption is also held against a truth without its own
words: what no caption names and what one of the other four does. What it alone names may have been outlined too, so
that this precision is a lower bound and the other an upper one.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.files import read_json, write_jsonl
from harness.results import Marked, mark
from harness.stats import Estimate, estimate
from harness.types import Sample
from tasks.ic.build import is_eligible
from tasks.ic.marks import IC_METRICS, score_ic
from tasks.reading import text
from tasks.reading.object_words import ChairTables, load_tables, merge_words, named_classes, normalise
from tests.support.annotated import annotate

BUILD = "areebol"
SHOWN = ("precision", "recall", "f1", "words")


def write(conformance: Path, folder: Path) -> dict[str, Sequence[str]]:
    """Write annotations and answer files; returns the captions of the eligible photographs."""
    objects = _objects(conformance)
    annotate(folder / "coco", {int(image): sorted(names) for image, names in objects.items()}, crowds=True)
    captions: Mapping[str, Sequence[str]] = read_json(conformance / "photos_coco/captions_for_photos.json")
    kept = {image: caption for image, caption in captions.items() if is_eligible(objects[image])}
    for number in range(5):
        rows = [{"image_id": int(image), "caption": value[number]} for image, value in kept.items()]
        write_jsonl(folder / f"human-{number + 1}.jsonl", rows)
    return kept


def ceiling(
    conformance: Path, captions: Mapping[str, Sequence[str]], *, without_its_own: bool
) -> tuple[list[Marked], dict[str, Estimate]]:
    """All five captions of each photograph marked, and the figures over photographs."""
    objects, tables = _objects(conformance), load_tables(conformance / "chair")
    rows = []
    for image, several in captions.items():
        named = [set(named_classes(merge_words(normalise(item), tables), tables)) for item in several]
        for number, caption in enumerate(several):
            others = set().union(*(names for index, names in enumerate(named) if index != number))
            truth = (objects[image] - set().union(*named)) | others if without_its_own else objects[image]
            rows.append(_marked(f"{image}/{number + 1}", image, caption, truth, tables))
    return rows, estimate(rows, IC_METRICS)


def _objects(conformance: Path) -> dict[str, set[str]]:
    content = read_json(conformance / "photos_coco/objects.json")
    return {image: set(value["objects"][BUILD]) for image, value in content.items()}


def _marked(name: str, image: str, caption: str, truth: set[str], tables: ChairTables) -> Marked:
    sample = Sample(id=name, prompt="", images=(), target=dict.fromkeys(truth), cluster=image)
    return mark(sample, caption, score_ic(normalise(caption), sample.target, tables))


def _main(folder: Path) -> None:
    conformance = Path(os.environ.get("STROP_CONFORMANCE") or "../shared/conformance")
    text.look_in(conformance / "nltk_data")
    captions = write(conformance, folder)
    for without_its_own in (False, True):
        rows, figures = ceiling(conformance, captions, without_its_own=without_its_own)
        shown = {name: [figures[name].value, figures[name].low, figures[name].high] for name in SHOWN}
        messages = {"captions": len(rows), "photographs": len(captions), "without_its_own": without_its_own, **shown}
        sys.stdout.write(json.dumps(messages) + "\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
