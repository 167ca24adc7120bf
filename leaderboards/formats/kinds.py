"""What an output format is, and what it is given to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.results import TaskResult
from harness.runs.names import finished_rounds
from harness.tables import frame_of
from leaderboards.build import Entry, assemble
from leaderboards.formats.rows import rows_of
from leaderboards.judged import Measured, unmeasured
from leaderboards.render import Board

if TYPE_CHECKING:
    from harness.tables import Frame

Question = tuple[str, str]
"""A sample's prompt and a right answer in words."""

Questions = Callable[[TaskResult], Mapping[str, Question]]
"""The questions of a result by sample id; those that are no longer available are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """The results folder of a round; `round` is None for one that stands alone."""

    entry: Entry
    round: int | None
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a format writes: runs under their names on a board, and the questions that their results answer."""

    entries: Sequence[Entry]
    questions: Questions
    judges: Measured = unmeasured

    @cached_property
    def board(self) -> Board:
        """All runs as a board, with intervals, differences and p."""
        return assemble(self.entries, self.judges)

    @property
    def evaluations(self) -> list[Evaluation]:
        """Every measured round of every run."""
        return [
            Evaluation(
                entry=entry,
                round=number,
                folder=entry.run.folder if number is None else finished_rounds(entry.run.folder)[number],
            )
            for entry in self.entries
            for number in entry.run.rounds
        ]

    def frame(self) -> Frame:
        """The board as a pandas frame: a row for each of its lines, task and metric (`leaderboards.formats.rows`).
        Figures are fractions."""
        return frame_of(rows_of(self.board))


Write = Callable[[Figures, Path], list[Path]]
"""Writes the files of a format into a folder, each atomically, and returns them."""


def _nothing_to_refuse(figures: Figures) -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """An output format. `refuse` raises `UsageError`, before anything is written, for figures that it cannot hold."""

    name: str
    write: Write
    refuse: Callable[[Figures], None] = _nothing_to_refuse
