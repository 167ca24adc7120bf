r"""The boxes of a response: what it says in \boxed{...}, and what is in a box.

Every box of a response counts, intermediate ones too, as the authors count them. Their reader is a regular expression
that sees two levels of braces inside a box and cuts a third short (60 of GPT-4o's 1,297 responses), and that some
responses keep busy for half a minute. This one counts braces, in time that grows with the text alone.
Source: yale-nlp/Physics, api_evaluation/extract_boxed.py, for what it is held against.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_ENDS_UNCLOSED = re.compile(r"\\boxed\b|\\\]|\\\)|\$|\n\s*\n|\Z")
_SEVERAL = re.compile(r"\\\\(?![A-Za-z])|\\begin|\\quad")
_NEXT_PART = re.compile(r"\\\\|\\q?quad\b|[,;]|\\text\s*\{\s*(?:and|or)\s*,?\s*\}|\band\b")
_AROUND = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}(?:\{[^{}]*\})?|&")
_OPENS, _CLOSES = "([{", ")]}"
_JOINS = re.compile(r"['’-]")

READ_LEVELS = 2
"""Levels of braces inside a box that the authors' reader sees."""

TAIL = 400
"""Characters at the end of a response that are looked at for what decoding with a high repetition penalty, or without
one, ends in."""

HEAP, BARE = 25, 0.95
"""A heap of words: so many of them or more in the tail, this share of them letters alone."""

LOOP = 0.25
"""A loop: a tail that zlib writes in less than this share of its length."""


def read_boxes(response: str) -> tuple[str, ...]:
    r"""What stands in each \boxed{...} of a response, in order, blank ones left out.

    A box whose braces never close ends where its formula does: at the next box, ``\]``, ``\)``, ``$`` or a blank line.

    Example:
        >>> read_boxes(r"So \boxed{v = \sqrt{\frac{2}{3}}} and \boxed{5 \text{ m}}.")
        ('v = \\sqrt{\\frac{2}{3}}', '5 \\text{ m}')
    """
    return tuple(box for box in _boxes(response) if box)


def depth_of(box: str) -> int:
    """How many levels of braces the authors' reader meets in a box: it takes an escaped brace for one."""
    depth = deepest = 0
    for brace in re.findall("[{}]", box):
        depth += (brace == "{") - (brace == "}")
        deepest = max(deepest, depth)
    return deepest


def holds_several(box: str) -> bool:
    r"""Whether a box shows by ``\\``, ``\begin`` or ``\quad`` that it may hold several answers.

    A doubled backslash before a letter is a command that was escaped twice. Parts joined by a comma alone are not
    seen: coordinates and lists of one answer have commas too.
    """
    return _SEVERAL.search(box) is not None


def parts_of(box: str) -> tuple[str, ...]:
    """The parts of a box that is a list of answers, with commas and "and" outside of brackets between them; the box
    itself where it has one."""
    plain = _AROUND.sub(" ", box)
    parts: list[str] = []
    depth = start = spot = 0
    while spot < len(plain):
        separator = _NEXT_PART.match(plain, spot) if depth == 0 else None
        if separator and separator.end() > spot:
            parts.append(plain[start : separator.start()])
            start = spot = separator.end()
            continue
        if plain[spot] == "\\":
            # an escaped bracket is a bracket; the letters of a command are no words
            spot += 1
            while spot < len(plain) - 1 and plain[spot].isalpha() and plain[spot + 1].isalpha():
                spot += 1
        if spot < len(plain):
            depth = max(0, depth + (plain[spot] in _OPENS) - (plain[spot] in _CLOSES))
        spot += 1
    parts.append(plain[start:])
    shown = tuple(part.strip(" \n\t.") for part in parts if part.strip(" \n\t."))
    return shown if len(shown) > 1 else (box,)


def is_degenerate(response: str) -> bool:
    """Whether a response ends in a heap of words without mathematics or a stop, or in a loop."""
    tail = response[-TAIL:]
    words = tail.split()
    bare = sum(_JOINS.sub("", word).isalpha() for word in words)
    content = tail.encode(errors="replace")
    is_loop = len(tail) == TAIL and len(zlib.compress(content)) < LOOP * len(content)
    return is_loop or (len(words) >= HEAP and bare >= BARE * len(words))


def _boxes(response: str) -> Iterator[str]:
    spot = 0
    while box := _BOX.search(response, spot):
        spot = _end_of_box(response, box.end())
        yield response[box.end() : spot].strip()


def _end_of_box(response: str, start: int) -> int:
    """Where the content of a box that begins at `start` ends."""
    depth = 1
    for brace in _BRACE.finditer(response, start):
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0:
            inner = response.find("\\boxed", start, brace.start())
            return brace.start() if inner < 0 else _end_unclosed(response, start)
    return _end_unclosed(response, start)


def _end_unclosed(response: str, start: int) -> int:
    end = _ENDS_UNCLOSED.search(response, start)
    assert end is not None  # the end of the text is one
    stop = end.start()
    while stop > start and response[stop - 1] in " \n\t$":
        stop -= 1
    # the brace that was meant to close the box
    return stop - 1 if response[stop - 1 : stop] == "}" and stop > start else stop
