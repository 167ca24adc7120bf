"""Figures as pages show them: text, what to sort by, and whether a difference is one beyond doubt."""

from __future__ import annotations

from dataclasses import dataclass

from harness.stats import PooledDifference
from harness.types import Metric
from leaderboards.render import NOTHING, Cell, figure, interval, probability, runs_text

SURE = 0.05
"""A p below this, corrected where it is corrected, and an interval without zero make a difference one beyond doubt."""

VERDICTS = {True: "better", False: "worse", None: "unclear"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One metric of one checkpoint in words, with its difference to the seed. `verdict` is one of `VERDICTS`, or blank
    where there is no difference; `sort` and `delta_sort` are fractions as text, blank where there is none."""

    value: str
    interval: str
    sort: str
    delta: str
    delta_interval: str
    delta_fixed: str
    delta_sort: str
    p: str
    verdict: str


NO_FIGURE = Figure(
    value=NOTHING, interval="", sort="", delta="", delta_interval="", delta_fixed="", delta_sort="", p="", verdict=""
)


def judged(cell: Cell) -> bool | None:
    """True where a difference is for the better beyond doubt, False for the worse, None where it is neither, or where
    silence may explain it (`leaderboards.doubts`)."""
    difference = cell.difference
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return None
    if cell.metric.better == "neither" or difference.low <= 0 <= difference.high:
        return None
    p = difference.p if cell.holm is None else cell.holm
    if difference.doubt or (p is not None and p >= SURE):
        return None
    return (difference.value > 0) == (cell.metric.better == "higher")


def shown(cell: Cell | None, digits: int | None = None) -> Figure:
    """A cell of the board in words, with its usual number of digits or another."""
    if cell is None:
        return NO_FIGURE
    metric, estimate, difference = cell.metric, cell.estimate, cell.difference
    value = estimate.value if estimate else difference.b if difference else None
    has_difference = difference is not None and difference.value is not None
    return Figure(
        value=figure(value, metric, digits=digits),
        interval=interval(estimate.low, estimate.high, metric, digits=digits) if estimate else "",
        sort=_sortable(value),
        delta=figure(difference.value, metric, signed=True, digits=digits) if difference and has_difference else "",
        delta_interval=interval(difference.low, difference.high, metric, signed=True, digits=digits)
        if difference and has_difference
        else "",
        delta_fixed=_pooled_text(difference, metric, digits) if isinstance(difference, PooledDifference) else "",
        delta_sort=_sortable(difference.value) if difference else "",
        p=f"{probability(cell.holm)}{'' if cell.testable else ', not testable'}" if cell.holm is not None else "",
        verdict=VERDICTS[judged(cell)] if has_difference else "",
    )


def _pooled_text(difference: PooledDifference, metric: Metric, digits: int | None) -> str:
    """The interval over pictures alone, and the runs with their ratio."""
    bounds = interval(difference.fixed_low, difference.fixed_high, metric, signed=True, digits=digits, ends="{}")
    return f"{bounds} {runs_text(difference)}".strip()


def on_axis(value: float, metric: Metric) -> float:
    """A fraction in the unit of an axis."""
    return value * 100 if metric.percent else value


def bounds(low: float | None, high: float | None, metric: Metric) -> tuple[float, float] | None:
    """An interval in the unit of an axis."""
    return None if low is None or high is None else (on_axis(low, metric), on_axis(high, metric))


def _sortable(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
