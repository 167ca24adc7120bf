"""The task of one's own that the documentation shows."""

from __future__ import annotations

from tests.support.pages import files_shown, read_page

EXAMPLE = files_shown(read_page("docs/extending.md"))["colours.py"]
