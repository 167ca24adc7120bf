"""Drawing clusters again, and metrics of what was drawn: the arithmetic under every interval of this package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, UsageError
from harness.results import Marked
from harness.types import Metric

Floats = NDArray[np.float64]

COVERAGE = 0.95
"""Share of draws between `low` and `high`."""

UNDEFINED_SHARE = 0.05
"""A metric that is 0/0 in more than this share of its draws gets no interval: what is left would be a biased choice."""

FEW_CLUSTERS = 50
"""Under so many clusters the bootstrap's intervals are clearly too narrow (`strop calibrate`)."""

_CELLS_AT_ONCE = 1_000_000  # draws x clusters held in memory together: 8 MB of weights, in a core's reach
_CELLS_KEPT = 30_000_000  # draws x clusters remembered for the next comparison: 60 MB
ZERO = 1e-12  # two equal figures that were summed in another order differ by less; such a draw is a tie


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows x columns of counts, and the cluster that each row belongs to."""

    counts: Floats
    where: NDArray[np.int64]
    clusters: int

    def sums(self) -> Floats:
        """clusters x columns."""
        sums = np.zeros((self.clusters, self.counts.shape[1]))
        for index, column in enumerate(self.counts.T):
            sums[:, index] = np.bincount(self.where, weights=column, minlength=self.clusters)
        return sums


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How the metrics are computed from columns of sums, a column being one count over the rows of one group."""

    metrics: tuple[Metric, ...]
    columns: tuple[tuple[str | None, str], ...]
    numerators: Floats  # columns x metrics
    denominators: Floats
    order: tuple[int, ...]  # macro metrics in an order in which their parts come first

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> Plan:
        columns = sorted(
            {(m.group, count) for m in metrics if not m.macro for count in (*m.terms, *m.over)},
            key=lambda column: (column[0] is not None, column[0] or "", column[1]),
        )
        index_of = {column: index for index, column in enumerate(columns)}
        numerators, denominators = (np.zeros((len(columns), len(metrics))) for _ in range(2))
        for index, metric in enumerate(metrics):
            if not metric.macro:
                for matrix, weights in ((numerators, metric.terms), (denominators, metric.over)):
                    for count, weight in weights.items():
                        matrix[index_of[metric.group, count], index] = weight
        return cls(
            metrics=tuple(metrics),
            columns=tuple(columns),
            numerators=numerators,
            denominators=denominators,
            order=_macro_order(metrics),
        )

    def table(self, rows: Sequence[Marked], clusters: Sequence[str]) -> Table:
        """The counts of rows. Rows come in the order of their ids: the order given must not move a digit."""
        index_of = {name: index for index, name in enumerate(clusters)}
        ordered = sorted(rows, key=lambda row: (row.cluster, row.id))
        of_group = _places_by_group(ordered)
        counts = np.zeros((len(ordered), len(self.columns)))
        for index, (group, count) in enumerate(self.columns):
            places = of_group.get(group, [])
            counts[places, index] = [ordered[at].counts.get(count, 0.0) for at in places]
        where = np.array([index_of[row.cluster] for row in ordered], dtype=np.int64)
        return Table(counts=counts, where=where, clusters=len(clusters))

    def ratios(self, sums: Floats) -> Floats:
        """draws x columns -> draws x metrics, NaN for 0/0."""
        above, below = sums @ self.numerators, sums @ self.denominators
        ratios = np.full(below.shape, np.nan)
        np.divide(above, below, out=ratios, where=below != 0)
        for index in self.order:
            ratios[:, index] = ratios[:, self.parts(index)].mean(axis=1)
        return ratios

    def clusters_bearing(self, sums: Floats) -> NDArray[np.int64]:
        """How many clusters enter each metric's denominator; for a macro metric those of its scarcest part."""
        bearing: NDArray[np.int64] = np.count_nonzero(sums @ self.denominators, axis=0)
        for index in self.order:
            bearing[index] = min(bearing[component] for component in self.parts(index))
        return bearing

    def columns_used(self) -> NDArray[np.bool_]:
        """columns x metrics: whether a metric is computed from a column."""
        used: NDArray[np.bool_] = (self.numerators != 0) | (self.denominators != 0)
        for index in self.order:
            used[:, index] = used[:, self.parts(index)].any(axis=1)
        return used

    def row_counts(self, rows: Sequence[Marked]) -> list[int]:
        """Rows that each metric is over: of its group, and naming a count of its denominator (zero or not)."""
        of_group = _places_by_group(rows)
        covered = [
            {at for at in of_group.get(metric.group, ()) if not rows[at].counts.keys().isdisjoint(metric.over)}
            for metric in self.metrics
        ]
        for index in self.order:
            covered[index] = set().union(*(covered[component] for component in self.parts(index)))
        return [len(places) for places in covered]

    def parts(self, index: int) -> list[int]:
        """Where the parts of a macro metric are."""
        names = [metric.name for metric in self.metrics]
        return [names.index(component) for component in self.metrics[index].macro]

    def leaves(self, index: int) -> list[int]:
        """Where the ratios are that a metric is made of: itself, or the parts of its parts."""
        return [leaf for component in self.parts(index) for leaf in self.leaves(component)] or [index]


