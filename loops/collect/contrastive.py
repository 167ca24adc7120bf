"""Collect better positives: the answer away from what is said without the picture, against the plain answer.

VCD (arXiv 2311.16922) goes away from the pass that sees a noised picture, M3ID (arXiv 2403.14003) from the one that
sees none, the more the longer the answer is. It is the other direction of controlled hallucination, by the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harness.distortions import DISTORTIONS, distorted_sample
from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


class Contrastive(AskingCollector):
    """The model's answer away from a pass that sees less, against its own answer."""

    kind: Literal["contrastive"] = "contrastive"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2
    mixes: ClassVar[bool] = True

    formula: Literal["vcd", "m3id"] = "vcd"
    strength: float | None = Field(
        default=None, gt=0, description="how far away: alpha of vcd, 1 by default; decay a token of m3id, 0.02"
    )
    away_from: Literal["noise", "blind"] | None = Field(
        default=None,
        description="what the other pass sees: noise at step 500, as vcd has it, or nothing, as m3id has it",
    )
    cutoff: float = Field(
        default=0.1, ge=0, le=1, description="tokens that the plain pass gives less than this of its likeliest are out"
    )

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the answer away from the other pass, the plain answer), drawn by the same numbers."""
        from harness.models.mixing import m3id, vcd

        seen = self.away_from or {"vcd": "noise", "m3id": "blind"}[self.formula]
        strength = DISTORTIONS["noise"].strength
        besides = [distorted_sample(sample, "noise", strength, seed) if seen == "noise" else None for sample in samples]
        if self.formula == "vcd":
            mixes = [vcd(beside, alpha=self.strength or 1.0, beta=self.cutoff) for beside in besides]
        else:
            mixes = [m3id(beside, decay=self.strength or 0.02, beta=self.cutoff) for beside in besides]
        drawing = self.sampling(seed=seed)
        better = kept_answers(model, samples, self, drawing, mixes, advance)
        own = kept_answers(model, samples, self, drawing, advance=advance)
        return [
            group_of(sample, noted(answer, formula=self.formula, away_from=seen), plain)
            for sample, answer, plain in zip(samples, better, own, strict=True)
        ]
