"""Collect pairs by controlled hallucination (judge-free self-improvement, arXiv 2411.17760).

For each picture the model gives its own answer, and a second one whose next-token logits are mixed with those of a
pass that does not see the picture; the mixing ratio is drawn from a Gaussian for each pair. The mix goes *towards* the
image-free pass, so the second answer says what the model's language prior would have there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.errors import RecipeError
from harness.sentences import sentence_spans
from harness.types import Advance, Group, Sample
from loops.collect.unfinished import AskingCollector, count_unfinished, refuse_unfinished, sampling_of, settle
from loops.kinds import Collecting, Part, Round, Study

if TYPE_CHECKING:
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner


class Ratio(Part):
    """A Gaussian from which each pair draws its hallucination ratio, clipped to 0..1."""

    mean: float = 0.5
    std: float = Field(default=0.15, ge=0)


class ControlledHallucination(AskingCollector):
    """The model's own answer against its controlled hallucination."""

    kind: Literal["controlled_hallucination"] = "controlled_hallucination"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True

    h_ratio: Ratio = Ratio()
    share_prefix: bool = Field(
        default=True, description="a controlled hallucination starts with some sentences of the model's own answer"
    )

    def refuse(self, study: Study) -> None:
        if not self.temperature and self.h_ratio.mean <= 0 and not self.h_ratio.std:
            raise RecipeError(
                f"collect.h_ratio {self.h_ratio.mean:g}: at temperature 0 a hallucination mixed so is the answer "
                "itself, and no pair is left; raise it, or collect.temperature"
            )

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return planner.asking(sampling_of(self, seed=0), twins=True)

    def open(self, context: Round) -> Collecting:
        model = context.load_model()

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            return controlled_hallucination(model, samples, self, seed=context.draw, advance=advance)

        # a controlled hallucination is a second pass over the pool
        return Collecting(
            collect=collect,
            passes=2,
            facts=count_unfinished,
            costs=lambda: model.costs,
            computed={"model": model.computed},
        )


def controlled_hallucination(
    model: Vlm, samples: Sequence[Sample], recipe: ControlledHallucination, *, seed: int, advance: Advance | None = None
) -> list[Group]:
    """Groups of two: (the model's answer, its controlled hallucination), with the ratio and the shared lead noted.

    With `share_prefix` the hallucination begins after some sentences of the answer, at each sentence with the same
    chance, so that the two differ in what the prior did and not in everything; the lead is the answer's own text, line
    ends and all. The samples are asked without gold. Raises `RunError` where too many answers were cut.
    """
    from harness.models.vlm import Hallucination

    blind = [sample.blind() for sample in samples]
    own = [answers[0] for answers in model.answers(blind, sampling_of(recipe, seed=seed), advance=advance)]
    refuse_unfinished(own, recipe)
    positives = [settle(answer, recipe) for answer in own]
    rng = np.random.default_rng((seed, 11))
    ratios = np.clip(rng.normal(recipe.h_ratio.mean, recipe.h_ratio.std, len(samples)), 0.0, 1.0)
    mixes = []
    for ratio, (positive, _) in zip(ratios, positives, strict=True):
        ends = [0, *(end for _, end in sentence_spans(positive))]
        shared = int(rng.integers(len(ends) - 1)) if recipe.share_prefix and len(ends) > 1 else 0
        mixes.append(Hallucination(ratio=round(float(ratio), 4), lead=positive[: ends[shared]]))
    other = sampling_of(recipe, seed=seed + 1)
    drawn = [answers[0] for answers in model.answers(blind, other, mixes, advance)]
    refuse_unfinished(drawn, recipe)
    negatives = [settle(answer, recipe, mix.lead) for answer, mix in zip(drawn, mixes, strict=True)]
    return [
        Group(
            sample=sample,
            answers=(positive, negative),
            notes=(note, {"h_ratio": mix.ratio, "lead": mix.lead, **other_note}),
        )
        for sample, (positive, note), (negative, other_note), mix in zip(
            blind, positives, negatives, mixes, strict=True
        )
    ]
