"""`strop calibrate`: simulated answers with a known truth show whether verdicts and intervals keep what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.calibrate import Calibration, Share


def calibrate(
    pictures: Annotated[
        list[int] | None, typer.Option(min=20, max=5000, help="Pictures a comparison (500, then 20); repeatable.")
    ] = None,
    comparisons: Annotated[int, typer.Option(min=100, help="Comparisons of each kind.")] = 1000,
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap draws a comparison.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Compare simulated models whose truth is known, and count false and missed differences and intervals that miss.

    Half of the comparisons are of models that are alike: p below 0.05 should come in 5 % of them. The others differ by
    the smallest difference that `strop compare` calls detectable: it should be seen in about 80 %. The 95 % intervals
    should hold the truth in 95 %.

    **Examples**

    strop calibrate

    strop calibrate --pictures 100 --comparisons 4000 --json
    """
    import dataclasses

    from harness.calibrate import CASES
    from harness.calibrate import calibrate as simulate
    from harness.cli.progress import progress_bars

    sizes = pictures or [500, 20]
    found = []
    with progress_bars() as bars:
        advance = bars("simulating", len(sizes) * len(CASES))
        for number in sizes:
            for case in CASES:
                found.append(simulate(case, pictures=number, comparisons=comparisons, draws=draws, seed=seed))
                advance(1)
    if as_json:
        typer.echo(
            json.dumps({"comparisons": comparisons, "draws": draws, "cases": list(map(dataclasses.asdict, found))})
        )
    else:
        _print(found, comparisons)


def _print(found: Sequence[Calibration], comparisons: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from harness.calibrate import COVERED, FALSE, FOUND
    from harness.stats import FEW_CLUSTERS

    def words(share: Share) -> str:
        return f"{100 * share.value:.1f} ± {100 * share.error:.1f}{'' if share.within else ' *'}"

    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    headings = ("answers", "metric", "pictures", "false", "planted", "found", "covered, B − A", "covered, figure")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < 2 else "right")
    for one in found:
        shares = [words(share) for share in (one.found, one.covered_difference)]
        figure = f"{words(one.covered_figure)} ({one.method})"
        planted = f"{100 * one.planted:.1f}"
        table.add_row(one.case, one.metric, str(one.pictures), words(one.false), planted, *shares, figure)
    console = Console(highlight=False)
    console.print(table)
    low, high = ([f"{100 * bounds[end]:.0f}" for bounds in (FALSE, FOUND, COVERED)] for end in (0, 1))
    console.print(
        f"In % of {comparisons} comparisons, ± the simulation's own standard error. false: a difference seen between "
        f"models that are alike ({low[0]}-{high[0]}). planted: a difference, in points, of the size that was called "
        f"detectable; found: how often it is seen ({low[1]}-{high[1]}). covered: intervals that hold the truth "
        f"({low[2]}-{high[2]}). *: outside. With few pictures, say under {FEW_CLUSTERS}, and with few training "
        "runs that differ much, intervals are too narrow; `strop compare` says where that may be.",
        markup=False,
    )
