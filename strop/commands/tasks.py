"""`strop tasks`: lists the tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table

from strop.options import JsonOption, PluginPathOption
from strop.places import set_plugin_path


def tasks(plugin_path: PluginPathOption = None, as_json: JsonOption = False) -> None:
    """List the tasks.

    **Example**

    strop tasks
    """
    from tasks.registry import usable_tasks

    set_plugin_path(plugin_path)
    usable, unusable = usable_tasks()
    for why in unusable:
        Console(stderr=True).print(f"not usable: {why}", highlight=False, markup=False, soft_wrap=True)
    rows = {
        name: {"version": task.version, "headline": task.headline, "about": _first_paragraph(task)}
        for name, task in usable.items()
    }
    if as_json:
        typer.echo(json.dumps(rows))
    else:
        Console(markup=False).print(_table(rows))


def _table(rows: Mapping[str, Mapping[str, object]]) -> Table:
    table = Table("task", "headline", "what it asks")
    for name, row in rows.items():
        table.add_row(name, str(row["headline"]), str(row["about"]))
    return table


def _first_paragraph(task: object) -> str:
    return " ".join((type(task).__doc__ or "").split("\n\n")[0].split())
