r"""Other people's texts on a terminal: what would move its cursor, clear it, turn its reading direction or break a line
unseen is shown as its escape, ``\u202e``, which in JSON is that very character."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_HARMFUL = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
_COLOURS = r"\x1b\[[0-9;]*m"
_OUR_BARS = r"\x1b\[[0-9;?]*[A-Za-z]|\r"


@contextmanager
def harmless_streams() -> Iterator[None]:
    """Within it, stdout and stderr take harmless text. Where they are a terminal, colours pass, and on stderr the
    movements of our progress bars; whoever writes other people's texts there uses `harness.wording.one_line`."""
    out = _Harmless(sys.stdout, _COLOURS if sys.stdout.isatty() else None)
    err = _Harmless(sys.stderr, _OUR_BARS if sys.stderr.isatty() else None)
    with contextlib.redirect_stdout(cast(TextIO, out)), contextlib.redirect_stderr(cast(TextIO, err)):
        yield


class _Harmless:
    """A stream that shows what is harmful in a text by its escape, but for what matches `passing`."""

    def __init__(self, stream: TextIO, passing: str | None) -> None:
        self._stream = stream
        self._pattern = re.compile(f"(?P<passing>{passing})|{_HARMFUL}" if passing else f"(?P<passing>(?!))|{_HARMFUL}")

    def write(self, text: str) -> int:
        self._stream.write(self._pattern.sub(lambda match: match["passing"] or f"\\u{ord(match[0]):04x}", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
