"""`strop calibrate`: simulated answers with a known truth show whether verdicts and intervals keep what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from strop.options import JsonOption
from strop.tables import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from harness.stats.calibrate import Calibration, FigureCalibration, RunsCalibration, Share
    from harness.types import Advance

COMPARED, TRAINED, MEASURED = (500, 20), (100,), (50, 100, 500)
"""Pictures of comparisons, of those over training runs, and of single figures, where none are named."""

Row = TypeVar("Row")


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """The rows of the three tables: comparisons of two models, of several training runs, and single figures."""

    cases: tuple[Calibration, ...]
    runs: tuple[RunsCalibration, ...]
    figures: tuple[FigureCalibration, ...]


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
    simulated = _simulate(pictures, runs, ratio, comparisons=comparisons, draws=draws, seed=seed)
    if as_json:
        typer.echo(json.dumps({"comparisons": comparisons, "draws": draws, **asdict(simulated)}))
    else:
        _print(simulated, comparisons)


def _simulate(
    pictures: Sequence[int] | None,
    runs: Sequence[int] | None,
    ratios: Sequence[float] | None,
    *,
    comparisons: int,
    draws: int,
    seed: int,
) -> Simulated:
    """All simulations; where training runs or their ratio are named, those of several runs alone."""
    from harness.stats.calibrate import CASES, RARE, calibrate_figure, calibrate_runs, study_rows
    from harness.stats.calibrate import calibrate as calibrate_case
    from strop.progress import progress_bars

    only_runs = bool(runs or ratios)
    options = {"comparisons": comparisons, "draws": draws, "seed": seed}
    cases = [
        partial(calibrate_case, case, pictures=size, **options)
        for size in (() if only_runs else pictures or COMPARED)
        for case in CASES
    ]
    by_runs = [
        partial(calibrate_runs, number, ratio, pictures=size, **options)
        for size in pictures or TRAINED
        for number, ratio in study_rows(runs, ratios)
    ]
    figures = [
        partial(calibrate_figure, case, pictures=size, samples=comparisons, seed=seed)
        for case in (() if only_runs else RARE)
        for size in pictures or MEASURED
    ]
    with progress_bars() as bars:
        advance = bars("simulating", len(cases) + len(by_runs) + len(figures))
        return Simulated(
            cases=tuple(_results(cases, advance)),
            runs=tuple(_results(by_runs, advance)),
            figures=tuple(_results(figures, advance)),
        )


def _results(simulations: Iterable[Callable[[], Row]], advance: Advance) -> Iterator[Row]:
    for simulation in simulations:
        yield simulation()
        advance(1)


def _print(simulated: Simulated, comparisons: int) -> None:
    from rich.console import Console

    from harness.stats.calibrate import COVERED, FALSE, FOUND

    console = Console(markup=False, highlight=False)
    _print_cases(console, simulated.cases)
    _print_runs(console, simulated.runs)
    _print_figures(console, simulated.figures)
    low, high = ([f"{100 * bounds[end]:.0f}" for bounds in (FALSE, FOUND, COVERED)] for end in (0, 1))
    console.print(
        f"In % of {comparisons} comparisons, ± the simulation's own standard error. false: a difference seen between "
        f"models that are alike ({low[0]}-{high[0]}). planted: a difference of the size that was called detectable, in "
        "points, with several runs in standard errors of one run over pictures; found: how often it is seen "
        f"({low[1]}-{high[1]}). covered: intervals that hold the truth ({low[2]}-{high[2]}). *: outside.",
        markup=False,
    )
    if simulated.runs:
        console.print(
            "Several runs: the ratio is that of the standard deviation between runs to one run's standard error over "
            "pictures; seen: what is printed as such, in the median. Here a difference is seen where the interval "
            "leaves out zero; p < 0.05 is never come to by fewer than six runs. With three, found is under 80 %, since "
            "what they say to be detectable rests on a spread of three.",
            markup=False,
        )


def _print_cases(console: Console, rows: Sequence[Calibration]) -> None:
    headings = ("answers", "metric", "pictures", "false", "planted", "found", "covered")
    lines = [
        (
            *(row.case, row.metric, str(row.pictures), _words(row.false), f"{100 * row.planted:.1f}"),
            *(_words(row.found), _words(row.covered)),
        )
        for row in rows
    ]
    print_table(console, "two models", headings, lines, 2)


def _print_runs(console: Console, rows: Sequence[RunsCalibration]) -> None:
    headings = ("runs", "ratio", "ratio seen", "pictures", "false", "p < 0.05", "planted", "found", "covered")
    lines = [
        (
            *(str(row.runs), f"{row.ratio:g}", f"{row.ratio_seen:.1f}", str(row.pictures), _words(row.false)),
            *(_words(row.starred), f"{row.planted:.1f}", _words(row.found), _words(row.covered)),
        )
        for row in rows
    ]
    print_table(console, "several training runs", headings, lines, 0)


def _print_figures(console: Console, rows: Sequence[FigureCalibration]) -> None:
    headings = ("answers", "metric", "true", "pictures", "covered", "width", "none seen", "interval")
    lines = [
        (
            *(row.case, row.metric, f"{100 * row.mean:.0f}", str(row.pictures), _words(row.covered)),
            *(f"{100 * row.width:.1f}", f"{100 * row.none_seen:.1f}", row.method),
        )
        for row in rows
    ]
    print_table(console, "single figures", headings, lines, 2)


def _words(share: Share) -> str:
    return f"{100 * share.value:.1f} ± {100 * share.error:.1f}{'' if share.within else ' *'}"
