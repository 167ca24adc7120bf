"""README and docs as the tests read them: pages, their blocks of code, the commands in these, their tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read_page(name: str) -> str:
    """The text of a page, named from the repository's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """The text of a page without its fenced blocks."""
    return BLOCK.sub("", text)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of that language, in order."""
    return [content for name, content in BLOCK.findall(text) if name == language]


def files_shown(text: str) -> dict[str, str]:
    """Python files that a page shows whole: the name in `my_parts/` before the block -> its content."""
    shown = re.findall(r"`my_parts/(\w+\.py)`.*:\n\n```python\n((?s:.*?))^```$", text, re.MULTILINE)
    return dict(shown)


def strop_commands(text: str) -> list[list[str]]:
    """The words after `strop` of each command in the blocks of a page, continued lines joined, comments dropped."""
    lines = "\n".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("strop ")]


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its rank or of a higher one."""
    rank = "#" * (len(title) - len(title.lstrip("#")))
    return re.split(rf"^#{{1,{len(rank)}}} ", text.split(f"{title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
