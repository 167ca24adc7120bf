"""Collect the answer to each picture against the answer to the picture distorted.

SeVa (arXiv 2404.10501) has noise or augmentations, STIC (arXiv 2405.19716) low resolution or other colours. Both
answers are drawn by the same numbers, so that they differ by what the picture does not show any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.distortions import DISTORTIONS, distorted_sample
from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

Name = Literal["noise", "noise_linear", "blur", "crop", "low_resolution", "colour", "masked"]


class Distort(AskingCollector):
    """The model's answer against its answer to the distorted picture."""

    kind: Literal["distort"] = "distort"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2

    distortion: Name = Field(default="noise", description="what is done to the picture")
    strength: float | None = Field(
        default=None, description="of the distortion, in its own unit: a step of noise, a share, pixels; else its usual"
    )

    @property
    def amount(self) -> float:
        return DISTORTIONS[self.distortion].strength if self.strength is None else self.strength

    @model_validator(mode="after")
    def _strength_is_one_of_the_distortion(self) -> Self:
        chosen = DISTORTIONS[self.distortion]
        if not chosen.least <= self.amount <= chosen.most:
            raise ValueError(
                f"collect.strength {self.amount:g}: of distortion {self.distortion} it is a {chosen.unit} from "
                f"{chosen.least:g} to {chosen.most:g}"
            )
        return self

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the answer to the picture, the answer to the distorted one), with what was done noted."""
        worse = [distorted_sample(sample, self.distortion, self.amount, seed) for sample in samples]
        drawing = self.sampling(seed=seed)
        own, other = (kept_answers(model, version, self, drawing, advance=advance) for version in (samples, worse))
        note = {"distortion": self.distortion, "strength": self.amount}
        return [
            group_of(sample, answer, noted(wrong, **note))
            for sample, answer, wrong in zip(samples, own, other, strict=True)
        ]
