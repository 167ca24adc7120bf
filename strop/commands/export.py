"""`strop export`: figures for a paper, a README, data frames, lm-eval's tools and the hub."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import StropError
from harness.runs.ids import DEFAULT_RUNS
from strop.options import IDS_HELP, DataOption, JsonOption, PluginPathOption, RunsOption, writable_folder
from strop.places import data_root, set_plugin_path
from tasks.data.root import DEFAULT_DATA, DataRoot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.results import TaskResult
    from leaderboards.formats.kinds import Question


def export(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help=IDS_HELP, show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            help="Formats, separated by commas: markdown, latex, csv, parquet, lm-eval, model-card, or a plug-in's."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for what is written.", callback=writable_folder)] = Path("export"),
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Write figures as tables for a paper or README, data frames, a model card.

    The tables are short (markdown, latex with booktabs); csv and parquet hold every figure with its source; lm-eval
    writes its results and samples files, model-card the hub's.

    **Examples**

    strop export runs/demo --to latex,parquet --out paper

    strop export runs/demo --to lm-eval,model-card
    """
    from harness.examination import kept
    from leaderboards.export import export as write
    from loops.recipe import level_of

    set_plugin_path(plugin_path)
    formats = [name.strip() for name in to.split(",") if name.strip()]
    root = data_root(data)
    written = write(ids, formats, out, partial(_questions, root), level_of, runs, partial(kept, root.folder))
    if as_json:
        typer.echo(json.dumps({"files": [str(path) for path in written]}))
        return
    for path in written:
        typer.echo(f"written {path}")


def _questions(data: DataRoot, result: TaskResult) -> Mapping[str, Question]:
    """The questions that the task at hand still has; empty where the task no longer exists."""
    return _asked(data, result.task, result.version, result.split)


@cache
def _asked(data: DataRoot, name: str, version: int, split: str) -> Mapping[str, Question]:
    from tasks.registry import find_task

    try:
        task = find_task(name, data)
        samples = task.samples(split) if task.version == version else ()
        return {sample.id: (sample.prompt, task.gold(sample)) for sample in samples}
    except StropError as error:
        typer.echo(f"note: {name} is written without its questions ({error})", err=True)
        return {}
