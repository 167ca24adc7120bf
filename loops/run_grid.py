"""Runs a grid: each run a process of its own, several at a time, within a budget; the state of each is filed.

A cell's run is an ordinary run folder; all share their stages through one folder (`loops.shared`). A run that fails is
filed with the last line of its log, and the others continue.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.disks import writing
from harness.errors import DataError, RecipeError, RunError, StropError
from harness.files import read_json, write_json
from harness.forks import Child, Start, Starter
from harness.lines import DAMAGED
from harness.runs.names import GRID, RECIPE, RESULTS, evaluation_folder
from harness.runs.watches import stopped_round
from harness.wording import last_line
from loops.check_recipe import check_recipe
from loops.grid import Budget, Cell, Grid
from loops.ledger import hold
from loops.recipe import Recipe, load_recipe
from loops.setting import Setting

POLL_SECONDS = 0.2
STOP_SECONDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One cell with one training seed; `folder` and `log` are below the grid's."""

    cell: Cell
    seed: int

    @property
    def recipe(self) -> Recipe:
        return self.cell.recipe.model_copy(update={"seed": self.seed})

    @property
    def collected(self) -> tuple[str, ...]:
        """What its first round's answers depend on: runs alike in this share them."""
        recipe = self.recipe
        return tuple(map(str, (recipe.model, recipe.adapter, recipe.source, recipe.seed, recipe.collect)))

    @property
    def name(self) -> str:
        return f"{self.cell.name}, training seed {self.seed}"

    @property
    def folder(self) -> str:
        return f"{self.cell.folder}/seed-{self.seed}"

    @property
    def log(self) -> str:
        return f"logs/{self.cell.folder}-seed-{self.seed}.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The state of a run: "done", "failed" or "not run", and why."""

    state: str
    why: str = ""


OnEnd = Callable[[Run, State, float], None]
"""Called with a run that has ended, its state, and its seconds."""

OnPoll = Callable[[Sequence[Run]], None]
"""Called with the runs at work, several times a second."""


def runs_of(grid: Grid) -> list[Run]:
    """Every cell with the first training seed, then with the next: a budget cuts off whole seeds."""
    return [Run(cell=cell, seed=seed) for seed in grid.seeds for cell in grid.cells]


def check_grid(grid: Grid, states: Mapping[str, State], setting: Setting) -> None:
    """Check the recipes of all runs that are not finished, each thing that they share once; raises the error of the
    first at fault, with its name."""
    done: dict[str, str] = {}
    for run in runs_of(grid):
        if states[run.folder].state == "done":
            continue
        try:
            check_recipe(run.recipe, setting, new=True, done=done)
        except StropError as error:
            error.args = (f"{run.name}: {error}",)
            raise


def run_grid(
    grid: Grid,
    out: Path,
    command: Callable[[Run], Sequence[str]],
    starter: Starter,
    *,
    jobs: int,
    on_end: OnEnd,
    on_poll: OnPoll,
) -> Mapping[str, State]:
    """Do all runs that are not finished, `jobs` at a time, and file the state of each in ``grid.json``.

    `command` gives the command line of a run, `starter` starts it. Interrupted, it stops the runs at work; the next
    call continues them. Returns the states by the runs' folders. Raises `RunError` where another process runs this
    grid.
    """
    working: dict[Child, _Work] = {}
    began, started = time.monotonic(), 0
    threads = {"OMP_NUM_THREADS": "1"} if jobs > 1 else {}
    with hold(out), starter({**threads, **os.environ}) as start:
        states = find_states(grid, out)
        waiting = [run for run in runs_of(grid) if states[run.folder].state != "done"]
        file_states(grid, out, states)
        try:
            while waiting or working:
                if why := _spent(grid.budget, started, time.monotonic() - began):
                    states |= {run.folder: State(state="not run", why=why) for run in waiting}
                    waiting = []
                elif waiting and len(working) < jobs:
                    run, started = _next(waiting, [work.run for work in working.values()]), started + 1
                    waiting.remove(run)
                    words = command(run)
                    work = _Work(run=run, heading=shlex.join(words) + "\n", since=time.monotonic())
                    working[_begin(work, words, out, start)] = work
                    continue
                for child, status in [(child, status) for child in working if (status := child.poll()) is not None]:
                    work = working.pop(child)
                    states[work.run.folder] = _ended(status, out / work.run.log, work.heading)
                    on_end(work.run, states[work.run.folder], time.monotonic() - work.since)
                    file_states(grid, out, states)
                on_poll([work.run for work in working.values()])
                time.sleep(POLL_SECONDS)
        finally:
            _stop(list(working))
            states |= {
                run.folder: State(state="not run", why="stopped") for run in [work.run for work in working.values()]
            }
            file_states(grid, out, states)
    return states


