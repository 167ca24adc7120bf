"""Tensors that take long to compute: in chunks, each kept as a file and taken again when it is of the same things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file

from harness.files import digest_of_bytes

CHUNK = 64

Item = TypeVar("Item")


def kept_tensor(
    items: Sequence[Item],
    compute: Callable[[Sequence[Item]], torch.Tensor],
    identity: Callable[[Sequence[Item]], Sequence[str]],
    *,
    kept: Path,
    advance: Callable[[int], None],
) -> torch.Tensor:
    """`compute` of all items, in order, as one tensor (len(items), ...); `identity` is all that a chunk follows from,
    as words."""
    kept.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(items), CHUNK):
        chunk = items[start : start + CHUNK]
        path = kept / f"{digest_of_bytes(*(word.encode() for word in identity(chunk)))[:16]}.safetensors"
        if not path.is_file():
            unfinished = path.with_suffix(".unfinished")
            save_file({"values": compute(chunk).contiguous().cpu()}, unfinished)
            unfinished.replace(path)
        parts.append(load_file(path)["values"])
        advance(len(chunk))
    return torch.cat(parts)
