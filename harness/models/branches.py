"""Rows of tokens with the caches behind them: read, branched, joined and gone on with, for any model of transformers
that generates from a cache.

Everything goes through the hooks that `generate` itself calls, so that no family needs a rule of its own: positions by
``_prepare_position_ids_for_generation``, inputs by ``prepare_inputs_for_generation``, and a cache made of the model's
configuration (full, windowed, recurrent, indexed or shared layers), of which rows are taken by ``reorder_cache``, the
one method that every kind of layer has. The first two have private names; the versions are pinned, and the tests of
families hold them.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from transformers import DynamicCache
from transformers.cache_utils import LinearAttentionCacheLayerMixin

from harness.errors import ModelError
from harness.models.growing import GrowingLayer, growing_cache
from harness.models.hiding import Sight

Prefix = Literal[
    "shared prefix",
    "shared prefix, one picture a prefill",
    "whole prompts, picture features shared",
    "whole prompts",
]
PREFIXES: tuple[Prefix, ...] = get_args(Prefix)
WHOLE = PREFIXES[2:]
"""What questions about one picture share, from the fastest down: the cache of everything up to the picture's last
token, read for many pictures at once or for each apart (where pictures of one batch disturb each other or cannot be
batched); what the tower makes of the picture (where a prompt is attended both ways); or nothing."""

_JOINED = (("keys", -2), ("values", -2), ("indexer_keys", 1))
"""The tensors of a cache's layer that hold a value for each token, and the dimension that tokens lie along."""


