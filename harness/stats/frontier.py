"""What a model knows about pictures, apart from how much it chooses to say: its curve of precision against recall.

Each side's sentences are ranked by the side's own sureness (`harness.ranked`), and a threshold runs over them. Two
sides are held against each other where their recall is the same: whoever only says less moves along its curve and
gains nothing. Average precision is the mean of the curve's precision over recall (Salton & McGill 1983; in the form of
Everingham et al., IJCV 88, 2010, with recall over what is in the picture), from 0 to the recall that both sides reach.

What it does not see through: CHAIRi counts every mention, so saying the surest sentence once more lowers it at equal
recall (simulated captions of five sentences: by 1.2 points, average precision by less than 0.1), and a `repeated` that
rose gives it away; precision over distinct objects (`captions`, `ic`) does not move. Sentences cut or joined otherwise
move average precision (two in one: by 1.0) and not the figure at equal recall, where that is a side's own whole recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import DataError
from harness.ranked import OWN
from harness.results import Marked
from harness.stats.differences import Difference, PooledDifference, over_seeds, paired, plain_difference
from harness.stats.resample import ZERO, Floats, cluster_names, resamples
from harness.types import Metric

AVERAGE_PRECISION = Metric(name="frontier/AP")

THRESHOLDS = 128
"""Places at which a curve is known, quantiles of its sureness; between two of them it is interpolated."""


def frontier_metrics(precise: Metric) -> tuple[Metric, Metric]:
    """The two figures as metrics, to be named and shown: `precise` (CHAIRi, precision) at equal recall, and AP.

    Example:
        >>> [metric.name for metric in frontier_metrics(Metric(name="CHAIRi", better="lower"))]
        ['frontier/CHAIRi', 'frontier/AP']
    """
    return Metric(name=f"frontier/{precise.name}", better=precise.better), AVERAGE_PRECISION


def frontier_difference(
    a: Sequence[Marked], b: Sequence[Marked], precise: Metric, recall: Metric, *, draws: int = 10_000, seed: int = 0
) -> dict[str, Difference]:
    """`pooled_frontier` of one training seed."""
    pooled = pooled_frontier([(a, b)], precise, recall, draws=draws, seed=seed)
    return {name: plain_difference(difference) for name, difference in pooled.items()}


def pooled_frontier(
    pairs: Sequence[tuple[Sequence[Marked], Sequence[Marked]]],
    precise: Metric,
    recall: Metric,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, PooledDifference]:
    """B minus A of both `frontier_metrics`, the mean over training seeds, resampled as by `pooled_difference`.

    `precise` and `recall` are metrics of the task, ratios of sums. The recall at which a pair is read is the smaller of
    the two that the sides' whole answers reach, found anew in every draw, and each side is read at the first threshold
    where it gets there: what it says of which it is less sure, and which adds no recall, it could have left out as
    well. `a` and `b` are therefore figures of the pair and not of a side. Raises `DataError` for rows that are not
    ranked.
    """
    matched = [paired(a, b) for a, b in pairs]
    clusters = cluster_names(row for pair in matched for row in pair.a)
    sides = [tuple(_Curve.of(rows, clusters, precise, recall) for rows in (pair.a, pair.b)) for pair in matched]
    metrics = frontier_metrics(precise)

    def figures(weights: Floats) -> Floats:
        """seeds x 2 sides x draws x 2 figures."""
        return np.stack([np.stack(_read_where_recall_meets(a, b, weights)) for a, b in sides])

    def moved(weights: Floats) -> Floats:
        values = figures(weights)
        return values[:, 1] - values[:, 0]

    whole = figures(np.ones((1, len(clusters))))[:, :, 0]
    apart = {
        a.cluster
        for pair in matched
        for a, b in zip(pair.a, pair.b, strict=True)
        if a.counts != b.counts or a.ranked[OWN] != b.ranked[OWN]
    }
    rows = [sum(len(pair.a) for pair in matched)] * len(metrics)
    drawn = resamples(len(clusters), draws, seed)
    names = [metric.name for metric in metrics]
    differences = over_seeds(names, whole, moved, [len(clusters)] * 2, [len(apart)] * 2, rows, drawn)
    only_a = tuple(sorted({name for pair in matched for name in pair.only_a}))
    only_b = tuple(sorted({name for pair in matched for name in pair.only_b}))
    return {each.metric: replace(each, only_a=only_a, only_b=only_b) for each in differences}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Curve:
    """Sums of a side's answers at each threshold, from the highest to that which keeps all: of `precise` and of recall,
    above and below their fraction lines, each clusters x thresholds."""

    above: Floats
    below: Floats
    recalled: Floats
    true: Floats
    higher: bool

    @classmethod
    def of(cls, rows: Sequence[Marked], clusters: Sequence[str], precise: Metric, recall: Metric) -> _Curve:
        if unranked := next((row for row in rows if OWN not in row.ranked), None):
            raise DataError(f"sample '{unranked.id}' has no ranked sentences: evaluate the model again with this Strop")
        sureness = [step.sureness for row in rows for step in row.ranked[OWN] if step.sureness is not None]
        thresholds = np.unique(np.quantile(sureness, np.linspace(0, 1, THRESHOLDS)))[::-1] if sureness else np.zeros(1)
        cluster_index = {name: index for index, name in enumerate(clusters)}
        sums = np.zeros((4, len(clusters), len(thresholds)))
        weights = (precise.terms, precise.over, recall.terms, recall.over)
        for row in rows:
            steps = row.ranked[OWN]
            marks = np.array([[_weighed(step.counts, of_sum) for step in steps] for of_sum in weights])
            sure = -np.array([step.sureness for step in steps[1:]], dtype=np.float64)
            kept = np.searchsorted(sure, -thresholds, side="right")
            sums[:, cluster_index[row.cluster]] += marks[:, kept]
        above, below, recalled, true = sums
        return cls(above=above, below=below, recalled=recalled, true=true, higher=precise.better != "lower")

    def drawn(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """(above, below, recall), each draws x thresholds; recall is NaN where nothing is true."""
        true = weights @ self.true
        recall = np.full(true.shape, np.nan)
        np.divide(weights @ self.recalled, true, out=recall, where=true != 0)
        return weights @ self.above, weights @ self.below, recall


def _weighed(counts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return sum(weight * counts.get(name, 0.0) for name, weight in weights.items())


def _read_where_recall_meets(a: _Curve, b: _Curve, weights: Floats) -> list[Floats]:
    """For each side draws x 2: `precise` at the smaller of the two full recalls, and average precision up to it."""
    curves = [(side, *side.drawn(weights)) for side in (a, b)]
    target = np.minimum(curves[0][3][:, -1], curves[1][3][:, -1])
    return [_read_off(side.higher, above, below, recall, target) for side, above, below, recall in curves]


def _read_off(higher: bool, above: Floats, below: Floats, recall: Floats, target: Floats) -> Floats:
    draws, last = np.arange(len(recall)), recall.shape[1] - 1
    at = np.clip((recall < target[:, None] - ZERO).sum(axis=1), 0, last)
    before = np.maximum(at - 1, 0)
    gap = recall[draws, at] - recall[draws, before]
    share = np.ones(len(recall))
    np.divide(target - recall[draws, before], gap, out=share, where=gap > ZERO)
    share = np.clip(share, 0, 1)
    meet_above = above[draws, before] + share * (above[draws, at] - above[draws, before])
    meet_below = below[draws, before] + share * (below[draws, at] - below[draws, before])
    value = _ratio(meet_above, meet_below)
    # AP: trapezoids between thresholds, up to the target; before the first threshold precision is what it is there
    ratio = _ratio(above, below)
    precision = np.nan_to_num(ratio if higher else 1 - ratio)
    met = np.nan_to_num(value if higher else 1 - value)
    inside = np.minimum(recall, target[:, None])
    reached = recall >= target[:, None] - ZERO
    height = np.where(reached, met[:, None], precision)
    widths = np.diff(inside, axis=1)
    area = inside[:, 0] * height[:, 0] + (widths * (height[:, 1:] + height[:, :-1]) / 2).sum(axis=1)
    average = _ratio(area, target)
    undefined = np.isnan(target)
    return np.stack([np.where(undefined, np.nan, value), np.where(undefined, np.nan, average)], axis=1)


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=ratio, where=np.abs(below) > ZERO)
    return ratio