def _places_by_group(rows: Sequence[Marked]) -> dict[str | None, list[int]]:
    """Where the rows of each group are; under None, all."""
    places: dict[str | None, list[int]] = {None: list(range(len(rows)))}
    for index, row in enumerate(rows):
        if row.group is not None:
            places.setdefault(row.group, []).append(index)
    return places


def _macro_order(metrics: Sequence[Metric]) -> tuple[int, ...]:
    resolved = {metric.name for metric in metrics if not metric.macro}
    waiting = [index for index, metric in enumerate(metrics) if metric.macro]
    order: list[int] = []
    while waiting:
        ready = [index for index in waiting if resolved.issuperset(metrics[index].macro)]
        if not ready:
            metric = metrics[waiting[0]]
            missing = ", ".join(name for name in metric.macro if name not in resolved)
            raise DataError(f"metric '{metric.name}' is the mean of {missing}, which is not defined; pass it as well")
        resolved.update(metrics[index].name for index in ready)
        order += ready
        waiting = [index for index in waiting if index not in ready]
    return tuple(order)


def resamples(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn, chunks of draws x clusters: multinomial counts, by counting uniform picks,
    which is several times faster than numpy's own multinomial and the same distribution. Nothing is drawn before it is
    asked for. Raises `UsageError` for fewer than one draw."""
    if draws < 1:
        raise UsageError(f"{draws} bootstrap draws: at least 1 is needed, 10000 is usual")
    return _weights(clusters, draws, seed)


def _weights(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    kept = clusters * draws <= _CELLS_KEPT
    for counts in _kept_counts(clusters, draws, seed) if kept else _counts(clusters, draws, seed):
        yield counts.astype(np.float64)


@lru_cache(maxsize=2)
def _kept_counts(clusters: int, draws: int, seed: int) -> tuple[NDArray[np.uint16], ...]:
    """A board compares many checkpoints on the same pictures, by the same draws: drawing takes longer than the rest."""
    return tuple(_counts(clusters, draws, seed))


def _counts(clusters: int, draws: int, seed: int) -> Iterator[NDArray[np.uint16]]:
    stream = np.random.default_rng(seed)
    if clusters == 0:
        yield np.zeros((draws, 0), dtype=np.uint16)
        return
    step = max(1, _CELLS_AT_ONCE // clusters)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        picks = stream.integers(0, clusters, size=(size, clusters))
        picks += (np.arange(size) * clusters)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.uint16)


def cluster_names(rows: Iterable[Marked]) -> list[str]:
    return sorted({row.cluster for row in rows})


def stack(chunks: Iterable[Floats]) -> Floats:
    return np.concatenate(list(chunks), axis=0)


def interval(drawn: Floats) -> tuple[float, float] | tuple[None, None]:
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < (1 - UNDEFINED_SHARE) * len(drawn):
        return None, None
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def two_sided(drawn: Floats) -> float:
    defined = drawn[~np.isnan(drawn)]
    beyond = min(np.count_nonzero(defined <= ZERO), np.count_nonzero(defined >= -ZERO))
    return min(1.0, 2 * (int(beyond) + 1) / (len(defined) + 1))


def number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
