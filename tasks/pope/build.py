"""POPE's questions from anybody's annotations: which objects are asked for, by the authors' definitions.

Of a picture, as many objects are asked for that are there as objects that are not, in three groups that share the
former and differ in how the latter are chosen:
random: any absent object;
popular: the absent objects that are in most of the chosen pictures;
adversarial: for each object asked for that is there, the absent one that is most often in a picture with it.
Frequencies are counted over the chosen pictures, and an object that is in none of them is never asked for. Ties go by
name. Source: AoiDragon/POPE (protocols, POPE). Under these definitions all 500 images of the published popular and
adversarial files have the negatives that they should, ties aside (`tests/tasks/pope/test_build.py`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from harness.errors import DataError, UsageError
from harness.files import digest_of_file, digest_of_json, read_json, write_json, write_text
from tasks.data.annotations import annotation_files, read_instances
from tasks.data.presence import Presence, most_frequent, presence
from tasks.data.rows import as_row
from tasks.pope.questions import INSTRUCTION, ROWS
from tasks.reading.readers import YesNo

GROUPS = tuple(ROWS)
EACH = 3
"""Objects of a picture asked for that are there, and again as many that are not, in each group."""

LABEL_FILE = "coco_pope_{group}.json"
QUESTION_FILE = "llava_pope_test.jsonl"
BUILD_FILE = "build.json"

# Ids are unique over the groups of LLaVA's file, and each group starts where it does there.
_FIRST_ID: Mapping[str, int] = MappingProxyType({"adversarial": 1, "random": 10_000_001, "popular": 20_000_001})


@dataclass(frozen=True, kw_only=True, slots=True)
class PopeQuestion:
    """Is this object in this picture?"""

    image: str
    object: str
    label: YesNo


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltSet:
    """Questions that were made here and are not the published ones: `rows` counts them by group.

    `about` names the draw in one line, with a digest of the files; `annotations` are the files it was made from.
    """

    rows: Mapping[str, int]
    about: str
    annotations: tuple[str, ...]


def draw_questions(
    pictures: Mapping[str, Collection[str]], images: int, rng: np.random.Generator
) -> dict[str, list[PopeQuestion]]:
    """Group -> its questions: `images` pictures drawn from those with `EACH` objects or more, yes and no in turn.

    The same pictures (name -> objects, in any order) and the same state of `rng` give the same questions. Raises
    `DataError` where too few pictures have objects enough, or the chosen ones too few that are absent from one of them.
    """
    rich = sorted(name for name, objects in pictures.items() if len(set(objects)) >= EACH)
    if not 0 < images <= len(rich):
        raise DataError(
            f"{len(rich)} of {len(pictures)} images have {EACH} objects or more and {images} were asked for; "
            f"ask for 1 to {len(rich)}, or annotate more"
        )
    chosen = [rich[index] for index in rng.permutation(len(rich))[:images]]
    counted = presence(pictures[name] for name in chosen)
    questions: dict[str, list[PopeQuestion]] = {group: [] for group in GROUPS}
    for image in chosen:
        present = sorted(set(pictures[image]))
        absent = sorted(set(counted.alone) - set(present))
        if len(absent) < EACH:
            raise DataError(
                f"image {image} lacks only {len(absent)} of the {len(counted.alone)} objects that occur in the chosen "
                f"images, and {EACH} are needed; ask for more images"
            )
        positives = [str(name) for name in rng.permutation(present)[:EACH]]
        for group, negatives in _negatives(positives, absent, counted, rng).items():
            for positive, negative in zip(positives, negatives, strict=True):
                questions[group].append(PopeQuestion(image=image, object=positive, label="yes"))
                questions[group].append(PopeQuestion(image=image, object=negative, label="no"))
    return questions


def questions_from_coco(folder: Path, images: int, seed: int) -> dict[str, list[PopeQuestion]]:
    """`draw_questions` of the pictures in a folder of COCO instances, named by their files.

    Raises the errors of `tasks.data.annotations.read_instances`, and `DataError` where two images have one file name.
    """
    annotated = read_instances(folder)
    pictures = {image.file_name: image.objects for image in annotated.values()}
    if len(pictures) < len(annotated):
        raise DataError(
            f"{folder}: {len(annotated)} images have {len(pictures)} file names, and questions are told apart by them; "
            "keep one instances file an image"
        )
    return draw_questions(pictures, images, np.random.default_rng(seed))


def build_set(coco: Path, folder: Path, images: int, seed: int) -> dict[str, Any]:
    """Write `questions_from_coco` into a folder, and last `BUILD_FILE`: what they were made from, counts and digests.

    Returns what `BUILD_FILE` holds. Raises the errors of `questions_from_coco` and of `write_questions`.
    """
    questions = questions_from_coco(coco, images, seed)
    files = write_questions(folder, questions)
    record = {
        "benchmark": "pope",
        "seed": seed,
        "images": images,
        "questions": {group: len(rows) for group, rows in questions.items()},
        "annotations": {path.name: digest_of_file(path) for path in annotation_files(coco, "instances")},
        "files": {path.name: digest_of_file(path) for path in files},
        "strop": version("strop"),
    }
    write_json(folder / BUILD_FILE, record)
    return record


def built_set(folder: Path) -> BuiltSet | None:
    """What `build_set` left in a folder, None where it left nothing.

    Raises `DataError` where a file is not the one that was built: other people's questions are not asked as one's own.
    """
    path = folder / BUILD_FILE
    if not path.is_file():
        return None
    record = as_row(str(path), read_json(path))
    rows, files = record.inner("questions"), record.inner("files")
    for name in files.content:
        if not (folder / name).is_file() or digest_of_file(folder / name) != files.text(name):
            raise DataError(
                f"{folder / name} is not the file that {BUILD_FILE} beside it tells of; build the set again, or remove "
                f"{BUILD_FILE} if the questions are somebody else's"
            )
    drawn = f"{record.integer('images')} images drawn with seed {record.integer('seed')}"
    return BuiltSet(
        rows={group: rows.integer(group) for group in rows.content},
        about=f"built by Strop, {drawn}, {digest_of_json(files.content)[:12]}",
        annotations=tuple(record.inner("annotations").content),
    )


def write_questions(folder: Path, questions: Mapping[str, Sequence[PopeQuestion]]) -> list[Path]:
    """Write the authors' label files and LLaVA's question file, as `tasks.pope.answers.load_answers` reads them.

    ``coco_pope_<group>.json`` has an object a line with `question_id` (from 1 in each file), `image`, `text`, `label`;
    `llava_pope_test.jsonl` all questions with ids of their own, `category`, and the request for a short answer. Raises
    `UsageError` where the folder holds other questions; the same ones are written again.
    """
    contents = {
        LABEL_FILE.format(group=group): [
            {
                "question_id": number,
                "image": question.image,
                "text": question_text(question.object),
                "label": question.label,
            }
            for number, question in enumerate(rows, start=1)
        ]
        for group, rows in questions.items()
    }
    contents[QUESTION_FILE] = [
        {
            "question_id": number,
            "image": question.image,
            "text": f"{question_text(question.object)}\n{INSTRUCTION}",
            "category": group,
        }
        for group, first in _FIRST_ID.items()
        for number, question in enumerate(questions[group], start=first)
    ]
    files = {
        folder / name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        for name, rows in contents.items()
    }
    for path, text in files.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise UsageError(f"{path} holds other questions; name another folder or remove it")
    for path, text in files.items():
        write_text(path, text)
    return list(files)


def _negatives(
    positives: Sequence[str], absent: Sequence[str], counted: Presence, rng: np.random.Generator
) -> dict[str, list[str]]:
    adversarial: list[str] = []
    for positive in positives:
        company = counted.together[positive]
        free = [name for name in absent if name not in adversarial]
        seen = most_frequent((name for name in free if company.get(name)), company)
        # What is there may never be seen with anything that is not; then any absent object will do.
        adversarial.append(seen[0] if seen else str(rng.choice(free)))
    return {
        "random": [str(name) for name in rng.choice(absent, len(positives), replace=False)],
        "popular": most_frequent(absent, counted.alone)[: len(positives)],
        "adversarial": adversarial,
    }


def question_text(name: str) -> str:
    """The words in which an object is asked for."""
    # By the letter, as at the source: it is what published questions say.
    return f"Is there {'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name} in the image?"
