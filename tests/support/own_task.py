"""The task of one's own that the documentation shows."""

from __future__ import annotations

import re
import textwrap

from tests.support.shell import ROOT

SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## A task of your own")[1].split("\n## ")[0]
EXAMPLE = next(
    textwrap.dedent(block) for block in re.findall(r"(?:^ {4}.*\n|^\n)+", SECTION, re.MULTILINE) if "TASKS = " in block
)
