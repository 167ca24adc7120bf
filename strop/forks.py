"""`python -m strop.forks TASK:SPLIT ...`: what the runs of a grid are forked from.

It has imported what a run needs, and composed the embedded world's scenes that these tasks ask about.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from harness.errors import StropError
from harness.forks import Starter, forked_processes, new_processes, serve

if TYPE_CHECKING:
    from loops.grid import Grid

PROGRAM = (sys.executable, "-P", "-m", "strop")
"""How a command line of ours begins; -P: what lies in the working folder is not imported."""

NEEDED = (
    "strop.running",
    "loops.run",
    "loops.baselines",
    "loops.optimise.with_trl",
    "harness.measure",
    "harness.models.load",
    "harness.models.encoder",
    "tasks.pictos.models",
)
"""Modules that stages import when they begin, with the libraries of these."""


def starter_of(grid: Grid) -> Starter:
    """Starts the runs of a grid. On Linux they are forks; elsewhere system libraries that are loaded may not live on in
    one."""
    if sys.platform != "linux":
        return new_processes
    recipes = [cell.recipe for cell in grid.cells]
    parts = {(name, recipe.evaluate.split) for recipe in recipes for name in recipe.evaluate.tasks}
    parts |= {
        (name, recipe.watch.split)
        for recipe in recipes
        if recipe.watch and recipe.rounds
        for name in recipe.watch.tasks or recipe.evaluate.tasks
    }
    server = (*PROGRAM[:-1], "strop.forks", *(f"{name}:{split}" for name, split in sorted(parts)))
    return partial(forked_processes, server)


def main() -> None:
    from tasks.pictos import TASKS

    for module in NEEDED:
        import_module(module)
    for name, _, split in (word.rpartition(":") for word in sys.argv[1:]):
        if name in TASKS:
            with suppress(StropError):  # the run that asks it will say so
                TASKS[name]().samples(split)
    serve(_run)


def _run(command: Sequence[str]) -> None:
    import strop.__main__

    sys.argv = [str(strop.__main__.__file__), *command[len(PROGRAM) :]]
    strop.__main__.main()


if __name__ == "__main__":
    main()
