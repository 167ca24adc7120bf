"""`strop board`: one board from many run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

FILES = ("board.md", "board.csv", "board.html", "cost.csv")


def board(
    runs: Annotated[list[Path], typer.Argument(help="Run folders and results folders.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for board.md, board.csv, board.html and cost.csv.")] = Path("board"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Render a board: every round of every run with its interval and its paired difference to round 0.

    Runs of one recipe with different seeds get a pooled row. The page needs no network.

    [bold]Examples[/]

    strop board runs/honed

    strop board runs/honed-seed0 runs/honed-seed1 runs/oracle --out board
    """
    from leaderboards.build import build_board

    build_board(runs, out)
    written = [out / name for name in FILES]
    if as_json:
        typer.echo(json.dumps({"runs": [str(run) for run in runs], "files": [str(path) for path in written]}))
    else:
        for path in written:
            typer.echo(f"written {path}")
