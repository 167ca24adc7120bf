"""Boards and results in the formats of other tools: a paper, a README, data frames, lm-eval, the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.files import write_bytes
from harness.runs.ids import DEFAULT_RUNS
from harness.runs.names import finished_rounds
from harness.runs.reading import LevelOf, filed_level, read_evaluation
from leaderboards.build import Entry, assemble, read_entries
from leaderboards.formats.lm_eval_files import Questions, place_of, write_lm_eval
from leaderboards.render import Board, csv_text

BOARD_FORMATS = {"markdown": "tables.md", "latex": "tables.tex", "csv": "board.csv", "parquet": "board.parquet"}
"""What is made of all runs together, and its file."""

FORMATS = (*BOARD_FORMATS, "lm-eval", "model-card")


def export(
    ids: Sequence[str | Path],
    formats: Sequence[str],
    out: Path,
    questions: Questions,
    level_of: LevelOf = filed_level,
    runs: Path = DEFAULT_RUNS,
) -> list[Path]:
    """Write every format asked for below `out`, each file atomically, and return the files.

    `ids` are as `leaderboards.build.read_entries` takes them, names and digests looked up below `runs`; `lm-eval` and
    `model-card` write a folder for each of their evaluations. Raises `UsageError` for a format that there is not,
    before anything is written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        named = f"there is no format '{unknown[0]}'" if unknown else "no format is named"
        raise UsageError(f"{named}; there are {', '.join(FORMATS)}")
    entries = read_entries(ids, level_of, runs)
    if "lm-eval" in formats:
        _refuse_twins([path for entry in entries for path in _evaluations(entry)])
    written = []
    if board_formats := [name for name in BOARD_FORMATS if name in formats]:
        board = assemble(entries)
        for name in board_formats:
            path = out / BOARD_FORMATS[name]
            write_bytes(path, _content(name, board))
            written.append(path)
    for entry in entries:
        for number, evaluation in zip(entry.run.rounds, _evaluations(entry), strict=True):
            if "lm-eval" in formats:
                written += write_lm_eval(evaluation, out / "lm-eval", questions)
            if "model-card" in formats:
                from leaderboards.formats.model_card import write_model_card

                labels = (
                    entry.name,
                    entry.run.seed and f"seed {entry.run.seed}",
                    None if number is None else f"round {number}",
                )
                name = re.sub(r"[^\w.-]+", "-", " ".join(str(label) for label in labels if label is not None))
                while out / "model-card" / name / "README.md" in written:  # "a b" and "a-b" are one name by now
                    name += "-"
                written += write_model_card(evaluation, out / "model-card" / name)
    return written


def _evaluations(entry: Entry) -> list[Path]:
    """The results folder of each of its rounds."""
    run = entry.run.folder
    return [run if number is None else finished_rounds(run)[number] for number in entry.run.rounds]


def _refuse_twins(evaluations: Sequence[Path]) -> None:
    """Raise `UsageError` where one's files would take the place of another's: answers marked again keep their time."""
    places: dict[tuple[str, str], Path] = {}
    for evaluation in evaluations:
        twin = places.setdefault(place_of(evaluation), evaluation)
        if read_evaluation(twin)["tasks"] != read_evaluation(evaluation)["tasks"]:
            raise UsageError(
                f"{twin} and {evaluation} are of one model and one time, by which lm-eval names its files: one would "
                "take the other's place; export them to folders of their own"
            )


def _content(name: str, board: Board) -> bytes:
    from leaderboards.formats import paper, parquet

    if name == "parquet":
        return parquet.parquet_bytes(board)
    write = {"markdown": paper.markdown_tables, "latex": paper.latex, "csv": csv_text}[name]
    return write(board).encode("utf-8")
