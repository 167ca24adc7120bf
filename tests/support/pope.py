"""Three questions of POPE with their labels, and answers to them, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QUESTIONS = [
    {"question_id": 1, "image": "a.jpg", "text": "Is there a cat in the image?", "category": "random"},
    {"question_id": 2, "image": "a.jpg", "text": "Is there an apple in the image?", "category": "random"},
    {"question_id": 3, "image": "b.jpg", "text": "Is there a cat in the image?", "category": "random"},
]
LABELS = [{**row, "label": label} for row, label in zip(QUESTIONS, ("yes", "no", "yes"), strict=True)]
ANSWERS = [{"question_id": n, "text": answer} for n, answer in ((1, "Yes"), (2, "No"), (3, "unsure"))]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write JSON lines, with the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_data(folder: Path) -> Path:
    """Write a data folder of the three questions."""
    write_lines(folder / "pope/llava_pope_test.jsonl", QUESTIONS)
    write_lines(folder / "pope/coco_pope_random.json", LABELS)
    return folder


def write_answers(path: Path) -> Path:
    """Write an answer to each question: "Yes", "No", "unsure"."""
    return write_lines(path, ANSWERS)
