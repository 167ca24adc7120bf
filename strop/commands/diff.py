"""`strop diff`: what differs between two results, and in which figures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.runs.ids import DEFAULT_RUNS
from harness.wording import counted
from strop.commands.show import in_words
from strop.options import ID_HELP, JsonOption, RunsOption

if TYPE_CHECKING:
    from leaderboards.origin import Unlike


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=ID_HELP, show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """List what differs between two runs: recipe, weights, data, code, machine, figures.

    **Examples**

    strop diff runs/demo runs/mine

    strop diff runs/demo:0 runs/demo:2
    """
    from leaderboards.origin import find_origin, unlike, unlike_figures

    origin_a, origin_b = find_origin(a, runs), find_origin(b, runs)
    differences = unlike(origin_a, origin_b)
    shared, figures = unlike_figures(origin_a, origin_b)
    if as_json:
        report = {"differs": [asdict(value) for value in differences], "figures": [asdict(value) for value in figures]}
        typer.echo(json.dumps({**report, "figures_shared": shared}, ensure_ascii=False))
        return
    print_unlike("differs", differences)
    print_figures(shared, figures)


def print_unlike(title: str, differences: Sequence[Unlike], sides: tuple[str, str] = ("A", "B")) -> None:
    """A line for each thing that the two sides do not share."""
    _print(
        title, sides, [(value.name, _short(value.a, value.name), _short(value.b, value.name)) for value in differences]
    )


def print_figures(shared: int, differences: Sequence[Unlike], sides: tuple[str, str] = ("A", "B")) -> None:
    """The figures that differ, each with its 95 % interval, and how many there are."""
    _print("figure", sides, [(figure.name, _figure(figure.a), _figure(figure.b)) for figure in differences])
    if not shared:
        typer.echo("they have no figure in common")
    elif not differences:
        alike = "the figure that both have is" if shared == 1 else f"all {shared} figures that both have are"
        typer.echo(f"{alike} the same")
    else:
        figures = counted(shared, "figure")
        typer.echo(f"{len(differences)} of {figures} that both have differ; `strop compare` says by how much, paired")


def _print(title: str, sides: tuple[str, str], lines: Sequence[tuple[str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not lines:
        return
    table = Table()
    for heading in (title, *sides):
        table.add_column(heading, overflow="fold")
    for line in lines:
        table.add_row(*map(Text, line))
    Console(markup=False, highlight=False).print(table)


def _short(value: Any, name: str) -> str:
    """The value as `strop show` prints it, digests cut to 12 digits."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b", r"\1", in_words(value, name))


def _figure(figure: Any) -> str:
    value, low, high = (figure.get(name) for name in ("value", "low", "high"))
    if value is None:
        return "–"
    return f"{value:.6f}" + ("" if low is None else f" [{low:.6f}, {high:.6f}]")
