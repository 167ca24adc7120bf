"""A model's configuration with fewer weights: of the same kind, as deep, with the same tokens and pictures.

Every part (text, pictures, sound) keeps the width of a head and has as few heads as go, one mostly: rotary positions,
with what they share out among places, follow from a head's width and stay. Widths that are a part's hidden size, or a
few of them side by side, shrink with it wherever they stand, so that projections between parts still fit.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PretrainedConfig

from loops.optimise.settings import TROUBLE

HEADS = ("num_attention_heads", "num_heads", "attention_heads", "encoder_attention_heads")
KEY_HEADS = ("num_key_value_heads",)
WIDTHS = ("embed_dim", "hidden_size", "d_model", "dim", "width")

INNER = ("intermediate", "ffn")
"""In the names of widths inside a layer, which nothing else depends on."""

COUNTS = (
    "image", "vocab", "patch", "window", "position", "token", "crop", "kernel", "num_", "head_dim", "_id", "max",
    "layer", "block", "temporal", "channel", *INNER,
)  # fmt: skip
"""In the names of numbers that are no widths between parts."""

MULTIPLE = 8
"""Up to so many hidden states side by side count as a width that shrinks with theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A part of a configuration that has heads, with the names of its fields."""

    config: Any
    heads: str
    width: int
    head: int
    """The width of a head."""


def narrowed(config: Any) -> Any:
    """The configuration of a smaller model; None where the library does not let its fields be changed."""
    narrow = copy.deepcopy(config)
    try:
        _narrow(list(_configs(narrow)))
    except TROUBLE:
        return None
    return narrow


def _narrow(configs: Sequence[Any]) -> None:
    parts = [part for config in configs if (part := _part(config))]
    sizes: dict[int, int] = {}
    for part in parts:  # parts of one width stay of one width
        sizes[part.width] = max(part.head, sizes.get(part.width, 0))
    for part in parts:
        if sizes[part.width] % part.head == 0:
            _fewer_heads(part, sizes[part.width])
    for config in configs:
        for name, value in _numbers(config):
            old = next((old for old in sorted(sizes, reverse=True) if value % old == 0 and value <= MULTIPLE * old), 0)
            if old and not any(word in name for word in COUNTS):
                setattr(config, name, value // old * sizes[old])


def _fewer_heads(tower: _Part, width: int) -> None:
    heads = getattr(tower.config, tower.heads)
    setattr(tower.config, tower.heads, width // tower.head)
    for name in KEY_HEADS:
        if isinstance(value := getattr(tower.config, name, None), int):
            setattr(tower.config, name, max(1, value * (width // tower.head) // heads))
    for name, value in _numbers(tower.config):
        if any(word in name for word in INNER) and "layer" not in name:
            setattr(tower.config, name, max(8, value * width // tower.width // 8 * 8))


def _part(config: Any) -> _Part | None:
    heads, width = (next((name for name in names if _count(config, name)), None) for names in (HEADS, WIDTHS))
    if heads is None or width is None:
        return None
    count, whole = getattr(config, heads), getattr(config, width)
    if _count(config, "head_dim"):
        return _Part(config=config, heads=heads, width=whole, head=min(whole, config.head_dim))
    return None if whole % count else _Part(config=config, heads=heads, width=whole, head=whole // count)


def _count(config: Any, name: str) -> bool:
    try:
        return type(value := getattr(config, name, None)) is int and value > 0
    except RuntimeError:  # layers have it, each its own
        return False


def _numbers(config: Any) -> list[tuple[str, int]]:
    return [(name, value) for name, value in vars(config).items() if type(value) is int and value > 0]


def _configs(config: Any) -> Iterator[Any]:
    """The configuration and those in it."""
    yield config
    for value in vars(config).values():
        if isinstance(value, PretrainedConfig):
            yield from _configs(value)
