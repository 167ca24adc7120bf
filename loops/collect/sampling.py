"""Collect several answers to each picture, drawn alike: what is better among them is for a verifier to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class SampledAnswers(AskingCollector):
    """Several answers of the model to each picture."""

    kind: Literal["sampling"] = "sampling"
    version: ClassVar[int] = 1

    answers: int = Field(default=4, ge=2, description="to each picture")

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        if not self.temperature:
            raise ValueError("sampling at temperature 0 gives equal answers; set collect.temperature, e.g. 1.0")
        return self

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of `answers`, in the order they were drawn, which means nothing."""
        drawn = kept_answers(model, samples, self, self.sampling(seed=seed, n=self.answers), advance=advance)
        return [group_of(*row) for row in zip(samples, drawn, strict=True)]
