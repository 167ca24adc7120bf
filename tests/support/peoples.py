"""People's data in their layouts, one question about one picture a task: what malformed files are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.files import write_json, write_jsonl
from tasks.chair import questions as chair
from tasks.mathvista import questions as mathvista
from tasks.pope import questions as pope
from tasks.scienceqa import questions as scienceqa

PHOTO = "COCO_val2014_000000000001.jpg"

PICTURES = {
    "pope": f"pope/val2014/{PHOTO}",
    "chair": f"pope/val2014/{PHOTO}",
    "scienceqa": "scienceqa/test/1/image.png",
    "scienceqa_img": "scienceqa/test/1/image.png",
    "mathvista": "mathvista/images/1.jpg",
    "ic": f"pope/val2014/{PHOTO}",
    "grounding": f"pope/val2014/{PHOTO}",
}
"""Task -> the picture that it asks about, below the data folder."""


def expect_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that agree with `write_all`."""
    monkeypatch.setattr(pope.load_questions, "__defaults__", (dict.fromkeys(pope.ROWS, (1,)),))
    monkeypatch.setattr(chair.load_image_ids, "__defaults__", (1,))
    monkeypatch.setattr(scienceqa.load_questions, "__defaults__", (None, scienceqa.Size(questions=1, with_image=1)))
    monkeypatch.setattr(mathvista.load_questions, "__defaults__", (mathvista.Size(questions=1, multi_choice=0),))


def write_all(data: Path) -> None:
    """A data folder of every task, without the pictures."""
    for group in pope.ROWS:
        row = {"question_id": 1, "image": PHOTO, "text": "Is there a cat in the image?", "label": "yes"}
        write_jsonl(data / f"pope/coco_pope_{group}.json", [row])
    write_jsonl(data / "chair/greedy.jsonl", [{"image_id": 1, "caption": "A cat."}])
    write_json(data / "chair/ground_truth_mine.json", {"categories": ["cat"], "images": {"1": [0]}})
    write_json(data / "chair/synonyms.json", {"cat": ["cat"]})
    write_json(data / "chair/double_words.json", {})
    problem = {"question": "Which of these is in the image?", "choices": ["cat", "dog"], "answer": 1, "hint": "",
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
