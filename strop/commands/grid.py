"""`strop grid`: a base recipe with some of its fields varied, as runs side by side, and a table of what differs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.runs.names import LEDGER
from strop.options import (
    AttnImplementationOption,
    ChangesOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    IncludePathOption,
    JsonOption,
    PluginPathOption,
    with_placement,
    writable_folder,
)
from strop.places import data_root, set_include_path, set_plugin_path
from tasks.data.root import DEFAULT_DATA, DataRoot

if TYPE_CHECKING:
    from loops.grid import Grid
    from loops.run_grid import OnPoll, Run, State

STAGES_A_ROUND = 6


def grid(
    file: Annotated[str, typer.Argument(help="A grid file, or the name of one that comes with Strop.")],
    out: Annotated[
        Path,
        typer.Option(help="The grid's folder; what is finished in it is not done again.", callback=writable_folder),
    ],
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time; with more than one, a thread each.")] = 1,
    changes: ChangesOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells, and which stages they share; start nothing.")
    ] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Make the tables from what is finished; start nothing.")
    ] = False,
    opening: Annotated[
        bool,
        typer.Option("--open-reserve", help="Open the part of the test reserve that the grid asks, for it alone."),
    ] = False,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    include_path: IncludePathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe with fields varied and several training seeds, and say what matters.

    Each cell with each training seed is an ordinary run in the grid's folder. Stages that several need alike are done
    once. All cells are checked before the first is run. A run that fails is reported and the others go on; the command
    then ends with 1. Stopped at any time, the same command goes on. The tables are ablation.md, ablation.csv and
    cost.csv in the grid's folder.

    **Examples**

    strop grid pictos --out runs/study --jobs 4

    strop grid my.yaml --out runs/mine --set rounds=1 --dry-run
    """
    from leaderboards.ablation_text import write_ablation
    from loops.documents import find_shipped
    from loops.grid import load_grid

    set_plugin_path(plugin_path)
    set_include_path(include_path)
    root = data_root(data)
    loaded = load_grid(find_shipped(file, "grid"), with_placement(changes, device, dtype, attn_implementation))
    if dry_run:
        plan = _plan(loaded, out, root)
        typer.echo(json.dumps(plan, ensure_ascii=False) if as_json else _plan_text(plan))
        return
    states = _filed(loaded, out) if table_only else _run(loaded, out, root, jobs=jobs, opening=opening)
    written = write_ablation(out)
    counts = Counter(state.state for state in states.values())
    if as_json:
        runs = {folder: {"state": state.state, "why": state.why} for folder, state in states.items()}
        typer.echo(json.dumps({"out": str(out), "runs": runs, "files": [str(path) for path in written]}))
    else:
        for path in written:
            typer.echo(f"written {path}")
        typer.echo(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    if counts["failed"]:
        sys.exit(1)


def _filed(grid: Grid, out: Path) -> Mapping[str, State]:
    """The states of the runs as they are, filed anew; nothing is started."""
    from loops.run_grid import file_states, find_states

    states = find_states(grid, out)
    file_states(grid, out, states)
    return states


def _run(grid: Grid, out: Path, data: DataRoot, *, jobs: int, opening: bool) -> Mapping[str, State]:
    """Check all cells, then run those that are not finished; each end is a line on stderr."""
    from loops.reserve import open_reserve
    from loops.run_grid import check_grid, find_states, run_grid
    from strop.forks import starter_of
    from strop.running import setting

    console = Console(markup=False, stderr=True, highlight=False, soft_wrap=True)
    check_grid(grid, find_states(grid, out), setting(data))
    for note in open_reserve(grid, opening):
        console.print(note, markup=False)

    def print_end(run: Run, state: State, seconds: float) -> None:
        end = f"done in {seconds / 60:.1f} minutes" if state.state == "done" else f"failed: {state.why}"
        console.print(f"{run.name}: {end}", markup=False)

    def command(run: Run) -> list[str]:
        return _command(run, out, data.folder)

    with _progress(console, out) as show:
        return run_grid(grid, out, command, starter_of(grid), jobs=jobs, on_end=print_end, on_poll=show)


def _command(run: Run, out: Path, data: Path) -> list[str]:
    from harness.runs.names import SHARED
    from strop.forks import PROGRAM

    words = [*PROGRAM, "run", str(run.cell.base), "--out", str(out / run.folder)]
    words += ["--shared", str(out / SHARED), "--of-grid", "--data", str(data)]
    for change in (*run.cell.changes, f"seed={run.seed}"):
        words += ["--set", change]
    return words


@contextmanager
def _progress(console: Console, out: Path) -> Iterator[OnPoll]:
    """A bar for each run at work, moved on by the stages in its ledger."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def show(runs: Sequence[Run]) -> None:
            for ended in bars.keys() - {run.folder for run in runs}:
                progress.remove_task(bars.pop(ended))
            for run in runs:
                if run.folder not in bars:
                    bars[run.folder] = progress.add_task(run.name, total=1 + STAGES_A_ROUND * run.recipe.rounds)
                ledger = out / run.folder / LEDGER
                progress.update(
                    bars[run.folder], completed=len(ledger.read_bytes().splitlines()) if ledger.exists() else 0
                )

        yield show


def _plan(grid: Grid, out: Path, data: DataRoot) -> dict[str, Any]:
    """The cells with the states of their runs, and for each stage how many runs have it and how many of them do it."""
    from loops.run import plan_recipe
    from loops.run_grid import find_states, runs_of
    from strop.running import setting

    states, world = find_states(grid, out), setting(data)
    needed: dict[str, list[str]] = {}
    for run in runs_of(grid):
        for stage, key in plan_recipe(run.recipe, world).items():
            needed.setdefault(stage, []).append(key)
    return {
        "cells": [
            {
                "name": cell.name,
                "label": cell.label,
                "baseline": cell.name == grid.baseline,
                "changes": cell.changes,
            }
            for cell in grid.cells
        ],
        "runs": {folder: state.state for folder, state in states.items()},
        "stages": {stage: {"runs": len(keys), "computed": len(set(keys))} for stage, keys in needed.items()},
    }


def _plan_text(plan: dict[str, Any]) -> str:
    lines = [f"{cell['name']}{' (the base)' if cell['baseline'] else ''}" for cell in plan["cells"]]
    done = sum(state == "done" for state in plan["runs"].values())
    lines += [
        "",
        f"{len(plan['cells'])} cells, {len(plan['runs'])} runs with their training seeds, {done} finished",
        "",
    ]
    for stage, count in plan["stages"].items():
        lines.append(f"{stage}: {count['runs']} runs need it, at most {count['computed']} do it")
    return "\n".join(lines)
