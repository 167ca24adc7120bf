"""`strop data`: lists and fetches other people's data, and builds benchmarks of annotations."""

from __future__ import annotations

import typer

from strop.commands.data.build import chair, grounding, ic, pope
from strop.commands.data.fetch import fetch
from strop.commands.data.list import list_data
from strop.parsing import OnceCommand

data_app = typer.Typer(
    name="data",
    help="""List, fetch and make the data of benchmarks.

    **Examples**

    strop data list

    strop data fetch pope --from https://my.mirror/pope

    strop data build ic --coco annotations --out data/ic
    """,
    no_args_is_help=True,
)
build_app = typer.Typer(
    name="build",
    help="""Build a benchmark from annotations of your own.

    **Examples**

    strop data build pope --coco annotations --out data/pope --seed 1 --images 500

    strop data build ic --coco annotations --size 150 --seed 1 --out data/ic
    """,
    no_args_is_help=True,
)
for command in (pope, ic, chair, grounding):
    build_app.command(command.__name__, cls=OnceCommand)(command)
data_app.command("list", cls=OnceCommand)(list_data)
data_app.command("fetch", cls=OnceCommand)(fetch)
data_app.add_typer(build_app)
