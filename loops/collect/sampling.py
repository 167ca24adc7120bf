"""Collect several answers to each picture, drawn alike: what is better among them is for a verifier to say."""

from __future__ import annotations

from collections.abc import Sequence

from harness.models.vlm import Vlm
from harness.types import Advance, Group, Sample, Sampling
from loops.recipe import Collect


def sampled_answers(
    model: Vlm, samples: Sequence[Sample], recipe: Collect, *, seed: int, advance: Advance | None = None
) -> list[Group]:
    """Groups of `recipe.answers`, in the order they were drawn, which means nothing. The samples are asked without
    gold; an answer depends on the seed, its sample and its number, not on what else is asked."""
    blind = [sample.blind() for sample in samples]
    sampling = Sampling(n=recipe.answers, temperature=recipe.temperature, max_tokens=recipe.max_tokens, seed=seed)
    drawn = model.generate(blind, sampling, advance)
    return [
        Group(sample=sample, answers=tuple(answers), notes=({},) * len(answers))
        for sample, answers in zip(blind, drawn, strict=True)
    ]
