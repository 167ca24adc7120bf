"""What an ID on the command line leads to. Every command that takes an ID resolves it here, in every form:

a results folder; a run folder; a round of a run (``runs/demo:2``, ``runs/demo/round-2``, ``runs/demo/round-2/eval``);
any of these as a name below ``--runs``; the first digits of the weights digest of an evaluation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError
from harness.files import read_json
from harness.runs.grids import done_runs, find_grid, is_grid
from harness.runs.names import (
    BASELINES,
    EVAL,
    LEDGER,
    RECIPE,
    RESULTS,
    SHARED_FILES,
    WATCH,
    finished_rounds,
    round_of,
)

DEFAULT_RUNS = Path("runs")

ID_FORMS = (
    "a results folder, a run, a round of a run (runs/demo:1), a name below --runs, or 4 or more digits of a weights "
    "digest"
)

SEARCH_DEPTH = 5
"""Folders below the working folder in which a digest is looked up: ./runs/NAME/round-2/eval lies four down."""

IDS_SHOWN = 4

_DIGEST = re.compile(r"[0-9a-f]{4,64}")
_NUMBERED = re.compile(r"(.+):(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """What an ID leads to.

    `rounds` maps each round to its results folder; the only round of a results folder that stands alone is None. `run`
    is the run's folder, None for such a folder. `folder` is the run's where the whole run is meant, otherwise the
    results folder.
    """

    folder: Path
    run: Path | None
    rounds: Mapping[int | None, Path]

    @property
    def is_whole(self) -> bool:
        """Whether all rounds of a run are meant."""
        return self.folder == self.run

    @property
    def last(self) -> Path:
        """The results folder of the last round."""
        return list(self.rounds.values())[-1]


def locate(id: str | Path, runs: Path = DEFAULT_RUNS, *, same_figures_do: bool = False) -> Location:
    """Resolves an ID. A folder goes before a name below `runs`, and both go before a digest.

    Runs share their seed model, so that a digest may be that of several evaluations: with `same_figures_do` the first
    is taken where all have the same figures. Raises `UsageError` for an ID that leads nowhere or to several
    evaluations, `DataError` for a folder or a round without results.
    """
    name = str(id)
    if not name.strip():
        raise UsageError(f"an ID is empty; name {ID_FORMS}")
    paths = list(dict.fromkeys((Path(name), runs / name)))
    numbered = [
        (path, int(match[2]))
        for match in [_NUMBERED.fullmatch(name)]
        if match
        for path in dict.fromkeys((Path(match[1]), runs / match[1]))
    ]
    for location in (*map(_of_folder, paths), *(_of_round(*each) for each in numbered)):
        if location:
            return location
    if folder := next((path for path in paths if path.is_dir()), None):
        raise _without_results(folder)
    if numbered and (run := next(((path, number) for path, number in numbered if path.is_dir()), None)):
        raise _without_round(*run)
    if _DIGEST.fullmatch(name):
        return _of_digest(name, runs, same_figures_do)
    raise UsageError(f"{name}: no such folder; name {ID_FORMS}")


def locate_all(ids: Iterable[str | Path], runs: Path = DEFAULT_RUNS) -> list[Location]:
    """Resolves several IDs, each run and each results folder once: rounds of one run that are named apart are taken
    together. A grid's folder stands for its finished runs."""
    locations: dict[Path, Location] = {}
    for id in ids:
        grid = find_grid(id, runs)
        for each in done_runs(grid) if grid else [id]:
            location = locate(each, runs, same_figures_do=True)
            key = (location.run or location.folder).resolve()
            locations[key] = _together(locations[key], location) if key in locations else location
    return list(locations.values())


def _together(a: Location, b: Location) -> Location:
    """Two locations in one run, or of one results folder."""
    rounds = {**a.rounds, **b.rounds}
    in_order = sorted(rounds, key=lambda number: number or 0)
    return Location(
        folder=a.folder if a.is_whole else b.folder, run=a.run, rounds={number: rounds[number] for number in in_order}
    )


def _of_folder(folder: Path) -> Location | None:
    if rounds := finished_rounds(folder):
        return Location(folder=folder, run=folder, rounds=dict[int | None, Path](rounds.items()))
    for path in (folder, folder / EVAL):
        if (path / RESULTS).is_file():
            number = round_of(path.parent) if path.name == EVAL else None
            if number is not None and (location := _of_round(path.parent.parent, number)):
                return location
            return Location(folder=path, run=None, rounds={None: path})
    return None


def _of_round(run: Path, number: int) -> Location | None:
    path = finished_rounds(run).get(number)
    return Location(folder=path, run=run, rounds={number: path}) if path else None


def _of_digest(digits: str, runs: Path, same_figures_do: bool) -> Location:
    matches: list[tuple[Path, Any]] = []
    for folder in _evaluations(runs):
        content = read_json(folder / RESULTS)
        if isinstance(content, dict) and str(content.get("digest")).startswith(digits):
            matches.append((folder, (content.get("digest"), content.get("tasks"))))
    if not matches:
        raise UsageError(f"{digits}: no evaluation below {runs} or here is of such weights; name another --runs")
    (folder, figures), *others = matches
    if others and not (same_figures_do and all(other == figures for _, other in others)):
        shown = ", ".join(str(path) for path, _ in matches[:IDS_SHOWN]) + (", ..." if len(matches) > IDS_SHOWN else "")
        raise UsageError(
            f"{digits}: {len(matches)} evaluations below {runs} or here are of such weights; name one: {shown}"
        )
    location = _of_folder(folder)
    assert location is not None
    return location


def _evaluations(runs: Path) -> Iterator[Path]:
    """Every results folder below `runs` and, a few folders deep, below the working folder, each once. What a baseline
    without training answered, what monitors watched and what a grid's runs share are left out."""
    seen: set[Path] = set()
    for root, depth in ((runs, None), (Path(), SEARCH_DEPTH)):
        for name, below, files in os.walk(root):
            folder = Path(name)
            is_deep = depth is not None and len(folder.relative_to(root).parts) >= depth
            below[:] = [] if is_deep else sorted(each for each in below if _is_searched(each))
            if RESULTS in files and folder.name != SHARED_FILES and folder.resolve() not in seen:
                seen.add(folder.resolve())
                yield folder


def _is_searched(name: str) -> bool:
    return not name.startswith((".", "_")) and name not in (BASELINES, WATCH)


def _without_results(folder: Path) -> Exception:
    if (number := round_of(folder)) is not None and finished_rounds(folder.parent):
        return _without_round(folder.parent, number)
    if is_grid(folder):
        return UsageError(f"{folder} is a grid of runs; name one of its runs")
    if (folder / RECIPE).is_file() or (folder / LEDGER).is_file():
        return DataError(f"{folder} is a run without a finished evaluation; let `strop run` go on until round-0/eval")
    return DataError(
        f"{folder} is neither a run nor a results folder (no round-0/eval/results.json, no results.json); name folders "
        "that `strop run`, `strop eval --out` or `strop score --out` wrote"
    )


def _without_round(run: Path, number: int) -> Exception:
    finished = ", ".join(map(str, finished_rounds(run))) or "none"
    return DataError(
        f"{run} has no finished evaluation of round {number} (it has {finished}); let `strop run` go on, or name "
        "another round"
    )
