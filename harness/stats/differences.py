"""Two sides that answered the same samples: paired differences, over several training seeds too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, UsageError
from harness.results import Marked
from harness.stats.binomial import McNemar, are_trials, mcnemar
from harness.stats.resample import Floats, Plan, Table, cluster_names, interval, number, resamples, two_sided
from harness.stats.runs import RunSpread, detectable_errors, run_spread
from harness.types import Metric

DETECTABLE = 1.96 + 0.84
"""Standard errors that a true difference of one run must measure to be seen with 80 % power at two-sided 5 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """B minus A on the rows that both answered, as a fraction, with its 95 % interval and two-sided p.

    `se` is the standard deviation of the draws. `n` counts the shared rows that the metric is over; `only_a` and
    `only_b` are the ids, sorted, that one side alone answered and that are therefore in none of the figures.
    `mcnemar` stands beside a metric to which each row counts as 0 or 1. `least_p` is the smallest p that such a
    comparison can come to, whatever the answers, and `limit` what it is due to: draws, pictures or training runs. `df`
    are the degrees of freedom of the t of several training runs. `doubt` says why, for all that, the side that is ahead
    is not called better (`leaderboards.doubts`; empty: nothing speaks against it). None where 0/0 or where no interval
    can be given, as in `Estimate`.
    """

    metric: str
    a: float | None
    b: float | None
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    se: float | None = None
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    mcnemar: McNemar | None = None
    least_p: float | None = None
    limit: str = ""
    df: float | None = None
    doubt: str = ""

    @property
    def detectable(self) -> float | None:
        """The smallest true difference whose interval leaves out zero four times in five (two-sided 5 %); None where
        no draw differs from another, which says nothing of what would be found."""
        if not self.se:
            return None
        return self.se * (DETECTABLE if self.df is None else detectable_errors(self.df))


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledDifference(Difference):
    """The mean difference of several training seeds.

    `low`, `high`, `p` and `se` speak of the next training run on other pictures: of several seeds they are those of a t
    with `df` degrees of freedom (`harness.stats.runs`). `ratio` is the standard deviation between the seeds'
    differences to the standard error of one seed's over pictures. `fixed_low` and `fixed_high` resample clusters only
    and speak of these very checkpoints on other pictures. `seeds` holds each seed's own difference. `a` and `b` are
    means over seeds; `n` is the sum of the seeds' rows. `mcnemar` is there for one seed only, `df` and `ratio` for
    several.
    """

    fixed_low: float | None
    fixed_high: float | None
    seeds: tuple[float | None, ...] = field(default=())
    ratio: float | None = None


def difference(
    a: Sequence[Marked], b: Sequence[Marked], metrics: Sequence[Metric], *, draws: int = 10_000, seed: int = 0
) -> dict[str, Difference]:
    """B minus A for every metric, paired by row id; clusters are resampled once and applied to both sides.

    p is two-sided: twice the smaller share of draws at or beyond zero, (k + 1) / (draws + 1), so never 0; nor is it
    less than an exact test of the signs could give (`over_seeds`). Raises `DataError` when an id occurs twice on one
    side or stands for another picture on the other side.
    """
    pooled = pooled_difference([(a, b)], metrics, draws=draws, seed=seed)
    return {name: plain_difference(figure) for name, figure in pooled.items()}


def pooled_difference(
    pairs: Sequence[tuple[Sequence[Marked], Sequence[Marked]]],
    metrics: Sequence[Metric],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, PooledDifference]:
    """The mean over training seeds of (b - a), each pair being one seed's rows before and after.

    The seeds met the same test pictures, so clusters are drawn once and used for every seed. With one pair this is
    `difference`. See `PooledDifference` for the two intervals.
    """
    if not pairs:
        raise UsageError("no pair of results to compare: give at least one")
    matched = [paired(a, b) for a, b in pairs]
    clusters = cluster_names(row for pair in matched for row in pair.a)
    plan = Plan.of(metrics)
    tables = [(plan.table(pair.a, clusters), plan.table(pair.b, clusters)) for pair in matched]
    counts = np.sum([plan.row_counts(pair.a) for pair in matched], axis=0)
    drawn = resamples(len(clusters), draws, seed)
    differences = compare_sums(plan, [(a.sums(), b.sums()) for a, b in tables], counts, drawn)
    only_a = tuple(sorted({name for pair in matched for name in pair.only_a}))
    only_b = tuple(sorted({name for pair in matched for name in pair.only_b}))
    exact = _mcnemars(plan, *tables[0]) if len(tables) == 1 else [None] * len(differences)
    return {
        figure.metric: replace(figure, only_a=only_a, only_b=only_b, mcnemar=test)
        for figure, test in zip(differences, exact, strict=True)
    }


def compare_sums(
    plan: Plan, sums: Sequence[tuple[Floats, Floats]], rows: Sequence[int], drawn: Iterable[Floats]
) -> list[PooledDifference]:
    """The differences of sums, clusters x columns for each side of each training seed.

    `rows` is each metric's n, `drawn` the clusters as `harness.stats.resample.resamples` draws them.
    """
    values = np.array([[plan.ratios(side.sum(axis=0, keepdims=True))[0] for side in sides] for sides in sums])

    beside = np.hstack([side for sides in sums for side in sides])  # one product for all: to read weights takes longest

    def moved(weights: Floats) -> Floats:
        sides = [plan.ratios(drawn) for drawn in np.split(weights @ beside, 2 * len(sums), axis=1)]
        return np.stack([b - a for a, b in zip(sides[::2], sides[1::2], strict=True)])

    bearing = np.min([plan.clusters_bearing(side) for sides in sums for side in sides], axis=0)
    apart = np.count_nonzero(np.any([a != b for a, b in sums], axis=0) @ plan.columns_used(), axis=0)
    names = [metric.name for metric in plan.metrics]
    return over_seeds(names, values, moved, bearing, apart, rows, drawn)


