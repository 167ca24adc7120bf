"""Collect the answer to each picture against one that some layers cannot see the picture for (the masked attention of
the survey arXiv 2510.02665).

In the chosen layers no token of text attends to the picture's tokens. Both answers are drawn by the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class MaskedAttention(AskingCollector):
    """The model's answer against the one with the picture hidden from some layers."""

    kind: Literal["masked_attention"] = "masked_attention"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2

    first: float = Field(default=0.5, ge=0, lt=1, description="where the layers begin, as a share of the depth")
    last: float = Field(default=1.0, gt=0, le=1, description="where they end")

    @model_validator(mode="after")
    def _layers_are_in_order(self) -> Self:
        if self.first >= self.last:
            raise ValueError(f"collect.first {self.first:g}: no layer lies from there to collect.last {self.last:g}")
        return self

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the answer, the one with the picture hidden), with from where to where noted."""
        drawing = self.sampling(seed=seed)
        own = kept_answers(model, samples, self, drawing, advance=advance)
        with model.pictures_hidden(self.first, self.last):
            other = kept_answers(model, samples, self, drawing, advance=advance)
        return [
            group_of(sample, answer, noted(wrong, hidden=[self.first, self.last]))
            for sample, answer, wrong in zip(samples, own, other, strict=True)
        ]
