"""Collect the answer to a good prompt against the answer to a bad one (STIC, Deng et al., arXiv 2405.19716).

A bad prompt asks for what is not in the picture. The training row keeps the plain prompt, whatever was asked. As STIC
describes it, a share of the negatives comes from the plain prompt and a distorted picture instead (its released code
shows the picture as it is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harness.distortions import DISTORTIONS, distorted_sample
from harness.types import Advance, Group, Sample
from loops.collect.asking import AskingCollector, group_of, kept_answers, noted

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

BAD_PROMPTS = (
    "Describe the image, and name objects that are not shown but could well be in such a scene.",
    "Describe the image with people or animals that are not in it, as if they were.",
    "Describe the image and what lies just outside of it, as if all of it could be seen.",
    "Describe the image with several things added that would be usual in such a place.",
)
GOOD_PROMPT = (
    "Please describe this image in detail: its main subjects and what they do, the setting, the objects with their "
    "number, colour and place, and how they stand to each other. Say only what can be seen."
)
DISTORTED = ("low_resolution", "colour")
"""What STIC does to a picture, one or the other."""


class BadPrompt(AskingCollector):
    """The model's answer to a good prompt against its answer to a bad one."""

    kind: Literal["bad_prompt"] = "bad_prompt"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    passes: ClassVar[int] = 2

    good_prompt: str | None = Field(
        default=GOOD_PROMPT, min_length=1, description="what the answer to prefer is asked by; null: the plain prompt"
    )
    bad_prompts: tuple[str, ...] = Field(
        default=BAD_PROMPTS, min_length=1, description="one is drawn for each answer to avoid"
    )
    distorted: float = Field(
        default=0.5, ge=0, le=1,
        description="share of the answers to avoid that are to the plain prompt and the picture in low resolution or "
        "other colours",
    )  # fmt: skip

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of two: (the answer to the good prompt, the answer to a bad one or a distorted picture), with what was
        asked noted. Both are drawn by the same numbers."""
        rng = np.random.default_rng((seed, 14))
        good = [replace(sample, prompt=self.good_prompt or sample.prompt) for sample in samples]
        worse = [self._worse(sample, seed, rng) for sample in samples]
        drawing = self.sampling(seed=seed)
        chosen = kept_answers(model, good, self, drawing, advance=advance)
        rejected = kept_answers(model, [sample for sample, _ in worse], self, drawing, advance=advance)
        return [
            group_of(sample, answer, noted(wrong, **note))
            for sample, answer, wrong, (_, note) in zip(samples, chosen, rejected, worse, strict=True)
        ]

    def _worse(self, sample: Sample, seed: int, rng: np.random.Generator) -> tuple[Sample, dict[str, str]]:
        """(the sample as it is asked for a worse answer, a note of what was done)."""
        if rng.random() >= self.distorted:
            prompt = self.bad_prompts[rng.integers(len(self.bad_prompts))]
            return replace(sample, prompt=prompt), {"prompt": prompt}
        name = DISTORTED[rng.integers(len(DISTORTED))]
        return distorted_sample(sample, name, DISTORTIONS[name].strength, seed), {"distortion": name}
