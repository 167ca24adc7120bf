"""Whose data PHYSICS needs, under which licence, and where they come from."""

from __future__ import annotations

from tasks.data.sources import Source
from tasks.physics.questions import SUBJECTS

REPOSITORY = "yale-nlp/Physics"
REVISION = "15dc8d9"
"""The authors publish there, and not on the hub."""

SOURCES = tuple(
    Source(
        task="physics",
        file=f"{subject}_dataset.jsonl",
        about=f"problems of {subject}, with their figures as data URLs",
        origin=f"{REPOSITORY} {REVISION}, PHYSICS/",
        licence="MIT; texts and drawings look like those of printed examinations, so for testing only",
        needed=True,
    )
    for subject in SUBJECTS
)
