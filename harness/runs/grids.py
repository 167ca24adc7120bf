"""Reads what `strop grid` leaves of its cells in a grid's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.files import read_json
from harness.runs.names import GRID


@dataclass(frozen=True, kw_only=True, slots=True)
class GridRun:
    """One cell with one training seed. `state` is "done", "failed" or "not run"; `why` is the last line of the error,
    or what kept it from being started."""

    seed: int
    folder: Path
    state: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GridCell:
    """One setting of the fields that vary. `label` maps each of them to its value as text, in the grid's order; where
    settings have names of their own it has the name as "setting", and `varied` says what the cell changes. `level` is
    its autonomy level; empty where an older version did not file it."""

    name: str
    label: Mapping[str, str]
    varied: str
    rounds: int
    runs: tuple[GridRun, ...]
    level: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A grid's folder. `baseline` is the name of the cell that the others are compared with, None where there is none;
    `show` names the (task, metric) that the tables show, empty for every headline and its companions."""

    name: str
    baseline: str | None
    show: tuple[tuple[str, str], ...]
    cells: tuple[GridCell, ...]


def read_grid(folder: Path) -> Grid:
    """The cells of a grid's folder; raises `DataError` where the file is missing or of another version."""
    path = folder / GRID
    raw = read_json(path)
    try:
        return Grid(
            name=raw["name"],
            baseline=raw["baseline"],
            show=tuple((task, metric) for task, metric in raw["show"]),
            cells=tuple(
                GridCell(
                    name=cell["name"],
                    label=cell["label"],
                    varied=cell["varied"],
                    rounds=cell["rounds"],
                    level=cell.get("level", ""),
                    runs=tuple(GridRun(**{**run, "folder": folder / run["folder"]}) for run in cell["runs"]),
                )
                for cell in raw["cells"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not of this version ({error!r}); run `strop grid` again") from error


def is_grid(folder: Path) -> bool:
    """Whether `strop grid` wrote the folder."""
    return (folder / GRID).is_file()


def find_grid(id: str | Path, runs: Path) -> Path | None:
    """The grid's folder that an ID names, by its path or by its name below `runs`; None where it names none."""
    return next((folder for folder in (Path(id), runs / id) if is_grid(folder)), None)


def done_runs(folder: Path) -> list[Path]:
    """The finished runs of a grid's folder; raises as `read_grid`."""
    return [run.folder for cell in read_grid(folder).cells for run in cell.runs if run.state == "done"]
