"""Answer files marked as every command marks them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.marking import Answered, mark_answers
from harness.results import Marked


def mark_pope(answered: Answered, profile: str) -> Sequence[Marked]:
    return mark_answers(answered.task, answered.samples, answered.answers, profile=profile).rows
