"""How every command reads its words and ends: an option is given once, since the second of two would win silently;
``~`` is the home folder where a shell leaves it alone (in quotes, behind ``=``, ``:`` or a comma); a stop is
reported as a sentence."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from harness.errors import StoppedError, UsageError

_HOME = re.compile(r"(?:^|(?<=[=:,]))~(?=/|$)")


class OnceCommand(TyperCommand):
    """A command that refuses an option given twice, unless it takes several values, knows the home folder, and says
    when it was stopped what the work under way has noted to be kept."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise StoppedError("; ".join(["stopped", *getattr(stop, "__notes__", ())])) from stop

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = [_HOME.sub(lambda _: str(Path.home()), word) for word in args]
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        counts = Counter(option.opts[0] for option in order if _takes_one(option))
        for name, count in counts.items():
            if count > 1:
                raise UsageError(f"{name} is given {count} times and takes one value; keep one")
        return super().parse_args(ctx, args)


def _takes_one(parameter: object) -> bool:
    return getattr(parameter, "param_type_name", "") == "option" and not getattr(parameter, "multiple", False)


OLDER_WORDS = {"task-path": "plugin-path"}
"""Names that options had before, which are still read."""


def current_word(word: str) -> str:
    """The present name of an option."""
    return OLDER_WORDS.get(word, word)
