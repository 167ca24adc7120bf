"""A figure with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.results import Marked
from harness.stats.binomial import are_trials, cluster_wilson, wilson
from harness.stats.resample import UNDEFINED_SHARE, Floats, Plan, cluster_names, interval, number, resamples, stack
from harness.types import Metric

BOOTSTRAP = "cluster bootstrap"
WILSON = "wilson"
CLUSTERED = "cluster wilson"


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure with its 95 % interval, as a fraction (0.86, not 86).

    `value` is None for 0/0. `low` and `high` are None where no interval can be given: fewer than two clusters bear on
    the metric, or it is 0/0 in too many draws (`UNDEFINED_SHARE`). `n` counts the rows that the metric is over: those
    of its group whose counts name a term of the denominator. `method` says how the interval is made: "wilson" for a
    plain share with one trial a cluster, "cluster wilson" for any other share, a mean of shares too
    (`harness.stats.binomial.cluster_wilson`), "cluster bootstrap" for what is none, such as a number of words.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str = BOOTSTRAP


def estimate(
    rows: Sequence[Marked], metrics: Sequence[Metric], *, draws: int = 10_000, seed: int = 0
) -> dict[str, Estimate]:
    """Every metric of the rows with a 95 % interval: Wilson's for shares, with the number of trials that their clusters
    are worth, and the percentile interval over clusters for all else, from the same draws.

    `value` is the exact quotient of sums over all rows. The order of the rows does not matter. Raises `UsageError`
    for fewer than one draw and `DataError` for a macro metric whose parts are not among `metrics`.

    Example:
        >>> right = Marked(id="1", cluster="a", group=None, answer="", value=1, parsed="", counts={"ok": 1, "asked": 1})
        >>> estimate([right], [Metric(name="accuracy", terms={"ok": 1}, over={"asked": 1})])["accuracy"].value
        1.0
    """
    plan = Plan.of(metrics)
    sums = plan.table(rows, cluster_names(rows)).sums()
    estimates = estimate_sums(plan, sums, plan.row_counts(rows), resamples(len(sums), draws, seed))
    return {metric.name: figure for metric, figure in zip(metrics, estimates, strict=True)}


def estimate_sums(plan: Plan, sums: Floats, rows: Sequence[int], drawn: Iterable[Floats]) -> list[Estimate]:
    """The estimates of sums, clusters x columns.

    `rows` is each metric's n, `drawn` the clusters as `harness.stats.resample.resamples` draws them.
    """
    values = plan.ratios(sums.sum(axis=0, keepdims=True))[0]
    shares = cluster_wilson(plan, sums)
    bearing = plan.clusters_bearing(sums)
    # the chance that a draw holds none of the clusters that bear on a metric
    usable = (bearing >= 2) & ((1 - bearing / max(1, len(sums))) ** len(sums) <= UNDEFINED_SHARE)
    others = [index for index, metric in enumerate(plan.metrics) if shares[index] is None or not metric.percent]
    bootstrapped = _percentile(plan, sums, others, drawn) if usable[others].any() else {}
    estimates = []
    for index, metric in enumerate(plan.metrics):
        above, below = sums @ plan.numerators[:, index], sums @ plan.denominators[:, index]
        method, bounds = CLUSTERED, shares[index]
        if index in others:
            method, bounds = BOOTSTRAP, bootstrapped.get(index)
        if metric.percent and are_trials(above, below):
            method, bounds = WILSON, wilson(float(above.sum() / below.sum()), float(below.sum()))
        elif not usable[index]:
            bounds = None
        low, high = bounds or (None, None)
        estimates.append(Estimate(value=number(values[index]), low=low, high=high, n=rows[index], method=method))
    return estimates


def _percentile(
    plan: Plan, sums: Floats, metrics: Sequence[int], drawn: Iterable[Floats]
) -> dict[int, tuple[float, float]]:
    """The percentile intervals of some of the plan's metrics, where there are any."""
    ratios = stack(plan.ratios(weights @ sums)[:, metrics] for weights in drawn)
    bounds = {index: interval(ratios[:, column]) for column, index in enumerate(metrics)}
    return {index: (low, high) for index, (low, high) in bounds.items() if low is not None and high is not None}


def as_plain(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    """Estimates as JSON knows them: metric -> {"value", "low", "high", "n", "method"}."""
    return {metric: asdict(figure) for metric, figure in estimates.items()}
