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
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a text begins and ends, in characters.

    Example:
        >>> sentence_spans("A cat on the left. Two dogs.")
        [(0, 18), (19, 28)]
    """
    borders = [0, *(offset for gap in _END.finditer(text) for offset in gap.span()), len(text)]
    parts = [(start, text[start:end]) for start, end in zip(borders[::2], borders[1::2], strict=True)]
    return [
        (start + len(sentence) - len(sentence.lstrip()), start + len(sentence.rstrip()))
        for start, sentence in parts
        if sentence.strip()
    ]


def whole_sentences(text: str) -> str:
    """A text that was cut somewhere, up to the end of its last whole sentence, as it stands there; empty without one.

    Example:
        >>> whole_sentences("A cat on the left. Two do")
        'A cat on the left.'
    """
    spans = sentence_spans(text)
    if spans and text[spans[-1][1] - 1] not in ".!?" and spans[-1][1] == len(text):
        spans.pop()
    return text[: spans[-1][1]] if spans else ""
