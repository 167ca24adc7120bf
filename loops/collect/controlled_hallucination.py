"""Collect pairs by controlled hallucination (judge-free self-improvement, arXiv 2411.17760).

For each picture the model gives its own answer, and a second one whose next-token logits are mixed with those of a
pass that does not see the picture; the mixing ratio is drawn from a Gaussian for each pair. The mix goes *towards* the
image-free pass, so the second answer says what the model's language prior would have there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.models.vlm import Hallucination, Vlm
from harness.sentences import sentence_spans
from harness.types import Advance, Group, Sample, Sampling
from loops.collect.unfinished import refuse_unfinished, settle
from loops.recipe import Collect


def controlled_hallucination(
    model: Vlm, samples: Sequence[Sample], recipe: Collect, *, seed: int, advance: Advance | None = None
) -> list[Group]:
    """Groups of two: (the model's answer, its controlled hallucination), with the ratio and the shared lead noted.

    With `share_prefix` the hallucination begins after some sentences of the answer, at each sentence with the same
    chance, so that the two differ in what the prior did and not in everything; the lead is the answer's own text, line
    ends and all. The samples are asked without gold. Raises `RunError` where too many answers were cut.
    """
    blind = [sample.blind() for sample in samples]
    sampling = Sampling(temperature=recipe.temperature, max_tokens=recipe.max_tokens, seed=seed)
    own = [answers[0] for answers in model.answers(blind, sampling, advance=advance)]
    refuse_unfinished(own, recipe)
    positives = [settle(answer, recipe) for answer in own]
    rng = np.random.default_rng((seed, 11))
    ratios = np.clip(rng.normal(recipe.h_ratio.mean, recipe.h_ratio.std, len(samples)), 0.0, 1.0)
    how = []
    for ratio, (positive, _) in zip(ratios, positives, strict=True):
        ends = [0, *(end for _, end in sentence_spans(positive))]
        shared = int(rng.integers(len(ends) - 1)) if recipe.share_prefix and len(ends) > 1 else 0
        how.append(Hallucination(ratio=round(float(ratio), 4), lead=positive[: ends[shared]]))
    other = Sampling(temperature=recipe.temperature, max_tokens=recipe.max_tokens, seed=seed + 1)
    drawn = [answers[0] for answers in model.answers(blind, other, how, advance)]
    refuse_unfinished(drawn, recipe)
    negatives = [settle(answer, recipe, one.lead) for answer, one in zip(drawn, how, strict=True)]
    return [
        Group(
            sample=sample,
            answers=(positive, negative),
            notes=(note, {"h_ratio": one.ratio, "lead": one.lead, **other_note}),
        )
        for sample, (positive, note), (negative, other_note), one in zip(blind, positives, negatives, how, strict=True)
    ]
