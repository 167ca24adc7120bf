"""`strop recipes`: lists the recipes that come with Strop."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table

from strop.options import JsonOption

SLOTS = ("collect", "verify", "select", "optimise")


def recipes(as_json: JsonOption = False) -> None:
    """List the recipes: who judges (the level), their parts, and where they are from.

    Copy one of them to a file of your own to change more than a few fields of it.

    **Examples**

    strop recipes

    strop run judge_self --out runs/judged --set collect.samples=200
    """
    from loops.shipped import shipped_recipes
    from strop.places import data_root
    from strop.running import setting

    here = setting(data_root(None), progress=False)
    rows = [
        {
            "recipe": shipped.name,
            "level": shipped.recipe.study(here).level,
            **{slot: getattr(shipped.recipe, slot).kind for slot in SLOTS},
            "about": shipped.about,
        }
        for shipped in shipped_recipes()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table()
    table.add_column("recipe", no_wrap=True)
    for heading in ("level", ", ".join(SLOTS), "what it is, and whose"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row["recipe"], row["level"], ", ".join(row[slot] for slot in SLOTS), row["about"])
    Console(markup=False, highlight=False).print(table)
