"""Two sides that answered the same samples: paired differences, over several training seeds too, and Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.errors import DataError, UsageError
from harness.results import Marked
from harness.stats.resample import Plan, interval, number, resamples, stack, two_sided
from harness.types import Metric


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """B minus A on the rows that both answered, as a fraction, with its 95 % interval and two-sided p.

    `n` counts the shared rows that the metric is over; `only_a` and `only_b` are the ids, sorted, that one side alone
    answered and that are therefore in none of the figures. None where 0/0 or where no interval can be given, as in
    `Estimate`.
    """

    metric: str
    a: float | None
    b: float | None
    value: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PooledDifference(Difference):
    """The mean difference of several training seeds.

    `low`, `high` and `p` resample seeds and clusters and speak of the next training run; with three seeds that is
    crude (a percentile interval over few units is too narrow). `fixed_low` and `fixed_high` resample clusters only and
    speak of these very checkpoints on other pictures. `seeds` holds each seed's own difference. `a` and `b` are means
    over seeds; `n` is the sum of the seeds' rows.
    """

    fixed_low: float | None
    fixed_high: float | None
    seeds: tuple[float | None, ...] = field(default=())


def difference(
    a: Sequence[Marked], b: Sequence[Marked], metrics: Sequence[Metric], *, draws: int = 10_000, seed: int = 0
) -> dict[str, Difference]:
    """B minus A for every metric, paired by row id; clusters are resampled once and applied to both sides.

    p is two-sided: twice the smaller share of draws at or beyond zero, (k + 1) / (draws + 1), so never 0. Raises
    `DataError` when an id occurs twice on one side or stands for another picture on the other side.
    """
    pooled = pooled_difference([(a, b)], metrics, draws=draws, seed=seed)
    return {name: _plain_difference(one) for name, one in pooled.items()}


def pooled_difference(
    pairs: Sequence[tuple[Sequence[Marked], Sequence[Marked]]],
    metrics: Sequence[Metric],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, PooledDifference]:
    """The mean over training seeds of (b - a), each pair being one seed's rows before and after.

    The seeds met the same test pictures, so clusters are drawn once and used for every seed; the seeds are drawn with
    replacement on top. With one pair this is `difference`. See `PooledDifference` for the two intervals.
    """
    if not pairs:
        raise UsageError("no pair of results to compare: give at least one")
    plan = Plan.of(metrics)
    matched = [paired(a, b) for a, b in pairs]
    clusters = sorted({row.cluster for one in matched for row in one.a})
    sums = [(plan.sums(one.a, clusters), plan.sums(one.b, clusters)) for one in matched]
    values = [tuple(plan.ratios(side.sum(axis=0, keepdims=True))[0] for side in sides) for sides in sums]
    # Seeds have their own stream, so that one seed draws the very clusters that `difference` draws.
    seed_stream = np.random.default_rng([seed, 1])
    over_seeds, fixed = [], []
    for weights in resamples(len(clusters), draws, seed):
        by_seed = np.stack([plan.ratios(weights @ b) - plan.ratios(weights @ a) for a, b in sums])
        chosen = seed_stream.integers(0, len(sums), size=(len(sums), len(weights)))
        over_seeds.append(by_seed[chosen, np.arange(len(weights))].mean(axis=0))
        fixed.append(by_seed.mean(axis=0))
    drawn, drawn_fixed = stack(over_seeds), stack(fixed)
    usable = np.min([plan.clusters_bearing(side) for sides in sums for side in sides], axis=0) >= 2
    counts = np.sum([plan.row_counts(one.a) for one in matched], axis=0)
    a_values, b_values = (np.array([sides[side] for sides in values]) for side in (0, 1))
    found = {}
    for index, metric in enumerate(metrics):
        each = b_values[:, index] - a_values[:, index]
        low, high = interval(drawn[:, index]) if usable[index] else (None, None)
        fixed_low, fixed_high = interval(drawn_fixed[:, index]) if usable[index] else (None, None)
        found[metric.name] = PooledDifference(
            metric=metric.name,
            a=number(a_values[:, index].mean()),
            b=number(b_values[:, index].mean()),
            value=number(each.mean()),
            low=low,
            high=high,
            p=None if low is None else two_sided(drawn[:, index]),
            n=int(counts[index]),
            only_a=tuple(sorted({name for one in matched for name in one.only_a})),
            only_b=tuple(sorted({name for one in matched for name in one.only_b})),
            fixed_low=fixed_low,
            fixed_high=fixed_high,
            seeds=tuple(number(one) for one in each),
        )
    return found


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979): the p of each name, corrected for the
    number of names looked at; in the order given.

    Example:
        >>> holm({"x": 0.01, "y": 0.04})
        {'x': 0.02, 'y': 0.04}
    """
    corrected: dict[str, float] = {}
    floor = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: (p_values[key], key))):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[name]))
        corrected[name] = floor
    return {name: corrected[name] for name in p_values}


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
    found: dict[str, Marked] = {}
    for row in rows:
        if row.id in found:
            raise DataError(f"sample '{row.id}' occurs twice on one side: it cannot be paired; score the answers again")
        found[row.id] = row
    return found


def _plain_difference(pooled: PooledDifference) -> Difference:
    return Difference(
        metric=pooled.metric,
        a=pooled.a,
        b=pooled.b,
        value=pooled.value,
        low=pooled.low,
        high=pooled.high,
        p=pooled.p,
        n=pooled.n,
        only_a=pooled.only_a,
        only_b=pooled.only_b,
    )
