"""Where the scores of a contrastive encoder turn from false to true.

`sum` pays for a sentence above that zero and charges for one below it. An encoder trained to say how likely a sentence
is true knows its zero, for pictures like those it was trained on (`strop.json`). A web encoder does not: of SigLIP's
sigmoid the bias is -10 to -16, as of the few true pairs among all of a batch, so that every sentence is "false" and
silence would be paid; CLIP has no bias at all. There it is found on sentences of known truth that need no gold: the
model's own, beside their own picture and beside another of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import RecipeError
from harness.pictures import open_picture
from harness.sentences import split_sentences
from harness.types import Group

if TYPE_CHECKING:
    from harness.models.encoder import Encoder

PICTURES = 512
"""So many pictures, at most, are enough to calibrate on."""

BATCH = 64
"""Pictures open at once: as many as the encoder takes in one pass."""

LEAST_TOLD_APART = 0.6
"""Of 0.5 for coins: with less, what is above the zero says next to nothing about the picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Zero:
    """A score in the encoder's own unit; `told_apart`, where it was found or tried on sentences of known truth, is the
    mean of the shares of right ones above it and of wrong ones below it."""

    value: float = 0.0
    told_apart: float | None = None

    @property
    def facts(self) -> dict[str, float]:
        return {"zero": self.value} | ({} if self.told_apart is None else {"told_apart": self.told_apart})


def find_zero(encoder: Encoder, groups: Sequence[Group], *, named: float | None, of_card: float | None) -> Zero:
    """The zero that the recipe names, else that of the encoder's card for such pictures, else the one that errs alike
    on both sides.

    Raises `RecipeError` where it does not tell right sentences from wrong ones, or most right ones lie below it: the
    reward would be for noise or for silence. The card's is believed.
    """
    if named is None and of_card is not None:
        return Zero(value=of_card)
    right, wrong = _known_truths(encoder, groups)
    value = _equal_error(right, wrong) if named is None else named
    above, below = float((right > value).mean()), float((wrong < value).mean())
    told_apart = round((above + below) / 2, 4)
    if above <= 0.5 or told_apart < LEAST_TOLD_APART:
        raise RecipeError(
            f"verify.aggregate sum: above the zero {value:.4g} this encoder puts {above:.0%} of the model's sentences "
            f"beside their own picture and {1 - below:.0%} beside another, which pays for silence or noise; "
            f"{'leave verify.zero out, or ' if named is not None else ''}take verify.aggregate=mean or another encoder"
        )
    return Zero(value=value, told_apart=told_apart)


def _known_truths(encoder: Encoder, groups: Sequence[Group]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the model's own sentences, each group's first answer, beside their picture and beside the next other
    picture among the groups."""
    speaking = [group for group in groups if split_sentences(group.answers[0])][:PICTURES]
    if len({group.sample.cluster for group in speaking}) < 2:
        raise RecipeError(
            "verify.aggregate sum: the encoder's zero is found on descriptions of at least two pictures; raise "
            "collect.samples, or take verify.aggregate=mean"
        )
    others = [speaking[_next_other(speaking, index)] for index in range(len(speaking))]
    return _scores(encoder, speaking, speaking), _scores(encoder, speaking, others)


def _scores(encoder: Encoder, groups: Sequence[Group], shown: Sequence[Group]) -> np.ndarray:
    """Of each sentence of the groups' first answers, once, beside the picture of the group `shown` in its place."""
    scores: list[float] = []
    for start in range(0, len(groups), BATCH):
        batch = slice(start, start + BATCH)
        pictures = [open_picture(group.sample.images[0]) for group in shown[batch]]
        sentences = [sorted(set(split_sentences(group.answers[0]))) for group in groups[batch]]
        scores += [score for row in encoder.match(pictures, sentences) for score in row]
    return np.array(scores)


def _next_other(groups: Sequence[Group], index: int) -> int:
    """Which group is the next of another picture, the first following the last."""
    own = groups[index].sample.cluster
    following: list[int] = [*range(index + 1, len(groups)), *range(index)]
    return next(other for other in following if groups[other].sample.cluster != own)


def _equal_error(right: np.ndarray, wrong: np.ndarray) -> float:
    """The score between two neighbouring ones at which the share of right sentences below it and that of wrong ones
    above it are nearest to each other."""
    scores: np.ndarray = np.unique(np.concatenate([right, wrong]))
    between = (scores[1:] + scores[:-1]) / 2 if len(scores) > 1 else scores
    missed = np.searchsorted(np.sort(right), between) / len(right)
    passed = 1 - np.searchsorted(np.sort(wrong), between) / len(wrong)
    return float(between[np.abs(missed - passed).argmin()])
