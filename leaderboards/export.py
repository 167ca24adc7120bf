"""Writes boards and results in the formats of other tools: a paper, a README, data frames, lm-eval, the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.plugins import Offer, read_plugins
from harness.runs.ids import DEFAULT_RUNS
from harness.runs.reading import LevelOf, filed_level
from leaderboards.build import read_entries
from leaderboards.formats import FORMATS
from leaderboards.formats.kinds import Figures, Format, Questions
from leaderboards.judged import Measured, unmeasured


def _formats_of_file(value: Any) -> Mapping[str, Callable[..., Any]]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and callable(write) for name, write in value.items()
    ):
        raise UsageError("FORMATS must be a dictionary of name -> function that writes figures into a folder")
    return value


OFFER = Offer(group="strop.formats", variable="FORMATS", noun="format", names=_formats_of_file)
"""Formats of others: an entry point's name, or a key of FORMATS, leads to a `leaderboards.formats.kinds.Write`."""


def export(
    ids: Sequence[str | Path],
    formats: Sequence[str],
    out: Path,
    questions: Questions,
    level_of: LevelOf = filed_level,
    runs: Path = DEFAULT_RUNS,
    judges: Measured = unmeasured,
) -> list[Path]:
    """Write every format asked for below `out`, each file atomically, and return the files.

    `ids` are as `leaderboards.build.read_entries` takes them, names and digests looked up below `runs`; `judges` as in
    `leaderboards.build.assemble`. Raises `UsageError`, before anything is written, for a format that there is not, or
    that cannot hold the figures.
    """
    chosen = _chosen(formats)
    figures = Figures(entries=read_entries(ids, level_of, runs), questions=questions, judges=judges)
    for each in chosen:
        each.refuse(figures)
    return [path for each in chosen for path in each.write(figures, out)]


def _chosen(names: Sequence[str]) -> list[Format]:
    """The formats in the order in which they are listed; those of others follow."""
    shipped = {each.name: each for each in FORMATS}
    plugins = read_plugins(OFFER, shipped)
    listed = [*shipped, *plugins.usable]
    unknown = [name for name in names if name not in listed]
    if unknown or not names:
        named = f"there is no format '{unknown[0]}'" if unknown else "no format is named"
        faults = [fault.why for fault in (*plugins.broken, *plugins.taken.values())] if unknown else []
        raise UsageError("; ".join([f"{named}; there are {', '.join(listed)}", *faults]))
    return [
        shipped.get(name) or Format(name=name, write=plugins.usable[name].load()) for name in listed if name in names
    ]
