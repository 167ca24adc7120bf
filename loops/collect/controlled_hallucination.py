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
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted
from loops.kinds import Part, Study

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class Ratio(Part):
    """A Gaussian from which each pair draws its hallucination ratio, clipped to 0..1."""

    mean: float = 0.5
    std: float = Field(default=0.15, ge=0)


class ControlledHallucination(AskingCollector):
    """The model's own answer against its controlled hallucination."""

    kind: Literal["controlled_hallucination"] = "controlled_hallucination"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2
    mixes: ClassVar[bool] = True

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

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the model's answer, its controlled hallucination), with the ratio and the shared lead noted.

        With `share_prefix` the hallucination begins after some sentences of the answer, at each sentence with the same
        chance, so that the two differ in what the prior did and not in everything; the lead is the answer's own text,
        line ends and all.
        """
        from harness.models.mixing import hallucination

        own = kept_answers(model, samples, self, self.sampling(seed=seed), advance=advance)
        rng = np.random.default_rng((seed, 11))
        drawn = np.clip(rng.normal(self.h_ratio.mean, self.h_ratio.std, len(samples)), 0.0, 1.0)
        ratios = [round(float(ratio), 4) for ratio in drawn]
        mixes = []
        for ratio, ((positive, _),) in zip(ratios, own, strict=True):
            ends = [0, *(end for _, end in sentence_spans(positive))]
            shared = int(rng.integers(len(ends) - 1)) if self.share_prefix and len(ends) > 1 else 0
            mixes.append(hallucination(ratio, lead=positive[: ends[shared]]))
        # numbers of its own: with the answer's, a weak mix would draw the answer again
        negatives = kept_answers(model, samples, self, self.sampling(seed=seed + 1), mixes, advance)
        return [
            group_of(sample, positive, noted(negative, h_ratio=ratio, lead=mix.lead))
            for sample, positive, negative, ratio, mix in zip(samples, own, negatives, ratios, mixes, strict=True)
        ]
