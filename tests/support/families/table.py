"""The table of families in docs/models.md: read, and written by the tests of all families."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "models.md"
COLUMNS = ("prefix", "pictures", "twin", "dpo", "reload", "adapter", "notes")
HEADINGS = ("family", "prefix of a picture", "several pictures", "image-free twin", "DPO", "reload", "adapter", "notes")
_TABLE = re.compile(r"(?<=<!-- families -->\n).*(?=<!-- /families -->)", re.DOTALL)


def read_table() -> dict[str, dict[str, str]]:
    """Family -> column -> what stands there."""
    match = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert match, f"{PAGE.name} holds no table of families"
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in match[0].splitlines()[2:]]
    return {family.strip("`"): dict(zip(COLUMNS, cells, strict=True)) for family, *cells in rows}


def write_table(rows: Mapping[str, Mapping[str, str]]) -> None:
    """Put the table of all families in the place of the one that stands there."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: _rendered(rows), page), encoding="utf-8")


def _rendered(rows: Mapping[str, Mapping[str, str]]) -> str:
    cells = [HEADINGS, ("---",) * len(HEADINGS)]
    cells += [(f"`{family}`", *(row[column] for column in COLUMNS)) for family, row in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
