"""Answer files marked by a benchmark's scorer."""

from __future__ import annotations

from harness.results import Marked, mark
from tasks.data.rows import AnswerFile
from tasks.pope.marks import score_pope


def mark_pope(answered: AnswerFile, profile: str) -> list[Marked]:
    return [
        mark(s, a, score_pope(s.target, a, profile)) for s, a in zip(answered.samples, answered.answers, strict=True)
    ]
