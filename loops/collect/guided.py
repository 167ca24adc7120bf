"""Collect answers to a prompt that guides the model, against its answer to the plain one.

A guide asks for a chain of thought (the survey arXiv 2510.02665 names it as guided generation) or for a detailed answer
(STIC, arXiv 2405.19716). The training row keeps the plain prompt: the model learns to answer without its guide as it
does with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

STEPS = "{prompt}\nThink step by step about what the image shows, then end with 'The answer is ...'."


def with_guide(sample: Sample, guide: str) -> Sample:
    """The sample asked by the guide, in which its own prompt stands for {prompt}."""
    return replace(sample, prompt=guide.replace("{prompt}", sample.prompt))


class Guided(AskingCollector):
    """The model's answers to a guiding prompt, and its answer to the plain one behind them."""

    kind: Literal["guided"] = "guided"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2

    guide: str = Field(default=STEPS, min_length=1, description="{prompt} in it stands for the plain prompt")
    answers: int = Field(default=1, ge=1, description="to the guide")

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        if self.answers > 1 and not self.temperature:
            raise ValueError("collect.answers: at temperature 0 they are equal; set collect.temperature, e.g. 1.0")
        return self

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of `answers` to the guide and, last, the one to the plain prompt."""
        guides = [with_guide(sample, self.guide) for sample in samples]
        guided = kept_answers(model, guides, self, self.sampling(seed=seed, n=self.answers), advance=advance)
        plain = kept_answers(model, samples, self, self.sampling(seed=seed), advance=advance)
        return [
            group_of(sample, noted(with_it, guided=True), without)
            for sample, with_it, without in zip(samples, guided, plain, strict=True)
        ]
