"""`strop run`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from strop.options import ChangesOption, DataOption, JsonOption, PluginPathOption, writable_file, writable_folder
from strop.places import set_places
from tasks.data.sources import DEFAULT_DATA

if TYPE_CHECKING:
    from loops.setting import Setting


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with Strop.")],
    out: Annotated[
        Path,
        typer.Option(help="The run's folder; a run that is there already is gone on with.", callback=writable_folder),
    ],
    changes: ChangesOption = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="File of stored answers to share with other runs; default: in the run's folder.",
            callback=writable_file,
        ),
    ] = None,
    shared: Annotated[
        Path | None,
        typer.Option(
            help="Folder of whole stages to share with other runs, as `strop grid` does.", callback=writable_folder
        ),
    ] = None,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    only_check: Annotated[
        bool,
        typer.Option("--check", help="Only check the whole recipe against the real model, and say what was checked."),
    ] = False,
    of_grid: Annotated[bool, typer.Option("--of-grid", hidden=True, help="`strop grid` starts this run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Hone a model by a recipe, round by round, and measure every round.

    The seed is measured first; a round is collect, verify, select, optimise and measure.

    The whole recipe is checked first, a step of training included. Stopped at any time, the same command goes on where
    it stopped; on a finished run it does nothing.

    **Examples**

    strop run judge_free --out runs/demo

    strop run judge_free --out runs/demo --check

    strop run my.yaml --out runs/mine --set rounds=1 --set collect.h_ratio.mean=0.6 --set verify.kind=none

    strop run judge_free --out runs/photos --set source=folder:my/pictures --set collect.samples=500
    """
    from loops.check_recipe import check_recipe
    from loops.documents import find_shipped
    from loops.notes import notes_of_run
    from loops.recipe import load_recipe
    from loops.reserve import refuse_reserve
    from loops.run import run_recipe

    set_places(data, plugin_path)
    found = load_recipe(find_shipped(recipe, "recipe"), changes or ())
    if not of_grid:
        refuse_reserve(found.evaluate.split, "strop run")
    if only_check:
        checked = check_recipe(found, setting(), new=True)
        typer.echo(json.dumps({"checked": dict(checked)}) if as_json else _checked_text(checked))
        return
    finished = run_recipe(found, out, setting(), answers=answers, shared=shared, checked=of_grid)
    last, notes = finished.checkpoints[-1], notes_of_run(out)
    if as_json:
        digests = [checkpoint.digest for checkpoint in finished.checkpoints]
        typer.echo(
            json.dumps(
                {
                    "out": str(out),
                    "checkpoints": digests,
                    "last": str(last.path),
                    "fresh": finished.fresh_stages,
                    "notes": notes,
                }
            )
        )
        return
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if not finished.fresh_stages:
        console.print(f"{out} is finished already; nothing was done")
    for note in notes:
        console.print(note, markup=False)
    console.print(f"last checkpoint: {last.path} ({last.digest[:12]})")
    console.print(f"next: strop board {out} --out {out}/board")


def _checked_text(checked: Mapping[str, str]) -> str:
    return "\n".join([*(f"{part}: {line}" for part, line in checked.items()), "nothing is wrong with the recipe"])


def setting() -> Setting:
    """Tasks, pools and models as this installation has them."""
    from loops.setting import Setting
    from strop.progress import progress_bars
    from tasks.pictos.models import shipped
    from tasks.registry import TasksByName, training_pool

    return Setting(
        tasks=TasksByName(),
        pool=cache(training_pool),
        shipped=shipped,
        bars=progress_bars,
    )