def along(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inputs that go with the ids token by token, beside their mask; by name, since shapes may coincide."""
    return {
        name: values
        for name, values in inputs.items()
        if name == "cross_attention_mask" or name.endswith("token_type_ids")
    }


def padded(
    tensors: Sequence[torch.Tensor], dim: int, *, side: Literal["left", "right"] = "left", filler: int = 0
) -> torch.Tensor:
    """Tensors of different length in `dim` as one batch: the filler goes to one side, never between tokens."""
    longest = max(values.shape[dim] for values in tensors)
    filled = []
    for values in tensors:
        shape = list(values.shape)
        shape[dim] = longest - values.shape[dim]
        gap = values.new_full(shape, filler)
        filled.append(torch.cat([gap, values] if side == "left" else [values, gap], dim) if shape[dim] else values)
    return torch.cat(filled) if len(filled) > 1 else filled[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """R rows of L tokens that a model has read. `following` ((planes,) R) is the position of each row's next text
    token; `along` is what goes with the ids token by token."""

    cache: DynamicCache
    ids: torch.Tensor
    mask: torch.Tensor
    following: torch.Tensor
    along: Mapping[str, torch.Tensor]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def signature(self) -> tuple[Any, ...]:
        """Rows of one signature can be joined: others are told apart by what goes along (cross-attention)."""
        return tuple(sorted((name, tuple(values.shape[2:])) for name, values in self.along.items()))

    def branched(self, index: torch.Tensor) -> Rows:
        """A row for each number of a row here; the cache here stays as it is."""
        return replace(self, cache=copy.deepcopy(self.cache)).taken(index)

    def taken(self, index: torch.Tensor) -> Rows:
        """A row for each number of a row here, whose cache it takes over."""
        self.cache.reorder_cache(index)
        return Rows(
            cache=self.cache,
            ids=self.ids[index],
            mask=self.mask[index],
            following=self.following[..., index],
            along={name: values[index] for name, values in self.along.items()},
        )


def joined(rows: Sequence[Rows]) -> Rows:
    """Rows that were read apart, as one batch, padded at the very left; takes over the first one's cache."""
    if len(rows) == 1:
        return rows[0]
    cache = rows[0].cache
    for layer, *others in zip(cache.layers, *(other.cache.layers for other in rows[1:]), strict=True):
        _join_layer(layer, [layer, *others])
    return Rows(
        cache=cache,
        ids=padded([batch.ids for batch in rows], 1),
        mask=padded([batch.mask for batch in rows], 1),
        following=torch.cat([batch.following for batch in rows], -1),
        along={name: padded([batch.along[name] for batch in rows], 1) for name in rows[0].along},
    )


def _join_layer(layer: Any, layers: Sequence[Any]) -> None:
    """Put the states of all layers into the first."""
    for name, dim in _JOINED:
        if torch.is_tensor(getattr(layer, name, None)):
            setattr(layer, name, padded([getattr(each, name) for each in layers], dim))
    if isinstance(layer, GrowingLayer):
        layer.drop_room()
    if torch.is_tensor(getattr(layer, "indexer_position_ids", None)):  # (planes, rows, tokens)
        layer.indexer_position_ids = padded(
            [each.indexer_position_ids.transpose(0, 1) for each in layers], 2
        ).transpose(0, 1)
    if hasattr(layer, "cumulative_length"):
        layer.cumulative_length = max(each.cumulative_length for each in layers)
    for name in ("conv_states", "recurrent_states"):
        states = getattr(layer, name, None) or {}
        for number, values in states.items():
            if values is not None:
                states[number] = torch.cat([getattr(each, name)[number] for each in layers])


class Branching:
    """A model that reads rows from a cache; `filler` is the number of any token of text. `sight`, where there is one,
    is told what every pass reads."""

    def __init__(self, model: Any, *, filler: int) -> None:
        self.model, self.filler = model, filler
        self.sight: Sight | None = None
        accepted = inspect.signature(model.forward).parameters
        self._keeps = "logits_to_keep" in accepted
        self._names = None if "kwargs" not in accepted else frozenset(accepted)

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def accepted(self, inputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """A processor's output as the model takes it: on its device, of its precision, and nothing else (labels)."""
        return {
            name: values.to(self.device, self.model.dtype if values.is_floating_point() else None)
            for name, values in inputs.items()
            if name != "labels" and torch.is_tensor(values) and (self._names is None or name in self._names)
        }

    def features(self, pixels: Mapping[str, torch.Tensor], order: Sequence[int]) -> dict[str, Any]:
        """What the tower makes of some pictures, as inputs of the model in their stead: picture ``order[n]`` is the
        n-th. Raises `ValueError` where the model does not take it, or not a picture apart."""
        inputs = self.model._prepare_multimodal_encoder_kwargs_for_generation(self.accepted(pixels))
        outputs = inputs["mm_encoder_outputs"].get("image")
        pooled = getattr(outputs, "pooler_output", None)
        if isinstance(pooled, list | tuple):
            outputs.pooler_output = [pooled[number] for number in order]
        elif torch.is_tensor(pooled) and pooled.ndim == 3 and len(pooled) == max(order) + 1:
            outputs.pooler_output = pooled[torch.tensor(order, device=pooled.device)]
        else:
            raise ValueError("the model's picture features cannot be shared")
        return dict(inputs)

    def empty_cache(self) -> DynamicCache:
        return growing_cache(self.model.config)

    def tidy(self, rows: Rows, more: int) -> bool:
        """Whether no padding may lie between the tokens of these rows, `more` tokens on: recurrent layers read it, and
        windows count it."""
        longest = rows.ids.shape[1] + more
        for layer in rows.cache.layers:
            if isinstance(layer, LinearAttentionCacheLayerMixin):
                return True
            if getattr(layer, "is_sliding", False) and longest >= int(layer.sliding_window):
                return True
        return False

    def prefill(self, inputs: Mapping[str, torch.Tensor], keep: int = 1) -> tuple[torch.Tensor, Rows]:
        """(logits of the last `keep` tokens, the rows) of `input_ids` and `attention_mask` padded on the left, what
        goes along, and pictures."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        beside = along(inputs)
        # positions are asked for with a token more: its own is where text goes on, in every plane of them
        longer = {
            name: torch.cat([values, values.new_zeros(len(values), 1, *values.shape[2:])], 1)
            for name, values in {**beside, "input_ids": ids, "attention_mask": mask}.items()
        }
        longer["attention_mask"][:, -1], longer["input_ids"][:, -1] = 1, self.filler
        positions = self.model._prepare_position_ids_for_generation(longer["input_ids"], {**inputs, **longer})
        others = {name: values for name, values in inputs.items() if name != "input_ids"}
        logits, cache = self._forward(
            ids, keep, positions[..., :-1], is_first_iteration=True, past_key_values=self.empty_cache(), **others
        )
        following = positions[..., -1].expand(*positions.shape[:-2], len(ids))
        return logits, Rows(cache=cache, ids=ids, mask=mask, following=following, along=beside)

    def extend(
        self, rows: Rows, ids: torch.Tensor, real: torch.Tensor | None = None, keep: int = 1
    ) -> tuple[torch.Tensor, Rows]:
        """(logits of the last `keep` tokens, the rows with `ids` (R, n) behind them); `real` (R, n) is 0 on padding,
        which lies to the left of a row's new tokens."""
        count = ids.shape[1]
        present = torch.ones_like(ids) if real is None else real
        positions = rows.following[..., None] + (present.cumsum(1) - 1).clamp(min=0)
        beside = {
            name: torch.cat(
                [values, values[:, -1:].expand(-1, count, *values.shape[2:])]
                if name == "cross_attention_mask"
                else [values, torch.zeros_like(ids)],
                1,
            )
            for name, values in rows.along.items()
        }
        all_ids, mask = torch.cat([rows.ids, ids], 1), torch.cat([rows.mask, present], 1)
        logits, cache = self._forward(
            all_ids,
            keep,
            positions,
            is_first_iteration=False,
            next_sequence_length=count,
            past_key_values=rows.cache,
            attention_mask=mask,
            **beside,
        )
        return logits, Rows(cache=cache, ids=all_ids, mask=mask, following=positions[..., -1] + 1, along=beside)

    def _forward(
        self, ids: torch.Tensor, keep: int, positions: torch.Tensor, **others: Any
    ) -> tuple[torch.Tensor, DynamicCache]:
        if self.sight:
            self.sight.ids, self.sight.mask = ids, others["attention_mask"]
        keeping = {"logits_to_keep": keep} if self._keeps else {}
        inputs = self.model.prepare_inputs_for_generation(
            ids, position_ids=positions, use_cache=True, **keeping, **others
        )
        if inputs.get("position_ids") is None:  # a few classes take them out, and would then count padding too
            inputs["position_ids"] = positions
        output = self.model(**inputs)
        if (cache := getattr(output, "past_key_values", None)) is None:
            raise ModelError("models of this class give no cache back (past_key_values) that an answer goes on from")
        return output.logits[:, -keep:], cache


class Lanes:
    """Rows that are decoded together, in as few batches as their caches allow: lane n is row n of the logits."""

    def __init__(self, branching: Branching, batches: Sequence[tuple[Rows, Sequence[int]]]) -> None:
        self.branching = branching
        alike: dict[tuple[Any, ...], list[tuple[Rows, Sequence[int]]]] = {}
        for rows, lanes in batches:
            alike.setdefault(rows.signature, []).append((rows, lanes))
        self.batches = [
            (joined([rows for rows, _ in group]), [lane for _, lanes in group for lane in lanes])
            for group in alike.values()
        ]

    @property
    def passes(self) -> int:
        """How many forward passes a step takes."""
        return len(self.batches)

    def step(self, ids: torch.Tensor) -> torch.Tensor:
        """The logits (lanes, vocabulary) behind one more token (lanes, 1) each."""
        logits = []
        for number, (rows, lanes) in enumerate(self.batches):
            values, rows = self.branching.extend(rows, ids[lanes])
            logits.append(values[:, -1])
            self.batches[number] = (rows, lanes)
        return in_order(logits, [lane for _, lanes in self.batches for lane in lanes])

    def tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(all tokens of the lanes so far, padded on the left, their mask), both (lanes, longest)."""
        order = [lane for _, lanes in self.batches for lane in lanes]
        ids, masks = (padded([getattr(rows, name) for rows, _ in self.batches], 1) for name in ("ids", "mask"))
        return in_order([ids], order), in_order([masks], order)

    def keep(self, lanes: Sequence[int]) -> None:
        """Let these lanes alone go on; they are numbered anew in this order."""
        numbers = {lane: number for number, lane in enumerate(lanes)}
        remaining = []
        for rows, owned in self.batches:
            index = [row for row, lane in enumerate(owned) if lane in numbers]
            if index:
                kept = rows.taken(torch.tensor(index, device=rows.ids.device))
                remaining.append((kept, [numbers[owned[row]] for row in index]))
        self.batches = remaining


def in_order(batches: Sequence[torch.Tensor], order: Sequence[int]) -> torch.Tensor:
    """The rows of all batches, of which row n belongs to place ``order[n]``."""
    values = torch.cat(list(batches)) if len(batches) > 1 else batches[0]
    if list(order) == list(range(len(order))):
        return values
    inverse = torch.empty(len(order), dtype=torch.long, device=values.device)
    inverse[torch.tensor(order, device=values.device)] = torch.arange(len(order), device=values.device)
    return values[inverse]
