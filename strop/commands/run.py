"""`strop run`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

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
    writable_file,
    writable_folder,
)
from strop.places import data_root, set_include_path, set_plugin_path
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from strop.running import Run


def run(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with Strop.")],
    out: Annotated[
        Path,
        typer.Option(help="The run's folder; a run that is there already is gone on with.", callback=writable_folder),
    ],
    changes: ChangesOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
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
    include_path: IncludePathOption = None,
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
    from strop.running import open_recipe, run_opened, setting

    set_plugin_path(plugin_path)
    set_include_path(include_path)
    opened = open_recipe(recipe, with_placement(changes, device, dtype, attn_implementation), of_grid=of_grid)
    if only_check:
        from loops.check_recipe import check_recipe

        checked = check_recipe(opened, setting(data_root(data)), new=True)
        typer.echo(json.dumps({"checked": dict(checked)}) if as_json else _checked_text(checked))
        return
    finished = run_opened(opened, out, data_root(data), answers=answers, shared=shared, progress=True, checked=of_grid)
    if as_json:
        typer.echo(json.dumps(_as_json(finished)))
    else:
        _print(finished)


def _as_json(finished: Run) -> dict[str, object]:
    return {
        "out": str(finished.folder),
        "checkpoints": [checkpoint.digest for checkpoint in finished.checkpoints],
        "last": str(finished.checkpoints[-1].path),
        "fresh": finished.fresh_stages,
        "notes": list(finished.notes),
    }


def _print(finished: Run) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if not finished.fresh_stages:
        console.print(f"{finished.folder} is finished already; nothing was done")
    for note in finished.notes:
        console.print(note, markup=False)
    last = finished.checkpoints[-1]
    console.print(f"last checkpoint: {last.path} ({last.digest[:12]})")
    console.print(f"next: strop board {finished.folder} --out {finished.folder}/board")


def _checked_text(checked: Mapping[str, str]) -> str:
    return "\n".join([*(f"{field}: {line}" for field, line in checked.items()), "nothing is wrong with the recipe"])
