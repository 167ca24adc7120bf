"""A board as CSV: every figure with its source."""

from __future__ import annotations

from pathlib import Path

from harness.files import write_text
from leaderboards.formats.kinds import Figures, Format
from leaderboards.render import csv_text


def _write(figures: Figures, out: Path) -> list[Path]:
    path = out / "board.csv"
    write_text(path, csv_text(figures.board))
    return [path]


CSV = Format(name="csv", write=_write)
