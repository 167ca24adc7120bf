"""What a prompt begins with, and the rows that go on from it: the records of a processor's work, and which tokens are
pictures'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The beginning of a prompt, up to its last picture and what closes that; the first token of one without pictures.

    `text` is what the chat template writes, `expanded` what the processor makes of it, and `behind` what it writes at
    the end of every question. `ids` are its tokens, the pictures' included, of which `first` are not in the text;
    `blind` are those without the pictures' and what frames them, and `along` ((1, L, ...) each) is what the model is
    given beside the ids token by token. `images` counts pictures, `pictures` their tokens.
    """

    text: str
    expanded: str
    behind: str
    first: tuple[int, ...]
    ids: tuple[int, ...]
    blind: tuple[int, ...]
    along: Mapping[str, torch.Tensor]
    images: int
    pictures: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Heads whose pictures are processed together: their numbers, and the model's inputs of the pictures in their
    order."""

    heads: tuple[int, ...]
    pixels: Mapping[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heads:
    """The heads of some samples: sample n has ``heads[owners[n]]``."""

    heads: tuple[Head, ...]
    owners: tuple[int, ...]
    batches: tuple[Shown, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a model reads as one row: tokens, and what goes along with them ((1, L, ...) each)."""

    ids: tuple[int, ...]
    along: Mapping[str, torch.Tensor]


def picture_tokens(config: Any, processor: Any) -> frozenset[int]:
    """The tokens in whose place a picture's features stand, as a model's configuration names them, else its
    processor."""
    configs = (config, getattr(config, "vision_config", None))
    named = {getattr(part, name, None) for part in configs for name in ("image_token_id", "image_token_index")}
    if not (numbers := {number for number in named if isinstance(number, int) and number >= 0}):
        numbers = {number for number in (getattr(processor, "image_token_id", None),) if isinstance(number, int)}
    return frozenset(numbers)


def framing_tokens(config: Any) -> frozenset[int]:
    """The tokens of pictures, videos and sound, and those that frame them, as a model's configuration names them."""
    words = ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id")
    numbers: set[int] = set()
    for part in (config, getattr(config, "vision_config", None), getattr(config, "audio_config", None)):
        for name, value in (part.to_dict() if part is not None else {}).items():
            if name.endswith(("_token_id", "_token_index")) and name not in words and isinstance(value, int):
                numbers.add(value)
    return frozenset(number for number in numbers if number >= 0)
