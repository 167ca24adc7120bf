"""Collect the answer to each picture against the answer to another one: a baseline, whose negatives are fluent and owe
nothing to the picture. Reviewers of judge-free self-improvement (arXiv 2411.17760) asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from harness.autonomy import CONTROL
from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class RandomNegative(AskingCollector):
    """The model's answer against its answer to another picture of the round."""

    kind: Literal["random_negative"] = "random_negative"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    order_level: ClassVar[str] = CONTROL

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the answer, that of another sample), with whose it is noted. Every answer is the negative of
        one other sample."""
        own = kept_answers(model, samples, self, self.sampling(seed=seed), advance=advance)
        circle = np.random.default_rng((seed, 12)).permutation(len(samples)).tolist()
        others = dict(zip(circle, [*circle[1:], *circle[:1]], strict=True))
        return [
            group_of(sample, own[number], noted(own[others[number]], answer_to=samples[others[number]].id))
            for number, sample in enumerate(samples)
        ]
