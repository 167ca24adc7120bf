"""Drawing tokens: a stream of numbers of its own for each answer, and the token that a number means."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch


def stream_seed(seed: int, sample: str, draw: int) -> int:
    """A seed of its own for each answer, the same on every machine and in every batch."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{sample}/{draw}".encode()).digest()[:8], "big")


def uniforms(seeds: Sequence[int], steps: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.random.default_rng(seed).random(steps, dtype=np.float32) for seed in seeds]))


def inverse(logits: torch.Tensor, numbers: torch.Tensor, top_p: float | None = None) -> torch.Tensor:
    """The token at which the cumulative probability passes each row's number; with `top_p`, among the nucleus alone."""
    shares = logits.double().softmax(-1)
    if top_p is not None:
        shares = nucleus(shares, top_p)
    cumulative = shares.cumsum(-1)
    chosen = torch.searchsorted(cumulative, numbers[:, None].double() * cumulative[:, -1:], right=True)
    return chosen[:, 0].clamp(max=logits.shape[1] - 1)


def nucleus(shares: torch.Tensor, top_p: float) -> torch.Tensor:
    """The probabilities (rows, tokens) of the fewest tokens of each row that make up `top_p` together, the likeliest
    first, at least one; 0 elsewhere. Source: Holtzman et al., arXiv 1904.09751."""
    ordered, tokens = shares.sort(stable=True, dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(shares).scatter(-1, tokens, ordered.where(before < top_p, 0))
