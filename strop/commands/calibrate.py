"""`strop calibrate`: simulated answers with a known truth show whether verdicts and intervals keep what they say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from strop.options import JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from harness.stats.calibrate import Calibration, FigureCalibration, RunsCalibration, Share

COMPARED, TRAINED, MEASURED = (500, 20), (100,), (50, 100, 500)
"""Pictures of comparisons, of those over training runs, and of single figures, where none are named."""


def calibrate(
    pictures: Annotated[
        list[int] | None,
        typer.Option(
            min=20, max=5000, help="Pictures (500 and 20; several runs 100; figures 50, 100, 500); repeatable."
        ),
    ] = None,
    runs: Annotated[
        list[int] | None,
        typer.Option(min=2, max=50, help="Training runs (3, 5, 10), and no row of single runs; repeatable."),
    ] = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(min=0.0, max=50.0, help="Their standard deviation in standard errors over pictures; repeatable."),
    ] = None,
    comparisons: Annotated[int, typer.Option(min=100, help="Comparisons of each kind.")] = 1000,
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap draws a comparison.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Simulate models whose truth is known, and count wrong verdicts and intervals.

    False and missed differences are counted, and intervals that miss the truth.

    Half of the comparisons are of models that are alike: p below 0.05 should come in 5 % of them. The others differ by
    the smallest difference that `strop compare` calls detectable: it should be seen in about 80 %. The 95 % intervals
    should hold the truth in 95 %, those of single figures too, also where wrong answers are rare.

    The row of a study: its training runs, the ratio that `strop compare` prints, its test pictures.

    **Examples**

    strop calibrate

    strop calibrate --runs 8 --ratio 3.1 --pictures 2000

    strop calibrate --pictures 100 --comparisons 4000 --json
    """
    from harness.stats.calibrate import CASES, RARE, calibrate_figure, calibrate_runs, study_rows
    from harness.stats.calibrate import calibrate as simulate
    from strop.progress import progress_bars

    of_study = bool(runs or ratio)
    single = [] if of_study else [(case, size) for size in pictures or COMPARED for case in CASES]
    trained = [(*row, size) for size in pictures or TRAINED for row in study_rows(runs, ratio)]
    rare = [] if of_study else [(case, size) for case in RARE for size in pictures or MEASURED]
    cases: list[Calibration] = []
    by_runs: list[RunsCalibration] = []
    figures: list[FigureCalibration] = []
    with progress_bars() as bars:
        advance = bars("simulating", len(single) + len(trained) + len(rare))
        for case, number in single:
            cases.append(simulate(case, pictures=number, comparisons=comparisons, draws=draws, seed=seed))
            advance(1)
        for many, far, number in trained:
            by_runs.append(calibrate_runs(many, far, pictures=number, comparisons=comparisons, draws=draws, seed=seed))
            advance(1)
        for case, number in rare:
            figures.append(calibrate_figure(case, pictures=number, samples=comparisons, seed=seed))
            advance(1)
    if as_json:
        plain = {
            "cases": [asdict(row) for row in cases],
            "runs": [asdict(row) for row in by_runs],
            "figures": [asdict(row) for row in figures],
        }
        typer.echo(json.dumps({"comparisons": comparisons, "draws": draws, **plain}))
    else:
        _print(cases, by_runs, figures, comparisons)


def _print(
    cases: Sequence[Calibration],
    by_runs: Sequence[RunsCalibration],
    figures: Sequence[FigureCalibration],
    comparisons: int,
) -> None:
    from rich.console import Console

    from harness.stats.calibrate import COVERED, FALSE, FOUND

    console = Console(markup=False, highlight=False)
    _print_table(
        console,
        "two models",
        ("answers", "metric", "pictures", "false", "planted", "found", "covered"),
        [
            (
                *(row.case, row.metric, str(row.pictures), _words(row.false), f"{100 * row.planted:.1f}"),
                *(_words(row.found), _words(row.covered)),
            )
            for row in cases
        ],
        2,
    )
    _print_table(
        console,
        "several training runs",
        ("runs", "ratio", "ratio seen", "pictures", "false", "p < 0.05", "planted", "found", "covered"),
        [
            (
                *(str(row.runs), f"{row.ratio:g}", f"{row.ratio_seen:.1f}", str(row.pictures), _words(row.false)),
                *(_words(row.starred), f"{row.planted:.1f}", _words(row.found), _words(row.covered)),
            )
            for row in by_runs
        ],
        0,
    )
    _print_table(
        console,
        "single figures",
        ("answers", "metric", "true", "pictures", "covered", "width", "none seen", "interval"),
        [
            (
                *(row.case, row.metric, f"{100 * row.mean:.0f}", str(row.pictures), _words(row.covered)),
                *(f"{100 * row.width:.1f}", f"{100 * row.none_seen:.1f}", row.method),
            )
            for row in figures
        ],
        2,
    )
    low, high = ([f"{100 * bounds[end]:.0f}" for bounds in (FALSE, FOUND, COVERED)] for end in (0, 1))
    console.print(
        f"In % of {comparisons} comparisons, ± the simulation's own standard error. false: a difference seen between "
        f"models that are alike ({low[0]}-{high[0]}). planted: a difference of the size that was called detectable, in "
        "points, with several runs in standard errors of one run over pictures; found: how often it is seen "
        f"({low[1]}-{high[1]}). covered: intervals that hold the truth ({low[2]}-{high[2]}). *: outside.",
        markup=False,
    )
    if by_runs:
        console.print(
            "Several runs: the ratio is that of the standard deviation between runs to one run's standard error over "
            "pictures; seen: what is printed as such, in the median. Here a difference is seen where the interval "
            "leaves out zero; p < 0.05 is never come to by fewer than six runs. With three, found is under 80 %, since "
            "what they say to be detectable rests on a spread of three.",
            markup=False,
        )


def _words(share: Share) -> str:
    return f"{100 * share.value:.1f} ± {100 * share.error:.1f}{'' if share.within else ' *'}"


def _print_table(
    console: Console, title: str, headings: Sequence[str], lines: Sequence[Sequence[str]], names: int
) -> None:
    """A table, its first `names` columns words and the others figures; nothing where it has no lines."""
    from rich import box
    from rich.table import Table

    if not lines:
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="left" if column < names else "right")
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print()
