"""Two passes of a model that go on with one answer, mixed token by token: towards the second one, or away from it.

The second pass, the twin, does not see the picture, or sees another one. Towards it lies what the language prior would
say (controlled hallucination, arXiv 2411.17760), away from it what the picture alone accounts for (VCD, M3ID).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.types import Sample

_LARGEST_EXPONENT = 30.0
"""Beyond it nothing but the difference of the passes is left, and soon no number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """How the next-token logits of one row are made of those of its two passes.

    They are ``(1 + w) * seeing - w * twin`` with ``w = weight + exp(growth * t) - 1`` for token t of the answer,
    counted from 0. Where the first pass gives a token less than `cutoff` of the probability of its likeliest one, it is
    not chosen. The twin is asked `beside`, or else the same without pictures. `lead` is the part of the answer that is
    given, not generated; without a `weight` it is all that there is, and no second pass is made.
    """

    weight: float | None = None
    growth: float = 0.0
    cutoff: float = 0.0
    lead: str = ""
    beside: Sample | None = None


def hallucination(ratio: float, lead: str = "") -> Mix:
    """``(1 - ratio) * seeing + ratio * image_free``; `ratio` is the `h_ratio` of judge-free self-improvement."""
    return Mix(weight=-ratio, lead=lead)


def vcd(beside: Sample | None, *, alpha: float = 1.0, beta: float = 0.1) -> Mix:
    """``(1 + alpha) * seeing - alpha * distorted``, among tokens that are at least `beta` times as likely as the
    likeliest (visual contrastive decoding: Leng et al., arXiv 2311.16922, equations 3 and 4)."""
    return Mix(weight=alpha, cutoff=beta, beside=beside)


def m3id(beside: Sample | None = None, *, decay: float = 0.02, beta: float = 0.1) -> Mix:
    """``seeing + (1 - g) / g * (seeing - image_free)`` with ``g = exp(-decay * t)``: the correction grows as the
    picture is forgotten (Favero et al., arXiv 2403.14003), among the tokens that VCD would allow."""
    return Mix(weight=0.0, growth=decay, cutoff=beta, beside=beside)


def mixed(
    seeing: torch.Tensor, twin: torch.Tensor, mixes: Sequence[Mix], steps: Sequence[int], forbidden: torch.Tensor
) -> torch.Tensor:
    """The logits (rows, vocabulary) of token ``steps[n]`` of each row; the columns `forbidden` are never chosen, and so
    do not say what is likely."""
    weights = [
        (mix.weight or 0.0) + math.expm1(min(mix.growth * step, _LARGEST_EXPONENT))
        for mix, step in zip(mixes, steps, strict=True)
    ]
    weight = torch.tensor(weights, device=seeing.device)[:, None]
    logits = (1 + weight) * seeing - weight * twin
    if any(mix.cutoff for mix in mixes):
        cutoffs = torch.tensor([mix.cutoff for mix in mixes], device=seeing.device)[:, None]
        likeliest = seeing.index_fill(-1, forbidden, -torch.inf).amax(-1, keepdim=True)
        logits = logits.masked_fill(seeing < likeliest + cutoffs.log(), -torch.inf)
    return logits
