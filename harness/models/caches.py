"""Key-value caches of prefixes, branched for the rows that go on from them."""

from __future__ import annotations

import torch
from transformers import DynamicCache


def branch(
    prefixes: DynamicCache,
    owners: torch.Tensor,
    twins: DynamicCache | None = None,
    twin_owners: torch.Tensor | None = None,
) -> DynamicCache:
    """A cache with a row for each owner, copied from the prefix it names, and behind them one for each twin."""
    cache = DynamicCache()
    for number, layer in enumerate(prefixes.layers):
        states = [layer.keys.index_select(0, owners), layer.values.index_select(0, owners)]
        if twins is not None and twin_owners is not None:
            twin, width = twins.layers[number], layer.keys.shape[2]
            states = [
                torch.cat([seeing, widened(free.index_select(0, twin_owners), width, dim=2)])
                for seeing, free in zip(states, (twin.keys, twin.values), strict=True)
            ]
        cache.update(*states, number)
    return cache


def widened(values: torch.Tensor, width: int, *, dim: int) -> torch.Tensor:
    """As wide as that in a dimension, by zeros (nothing, in a mask) on the left."""
    shape = list(values.shape)
    shape[dim] = width - shape[dim]
    return torch.cat([values.new_zeros(shape), values], dim=dim)