def find_states(grid: Grid, out: Path) -> dict[str, State]:
    """Which runs are finished, by their folders, and what is filed of the others; nothing is started. A file of states
    that is damaged is set aside: the runs' folders say what is finished."""
    path = out / GRID
    try:
        filed = _filed(path) if path.is_file() else {}
    except (DataError, KeyError, TypeError) as error:
        aside, filed = path.with_name(GRID + DAMAGED), {}
        with writing(aside):
            path.replace(aside)
        logging.getLogger(__name__).warning("%s is no file of a grid's states (%s); it is now %s", path, error, aside)
    return {
        run.folder: State(state="done")
        if _finished(run, out / run.folder)
        else filed.get(run.folder, State(state="not run", why="not reached"))
        for run in runs_of(grid)
    }


def _filed(path: Path) -> dict[str, State]:
    runs = [run for cell in read_json(path)["cells"] for run in cell["runs"]]
    return {run["folder"]: State(state=run["state"], why=run["why"]) for run in runs if run["state"] != "done"}


def file_states(grid: Grid, out: Path, states: Mapping[str, State]) -> None:
    """Write ``grid.json``, which `harness.runs.grids` reads."""
    cells = [
        {
            "name": cell.name,
            "label": cell.label,
            "varied": cell.varied,
            "level": cell.recipe.level,
            "rounds": cell.recipe.rounds,
            "runs": [
                {"seed": seed, "folder": folder, "state": states[folder].state, "why": states[folder].why}
                for seed in grid.seeds
                for folder in [Run(cell=cell, seed=seed).folder]
            ],
        }
        for cell in grid.cells
    ]
    write_json(out / GRID, {"name": grid.name, "baseline": grid.baseline, "show": grid.show, "cells": cells})


def _finished(run: Run, folder: Path) -> bool:
    """The last stage of this very recipe is there; stages appear whole and in order."""
    last = stopped_round(folder, run.recipe.stop_when) or run.recipe.rounds
    if not (evaluation_folder(folder, last) / RESULTS).is_file():
        return False
    try:
        return load_recipe(folder / RECIPE) == run.recipe
    except RecipeError:  # of another version; `strop run` says what it thinks of it
        return False


def _next(waiting: Sequence[Run], working: Sequence[Run]) -> Run:
    """The first in order, or the first that shares no answers with a run at work: it would wait for that one."""
    busy = {run.collected for run in working}
    return next((run for run in waiting if run.collected not in busy), waiting[0])


def _spent(budget: Budget, started: int, seconds: float) -> str:
    """Why nothing more may be started; empty where something may."""
    if budget.runs is not None and started >= budget.runs:
        return f"the budget of {budget.runs} runs a call is spent"
    if budget.hours is not None and seconds >= budget.hours * 3600:
        return f"the budget of {budget.hours:g} hours a call is spent"
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """A run at work since that time; its log's first line is the command, to be repeated by hand."""

    run: Run
    heading: str
    since: float


def _begin(work: _Work, command: Sequence[str], out: Path, start: Start) -> Child:
    log = out / work.run.log
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(work.heading, encoding="utf-8")
    return start(command, log)


def _ended(status: int, log: Path, heading: str) -> State:
    if status == 0:
        return State(state="done")
    output = log.read_text(encoding="utf-8", errors="replace").removeprefix(heading)
    killed = f"killed by signal {-status}: " if status < 0 else ""
    return State(state="failed", why=killed + last_line(output).removeprefix("error: "))


def _stop(children: Sequence[Child]) -> None:
    for child in children:
        child.terminate()  # not SIGINT: started in the background we would all be deaf to it
    for child in children:
        with suppress(RunError):  # what could tell of its end has ended itself
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(STOP_SECONDS)
