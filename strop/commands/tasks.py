"""`strop tasks`: lists the tasks, and writes the files by which lm-eval runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from strop.options import IncludePathOption, JsonOption, PluginPathOption, writable_folder
from strop.places import set_include_path, set_plugin_path

OF_LM_EVAL = (
    "Every generation and multiple-choice task of lm-eval is a task too, by the name lm_eval:NAME, such as "
    "lm_eval:hellaswag; --include-path names a folder with YAML files of your own."
)


def tasks(
    plugin_path: PluginPathOption = None,
    include_path: IncludePathOption = None,
    lm_eval: Annotated[
        Path | None,
        typer.Option(
            "--lm-eval",
            help="Write a YAML file for each task but those of episodes into this folder, for `lm_eval run "
            "--include_path FOLDER --tasks strop_pope`, and list nothing.",
            callback=writable_folder,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the tasks.

    **Examples**

    strop tasks

    strop tasks --lm-eval for-lm-eval
    """
    from harness.types import Interactive
    from tasks.registry import usable_tasks

    set_plugin_path(plugin_path)
    set_include_path(include_path)
    usable, unusable = usable_tasks()
    for why in unusable:
        Console(stderr=True).print(f"not usable: {why}", highlight=False, markup=False, soft_wrap=True)
    if lm_eval is not None:
        from tasks.in_lm_eval import write_task_files

        written = write_task_files(
            lm_eval, [name for name, task in usable.items() if not isinstance(task, Interactive)]
        )
        typer.echo(json.dumps({"written": [str(path) for path in written]}) if as_json else f"written to {lm_eval}")
        return
    rows = {
        name: {"version": task.version, "headline": task.headline, "about": _first_paragraph(task)}
        for name, task in usable.items()
    }
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        console = Console(markup=False, highlight=False)
        console.print(_table(rows))
        console.print(OF_LM_EVAL, soft_wrap=True)


def _table(rows: Mapping[str, Mapping[str, object]]) -> Table:
    table = Table("task", "headline", "what it asks")
    for name, row in rows.items():
        table.add_row(name, str(row["headline"]), str(row["about"]))
    return table


def _first_paragraph(task: object) -> str:
    return " ".join((type(task).__doc__ or "").split("\n\n")[0].split())
