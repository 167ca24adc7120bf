"""Collect the answer to each picture against itself with parts dropped: a baseline, whose negatives say nothing wrong
and less. Reviewers of judge-free self-improvement (arXiv 2411.17760) asked for it.

What it teaches is to say more: hold its recall and words against its precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.autonomy import CONTROL
from harness.sentences import split_sentences
from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class CaptionDropout(AskingCollector):
    """The model's answer against what is left when some of its sentences, or words, are dropped."""

    kind: Literal["caption_dropout"] = "caption_dropout"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    order_level: ClassVar[str] = CONTROL

    drop: float = Field(default=0.3, gt=0, lt=1, description="the chance of each part to be dropped")
    part: Literal["sentence", "word"] = "sentence"

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the answer, what is left of it), with how many parts were dropped noted. At least one part is
        dropped and one is left: of an answer of one part there is no other."""
        own = kept_answers(model, samples, self, self.sampling(seed=seed), advance=advance)
        rng = np.random.default_rng((seed, 13))
        groups = []
        for sample, answer in zip(samples, own, strict=True):
            ((text, _),) = answer
            parts = split_sentences(text) if self.part == "sentence" else text.split()
            stays = rng.random(len(parts)) >= self.drop
            if len(parts) > 1 and (stays.all() or not stays.any()):
                stays[rng.integers(len(parts))] = not stays[0]
            left = [part for part, stay in zip(parts, stays, strict=True) if stay] if len(parts) > 1 else []
            groups.append(group_of(sample, answer, [(" ".join(left), {"dropped": len(parts) - len(left)})]))
        return groups
