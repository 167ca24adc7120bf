"""Two rows of MathVista's testmini.json: a number to be given, and an option to be chosen."""

from __future__ import annotations

METADATA = {
    "language": "english",
    "source": "TQA",
    "category": "general-vqa",
    "task": "figure question answering",
    "context": "table",
    "grade": "college",
    "skills": ["logical reasoning", "numeric commonsense"],
}
QUESTION = {
    "question": "How many?",
    "image": "images/1.jpg",
    "choices": None,
    "precision": None,
    "answer": "5",
    "question_type": "free_form",
    "answer_type": "integer",
    "pid": "1",
    "metadata": METADATA,
}
CHOICE = {**QUESTION, "question_type": "multi_choice", "answer_type": "text", "pid": "2", "choices": ["5", "6"]}
