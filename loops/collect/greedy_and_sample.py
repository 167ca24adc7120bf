"""Collect the greedy answer to each picture beside drawn ones (SIMA, arXiv 2405.15973, has one drawn at 0.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class GreedyAndSample(AskingCollector):
    """The model's greedy answer, and several that are drawn."""

    kind: Literal["greedy_and_sample"] = "greedy_and_sample"
    version: ClassVar[int] = 1
    passes: ClassVar[int] = 2

    temperature: float = Field(default=0.8, gt=0, description="of the drawn answers")
    answers: int = Field(default=1, ge=1, description="to each picture, drawn beside the greedy one")

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of the greedy answer and, behind it, `answers` in the order they were drawn."""
        drawing = self.sampling(seed=seed, n=self.answers)
        greedy = kept_answers(model, samples, self, drawing.greedy, advance=advance)
        drawn = kept_answers(model, samples, self, drawing, advance=advance)
        return [group_of(*row) for row in zip(samples, greedy, drawn, strict=True)]
