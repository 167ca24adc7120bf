"""Numbers of things in a sentence."""

from __future__ import annotations


def counted(number: int, thing: str, things: str = "") -> str:
    """A number with its noun, which has an s (or is `things`) unless the number is one.

    Example:
        >>> counted(1, "question"), counted(0, "question"), counted(2, "reply", "replies")
        ('1 question', '0 questions', '2 replies')
    """
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"
