"""Cutting a text into sentences where no language model of sentences is wanted: at full stops, marks and line ends."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])\s+|\n+")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each with its own mark, without the space around it.

    Example:
        >>> split_sentences("A cat on the left. Two dogs.")
        ['A cat on the left.', 'Two dogs.']
    """
    return [part.strip() for part in _END.split(text) if part.strip()]