def over_seeds(
    names: Sequence[str],
    values: Floats,
    moved: Callable[[Floats], Floats],
    bearing: Sequence[int] | NDArray[np.int64],
    apart: Sequence[int] | NDArray[np.int64],
    rows: Sequence[int],
    drawn: Iterable[Floats],
) -> list[PooledDifference]:
    """Differences of any figures, clusters resampled, and training seeds by their t where there are several.

    `values` are seeds x 2 sides x figures; `moved` maps cluster weights (draws x clusters) to B minus A, seeds x
    draws x figures; `bearing` is how many clusters each figure rests on and `apart` in how many of them the sides
    differ; the others as in `compare_sums`.

    Where no more than k clusters differ, no exact test that turns their signs round finds less than 2 ** (1 - k), and
    no p here is smaller: with two clusters, or with four of a thousand that differ, hardly a draw lies beyond zero, and
    that share alone would pass for proof. Nor do n training seeds prove more than their signs, 2 ** (1 - n): what a t
    gives beyond rests on the tails of a distribution of which n values are known.
    """
    by_seed = np.concatenate([moved(weights) for weights in drawn], axis=1)
    return [
        _over_seeds(
            name, values[:, :, index], by_seed[:, :, index], int(bearing[index]), int(apart[index]), rows[index]
        )
        for index, name in enumerate(names)
    ]


def _over_seeds(name: str, values: Floats, by_seed: Floats, bearing: int, apart: int, rows: int) -> PooledDifference:
    """One figure: `values` seeds x 2 sides, `by_seed` seeds x draws."""
    a, b = values[:, 0], values[:, 1]
    undecided = PooledDifference(
        metric=name,
        a=number(a.mean()),
        b=number(b.mean()),
        value=number((b - a).mean()),
        low=None,
        high=None,
        p=None,
        n=int(rows),
        fixed_low=None,
        fixed_high=None,
        seeds=tuple(number(value) for value in b - a),
    )
    fixed = by_seed.mean(axis=0)
    low, high = interval(fixed) if bearing >= 2 else (None, None)
    if low is None or high is None or undecided.value is None:
        return undecided
    defined = by_seed[:, ~np.isnan(fixed)]
    signs = min(1.0, 2.0 ** (1 - apart))
    if len(by_seed) == 1:
        least = 2 / (defined.shape[1] + 1), f"{defined.shape[1]:,} draws"
        bounds, p, se = (low, high), two_sided(fixed), float(defined.std())
        spread: RunSpread | None = None
    else:
        least = 2.0 ** (1 - len(by_seed)), f"{len(by_seed)} training runs"
        spread = run_spread(b - a, defined.T, bearing)
        bounds, p, se = spread.interval(undecided.value), spread.p(undecided.value), spread.se
    least_p, limit = max(least, (2.0 ** (1 - bearing), f"{bearing} pictures"))
    return replace(
        undecided,
        low=bounds[0],
        high=bounds[1],
        p=max(p, signs, least_p),
        se=se,
        least_p=least_p,
        limit=limit,
        fixed_low=low,
        fixed_high=high,
        df=spread.df if spread else None,
        ratio=spread.ratio if spread else None,
    )


def plain_difference(pooled: PooledDifference) -> Difference:
    """The difference of one seed without what only several have."""
    return Difference(**{column.name: getattr(pooled, column.name) for column in fields(Difference)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The rows that both sides answered, in the order of their ids, and the ids of the others."""

    a: list[Marked]
    b: list[Marked]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


def paired(a: Sequence[Marked], b: Sequence[Marked]) -> Pair:
    rows_a, rows_b = by_id(a), by_id(b)
    shared = sorted(rows_a.keys() & rows_b.keys())
    for name in shared:
        if (rows_a[name].cluster, rows_a[name].group) != (rows_b[name].cluster, rows_b[name].group):
            raise DataError(
                f"sample '{name}' belongs to picture '{rows_a[name].cluster}' (group {rows_a[name].group}) on one side "
                f"and to '{rows_b[name].cluster}' (group {rows_b[name].group}) on the other: these results are of "
                "different data; score both on the same"
            )
    return Pair(
        a=[rows_a[name] for name in shared],
        b=[rows_b[name] for name in shared],
        only_a=tuple(sorted(rows_a.keys() - rows_b.keys())),
        only_b=tuple(sorted(rows_b.keys() - rows_a.keys())),
    )


def by_id(rows: Sequence[Marked]) -> dict[str, Marked]:
    indexed: dict[str, Marked] = {}
    for row in rows:
        if row.id in indexed:
            raise DataError(f"sample '{row.id}' occurs twice on one side: it cannot be paired; score the answers again")
        indexed[row.id] = row
    return indexed


def _mcnemars(plan: Plan, a: Table, b: Table) -> list[McNemar | None]:
    """A test for each metric that is a share of rows, the same rows on both sides."""
    tests: list[McNemar | None] = []
    for index, metric in enumerate(plan.metrics):
        above = [side.counts @ plan.numerators[:, index] for side in (a, b)]
        below = [side.counts @ plan.denominators[:, index] for side in (a, b)]
        trials = all(are_trials(*side) for side in zip(above, below, strict=True)) and (below[0] == below[1]).all()
        clustered = bool((np.bincount(a.where[below[0] > 0]) > 1).any())
        tests.append(mcnemar(*above, clustered=clustered) if metric.percent and trials else None)
    return tests
