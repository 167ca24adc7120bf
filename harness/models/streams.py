"""What models give as it comes, put in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from harness.types import Advance

T = TypeVar("T")


def in_order(stream: Iterable[tuple[int, T]], advance: Advance | None = None) -> list[T]:
    """What comes of each sample of a request, by the samples' indices; `advance` is told of each as it comes."""
    by_index: dict[int, T] = {}
    for index, result in stream:
        by_index[index] = result
        if advance:
            advance(1)
    return [by_index[index] for index in sorted(by_index)]
