"""A cache's layer with room for tokens to come, so that a decoded token costs no copy of all those before it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 32
"""Tokens that there is room for, beside a sixteenth of those that are there, when a layer is copied."""


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """A full layer whose keys and values are the beginning of longer tensors.

    They stay what they are in a `DynamicLayer`, (rows, heads, tokens, width), and may be replaced from outside: what
    does not lie in this layer's own room any more is copied into a new one with the next token.
    """

    keys: torch.Tensor
    values: torch.Tensor
    _room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the states of new tokens; returns those of all."""
        length, new = self.get_seq_length(), key_states.shape[-2]
        if not length or torch.is_grad_enabled():  # a prompt's own are not copied; gradients bear no writing in place
            self._room = None
            added: tuple[torch.Tensor, torch.Tensor] = super().update(key_states, value_states, *args, **kwargs)
            return added
        if self._room is None or not self._lies_in(self._room, length + new):
            more = max(new, ROOM + length // 16)
            self._room = _with_room(self.keys, more), _with_room(self.values, more)
        for room, states in zip(self._room, (key_states, value_states), strict=True):
            room[..., length : length + new, :] = states
        self.keys, self.values = (room[..., : length + new, :] for room in self._room)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Keep these rows, in this order."""
        if self._room is None or not self._lies_in(self._room, length := self.get_seq_length()):
            self._room = None
            super().reorder_cache(beam_idx)
            return
        index = beam_idx.to(self.keys.device)
        self._room = self._room[0].index_select(0, index), self._room[1].index_select(0, index)
        self.keys, self.values = (room[..., :length, :] for room in self._room)

    def drop_room(self) -> None:
        """Keep no room: for when keys and values were replaced from outside, since it takes memory."""
        self._room = None

    def _lies_in(self, room: tuple[torch.Tensor, torch.Tensor], length: int) -> bool:
        """Whether keys and values are the beginning of these tensors, which have room for so many tokens."""
        return all(
            states.data_ptr() == longer.data_ptr()
            and states.stride() == longer.stride()
            and states.shape[:2] == longer.shape[:2]
            and longer.shape[-2] >= length
            for states, longer in zip((self.keys, self.values), room, strict=True)
        )


def _with_room(states: torch.Tensor, more: int) -> torch.Tensor:
    """The states at the beginning of a tensor with room for `more` tokens."""
    rows, heads, length, width = states.shape
    longer = states.new_empty(rows, heads, length + more, width)
    longer[..., :length, :] = states
    return longer


def growing_cache(config: Any) -> DynamicCache:
    """A model's cache by its configuration, whose full layers grow in place; those of other kinds are transformers'."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
