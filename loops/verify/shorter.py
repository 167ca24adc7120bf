"""Verify by length alone: what a method earns beyond it is not earned by brevity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.autonomy import CONTROL
from harness.errors import RecipeError
from harness.types import Group, Sample, Verdict
from loops.kinds import Each, Study, Verifier, Verifying
from loops.select.pairs import BestAgainstWorst


class Shorter(Verifier):
    """Prefers the answer of fewer words and opens no picture."""

    kind: Literal["shorter"] = "shorter"
    version: ClassVar[int] = 1
    level: ClassVar[str] = CONTROL
    overrules: ClassVar[bool] = True

    def refuse(self, study: Study) -> None:
        if isinstance(study.select, BestAgainstWorst) and study.select.max_word_gap == 0:
            raise RecipeError(
                "select.max_word_gap 0: answers of as many words earn alike by verify.kind shorter, so no pair is "
                "left; raise it"
            )

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        return Each(judge=fewer_words)


def fewer_words(sample: Sample, answer: str) -> Verdict:
    """A point off for each word."""
    return Verdict(reward=-float(len(answer.split())))
