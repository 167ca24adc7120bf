"""Collect several answers to each picture, drawn alike: what is better among them is for a verifier to say."""

from __future__ import annotations

from collections.abc import Sequence

from harness.models.vlm import Vlm
from harness.types import Advance, Group, Sample, Sampling
from loops.collect.unfinished import refuse_unfinished, settle
from loops.recipe import Collect


def sampled_answers(
    model: Vlm, samples: Sequence[Sample], recipe: Collect, *, seed: int, advance: Advance | None = None
) -> list[Group]:
    """Groups of `recipe.answers`, in the order they were drawn, which means nothing. The samples are asked without
    gold; an answer depends on the seed, its sample and its number, not on what else is asked. Raises `RunError` where
    too many answers were cut."""
    blind = [sample.blind() for sample in samples]
    sampling = Sampling(n=recipe.answers, temperature=recipe.temperature, max_tokens=recipe.max_tokens, seed=seed)
    drawn = model.answers(blind, sampling, advance=advance)
    refuse_unfinished([answer for answers in drawn for answer in answers], recipe)
    settled = [[settle(answer, recipe) for answer in answers] for answers in drawn]
    return [
        Group(sample=sample, answers=tuple(text for text, _ in row), notes=tuple(note for _, note in row))
        for sample, row in zip(blind, settled, strict=True)
    ]
