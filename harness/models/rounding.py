"""Weights rounded to 16 bits so that a small change of them is kept.

A weight of 16 bits that changes by less than half the gap to its neighbour is, rounded to the nearest, what it was
before: of a training at a small learning rate most would be lost. Here each weight becomes one of its two neighbours,
the nearer the likelier (stochastic rounding, as in Gupta et al. 2015, arXiv 1502.02551), so that the sum of many is
what it was.
"""

from __future__ import annotations

import torch


def draws() -> torch.Generator:
    """What a model's weights are rounded by: the same numbers each time, so that a training makes one model."""
    return torch.Generator().manual_seed(0)


def rounded(values: torch.Tensor, dtype: torch.dtype, drawn: torch.Generator) -> torch.Tensor:
    """Float32 values in a type of 16 bits; those that it holds exactly stay as they are."""
    nearest = values.to(dtype)
    error = values - nearest.float()
    other = torch.nextafter(nearest, torch.copysign(torch.full_like(error, torch.inf), error).to(dtype))
    share = error / (other.float() - nearest.float())
    numbers = torch.rand(values.shape, generator=drawn).to(values.device)
    return torch.where(numbers < share, other, nearest)
