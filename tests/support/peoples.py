"""People's data in their layouts, one question about one picture a task: what malformed files are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness.files import write_json, write_jsonl
from harness.types import Task
from tasks import registry
from tasks.chair.task import Chair
from tasks.mathvista.questions import Size as MathVistaSize
from tasks.mathvista.task import MathVista
from tasks.physics.questions import Size as PhysicsSize
from tasks.physics.task import Physics
from tasks.pope.questions import ROWS
from tasks.pope.task import Pope
from tasks.scienceqa.questions import Size as ScienceQaSize
from tasks.scienceqa.task import ScienceQa, ScienceQaImg

PHOTO = "COCO_val2014_000000000001.jpg"

PICTURES = {
    "pope": f"pope/val2014/{PHOTO}",
    "chair": f"pope/val2014/{PHOTO}",
    "scienceqa": "scienceqa/test/1/image.png",
    "scienceqa_img": "scienceqa/test/1/image.png",
    "mathvista": "mathvista/images/1.jpg",
    "physics": "physics/optics.png",
    "ic": f"pope/val2014/{PHOTO}",
    "grounding": f"pope/val2014/{PHOTO}",
}
"""Task -> the picture that it asks about, below the data folder."""


def expect_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks have the sizes of what `write_all` writes."""
    science, mathematics = ScienceQaSize(questions=1, with_image=1), MathVistaSize(questions=1, multi_choice=0)
    replace_tasks(
        monkeypatch,
        pope=partial(Pope, rows=dict.fromkeys(ROWS, (1,))),
        chair=partial(Chair, count=1),
        scienceqa=partial(ScienceQa, size=science),
        scienceqa_img=partial(ScienceQaImg, size=science),
        mathvista=partial(MathVista, size=mathematics),
        physics=partial(Physics, size=PhysicsSize(questions=1, with_figure=1)),
    )


def replace_tasks(monkeypatch: pytest.MonkeyPatch, **makers: Callable[[], Task]) -> None:
    """Tasks of these names are made so."""
    monkeypatch.setattr(registry, "TASKS", {**registry.TASKS, **makers})


def write_all(data: Path) -> None:
    """A data folder of every task, without the pictures."""
    for group in ROWS:
        row = {"question_id": 1, "image": PHOTO, "text": "Is there a cat in the image?", "label": "yes"}
        write_jsonl(data / f"pope/coco_pope_{group}.json", [row])
    write_jsonl(data / "chair/greedy.jsonl", [{"image_id": 1, "caption": "A cat."}])
    write_json(data / "chair/ground_truth_mine.json", {"categories": ["cat"], "images": {"1": [0]}})
    write_json(data / "chair/synonyms.json", {"cat": ["cat"]})
    write_json(data / "chair/double_words.json", {})
    problem = {"question": "Which of these is in the image?", "choices": ["cat", "dog", "bus"], "answer": 1, "hint": "",
               "image": "image.png", "split": "test", "grade": "grade7", "subject": "natural science"}  # fmt: skip
    write_json(data / "scienceqa/problems.json", {"1": problem})
    metadata = {"category": "general-vqa", "context": "table", "grade": "not applicable", "language": "english",
                "skills": ["arithmetic reasoning"], "source": "IconQA", "split": "testmini",
                "task": "figure question"}  # fmt: skip
    question = {"pid": "1", "question": "How many?", "image": "images/1.jpg", "choices": None, "unit": None,
                "precision": None, "answer": "2", "question_type": "free_form", "answer_type": "integer",
                "metadata": metadata}  # fmt: skip
    write_json(data / "mathvista/testmini.json", {"1": question})
    write_json(data / "mathvista/query.json", {"1": "Hint: a number.\nQuestion: How many?"})
    problem = {"id": "optics/1", "questions": "How far?", "final_answers": ["5"], "figures": ["optics.png"]}
    write_jsonl(data / "physics/optics_dataset.jsonl", [problem])
    seen = {"file_name": PHOTO, "objects": ["cat"], "counts": {"cat": 1}}
    write_json(data / "ic/truth.json", {"benchmark": "ic", "version": 1, "categories": ["cat"], "images": {"1": seen}})
    instances = {
        "images": [{"id": 1, "file_name": PHOTO, "width": 64, "height": 48}],
        "annotations": [{"id": 9, "image_id": 1, "category_id": 3, "bbox": [8.5, 6, 32, 24], "iscrowd": 0}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    write_json(data / "grounding/annotations/instances_val2014.json", instances)
    for picture in PICTURES.values():
        (data / picture).parent.mkdir(parents=True, exist_ok=True)
