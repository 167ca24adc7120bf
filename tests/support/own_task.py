"""The tasks of one's own that the documentation shows."""

from __future__ import annotations

from typing import Any

from tests.support.pages import files_shown, read_page

EXAMPLE = files_shown(read_page("docs/extending.md"))["colours.py"]


def lamp() -> Any:
    """The task of episodes: from level 0-4 a lamp is turned up to 5."""
    shown: dict[str, Any] = {"__name__": __name__}
    exec(compile(files_shown(read_page("docs/extending.md"))["lamp.py"], "lamp.py", "exec"), shown)
    return shown["Lamp"]()
