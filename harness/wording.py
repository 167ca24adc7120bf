"""Numbers of things in a sentence, and other people's texts in a line of ours."""

from __future__ import annotations

import re
import unicodedata

_LONGEST_WORD = 300  # a path is shorter; what is longer is a picture in base 64 or made to fill the screen

_HALF = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"
"""What stands in a text where there was none: of half a letter that was cut off, or of bytes that are no text."""


def counted(number: int, thing: str, things: str = "") -> str:
    """A number with its noun, which has an s (or is `things`) unless the number is one.

    Example:
        >>> counted(1, "question"), counted(0, "question"), counted(2, "reply", "replies")
        ('1 question', '0 questions', '2 replies')
    """
    return f"{number} {thing if number == 1 else things or f'{thing}s'}"


def one_line(text: str) -> str:
    """Text as one line that can do a terminal no harm: no control, escape or direction characters, no endless word."""
    words = (word if len(word) <= _LONGEST_WORD else f"{word[:80]}…" for word in text.split())
    return "".join(letter for letter in " ".join(words) if not unicodedata.category(letter).startswith("C"))


def first_line(error: BaseException) -> str:
    """What another library's error says, without what follows in lines of its own."""
    text = str(error).strip()
    return text.splitlines()[0] if text else repr(error)


def last_line(log: str) -> str:
    """The last line of what a command wrote that says something, to be shown; of none "it said nothing".

    Example:
        >>> last_line("loading, error: no room, ".replace(", ", chr(10))), last_line("")
        ('error: no room', 'it said nothing')
    """
    return one_line(next((line for line in reversed(log.splitlines()) if line.strip()), "it said nothing"))


def mended(text: str) -> str:
    """Text that can be written as UTF-8: two halves of a surrogate pair are the letter that they are halves of, and
    a half that is alone is U+FFFD, the sign of replacement. Every other text is itself.

    Example:
        >>> mended("Yes " + chr(0xD83D)), mended(chr(0xD83D) + chr(0xDE00))
        ('Yes �', '😀')
    """
    if text.isascii() or not _HALF.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def names_in(text: str) -> list[str]:
    """The names in a text that separates them by commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
