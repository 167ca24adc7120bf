"""Collect several answers to each picture, drawn alike: what is better among them is for a verifier to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Advance, Group, Sample
from loops.collect.unfinished import AskingCollector, count_unfinished, refuse_unfinished, sampling_of, settle
from loops.kinds import Collecting, Round, Study

if TYPE_CHECKING:
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner


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

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return planner.asking(sampling_of(self, seed=0, n=self.answers))

    def open(self, context: Round) -> Collecting:
        model = context.load_model()

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            return sampled_answers(model, samples, self, seed=context.draw, advance=advance)

        return Collecting(
            collect=collect, facts=count_unfinished, costs=lambda: model.costs, computed={"model": model.computed}
        )


def sampled_answers(
    model: Vlm, samples: Sequence[Sample], recipe: SampledAnswers, *, seed: int, advance: Advance | None = None
) -> list[Group]:
    """Groups of `recipe.answers`, in the order they were drawn, which means nothing. The samples are asked without
    gold; an answer depends on the seed, its sample and its number, not on what else is asked. Raises `RunError` where
    too many answers were cut."""
    blind = [sample.blind() for sample in samples]
    drawn = model.answers(blind, sampling_of(recipe, seed=seed, n=recipe.answers), advance=advance)
    refuse_unfinished([answer for answers in drawn for answer in answers], recipe)
    settled = [[settle(answer, recipe) for answer in answers] for answers in drawn]
    return [
        Group(sample=sample, answers=tuple(text for text, _ in row), notes=tuple(note for _, note in row))
        for sample, row in zip(blind, settled, strict=True)
    ]
