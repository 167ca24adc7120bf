"""POPE's questions: label files of three categories as samples in LLaVA's prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError
from harness.types import Sample
from harness.wording import counted
from tasks.data.rows import Row, listed, read_rows

INSTRUCTION = "Answer the question using a single word or phrase."
"""The last line of LLaVA's prompt."""

ROWS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"random": (3000, 2910), "popular": (3000,), "adversarial": (3000,)}
)
"""Category -> how many rows its file may have; the shorter random one is the older, behind LLaVA-1.5's figures."""

LABELS = "coco_pope_<category>.json of AoiDragon/POPE"

_OBJECT = re.compile(r"\s*is there an? (?P<object>.+?) in the (?:image|imange)\s*\?", re.IGNORECASE)


def labels_folder(folder: Path) -> Path | None:
    """Where the label files lie below POPE's folder: in it, or in one named after their rows; None where none are."""
    places = (folder, folder / "labels_3000", folder / "labels_2910")
    return next((candidate for candidate in places if any(candidate.glob("coco_pope_*.json"))), None)


def load_questions(folder: Path, rows: Mapping[str, tuple[int, ...]] = ROWS) -> list[Sample]:
    """The questions of a folder of label files, a category of `rows` each, with the label for target.

    `Sample.images` is empty; `Sample.meta["image"]` names the picture's file. Raises `DataError` with file and line for
    missing or ill-typed fields and for an object asked for twice in one image, and naming the file to get where one has
    another number of rows than `rows` allows.
    """
    samples = []
    for category, sizes in rows.items():
        path = label_file(folder, category)
        questions = [question_sample(row, category) for row in read_rows(path, LABELS)]
        refuse_another_size(path, category, len(questions), sizes)
        samples += questions
    return together(samples)


def question_sample(row: Row, category: str) -> Sample:
    """A label row (`image`, `text`, `label`) as a question in LLaVA's prompt. Its id says what is asked of which image,
    since the ids inside the files restart in each and differ between editions."""
    image, label = row.text("image"), label_of(row)
    return Sample(
        id=question_name(category, image, object_of(row)),
        prompt=f"{row.text('text')}\n{INSTRUCTION}",
        images=(),
        target=label,
        cluster=image,
        meta={"group": category, "object": object_of(row), "image": image},
    )


def refuse_another_size(path: Path | str, category: str, rows: int, sizes: Sequence[int]) -> None:
    """Raise `DataError` where the rows of a category are not one of `sizes` in number."""
    if rows not in sizes:
        expected = " or ".join(str(size) for size in sizes)
        raise DataError(
            f"{path} has {counted(rows, 'row')}, but POPE's {category} questions are {expected}; get "
            f"coco_pope_{category}.json of AoiDragon/POPE, or build questions of your own (`strop data build pope`)"
        )


def together(samples: Sequence[Sample]) -> list[Sample]:
    """The questions image by image, so that those about one share its work; `DataError` where one is given twice."""
    index_of = {image: index for index, image in enumerate(dict.fromkeys(sample.cluster for sample in samples))}
    twice = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if twice:
        raise DataError(f"POPE's questions ask twice for the same object in the same image: {listed(twice)}; keep one")
    return sorted(samples, key=lambda sample: index_of[sample.cluster])


def object_asked_for(question: str) -> str | None:
    """The object in "Is there a(n) <object> in the image?", or None where the text asks something else."""
    match = _OBJECT.match(question)
    return match["object"].strip().lower() if match else None


def question_name(category: str, image: str, object: str) -> str:
    """The id of a question: what is asked of which image."""
    return f"{category}/{Path(image).stem}/{object.replace(' ', '-')}"


def object_of(row: Row) -> str:
    """The object that a row of questions or labels asks for in its `text`."""
    name = object_asked_for(row.text("text"))
    if name is None:
        raise row.wrong("text", "a question 'Is there a(n) ... in the image?'")
    return name


def label_of(row: Row) -> str:
    """The right answer of a row of labels, "yes" or "no"."""
    return row.one_of("label", ("yes", "no"))


def label_file(folder: Path, category: str) -> Path:
    """The label file of a category in a folder; `DataError` where there is none, or several."""
    exact = folder / f"coco_pope_{category}.json"
    if exact.is_file():
        return exact
    candidates = sorted(path for path in folder.glob("*.json*") if path.name.split(".")[0].endswith(f"_{category}"))
    if len(candidates) != 1:
        names = listed([path.name for path in candidates]) or "no such file"
        raise DataError(f"{folder}: expected one label file coco_pope_{category}.json, found {names}")
    return candidates[0]
