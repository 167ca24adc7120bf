"""Shares: Wilson's interval, of independent trials and of clusters, and McNemar's test of two sides.

Wilson, JASA 22 (1927); McNemar, Psychometrika 12 (1947), in its exact form: a sign test of the discordant pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from harness.stats.resample import COVERAGE, ZERO, Floats, Plan

Z = NormalDist().inv_cdf((1 + COVERAGE) / 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class McNemar:
    """The exact test of a metric to which every row counts as 0 or 1.

    `only_a` and `only_b` are the rows that count on one side alone: right there only; for CHAIRs, hallucinating there
    only. `p` is two-sided and takes the rows to be independent of each other, which those of one picture are not:
    where `clustered`, p is too small and the bootstrap's is to be believed.
    """

    only_a: int
    only_b: int
    p: float
    clustered: bool


def are_trials(above: Floats, below: Floats) -> bool:
    """Whether each numerator is 0 or 1, each denominator too, and no 1 stands over a 0; and there is one trial."""
    yes_or_no = all(bool(np.isin(side, (0, 1)).all()) for side in (above, below))
    return yes_or_no and bool((above <= below).all()) and bool(below.any())


def wilson(share: float, trials: float) -> tuple[float, float]:
    """The interval of a share of so many independent trials, which need be no whole number."""
    middle, reach = share + Z**2 / (2 * trials), Z * sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    scale = 1 + Z**2 / trials
    low, high = (middle - reach) / scale, (middle + reach) / scale
    return (0.0 if share == 0 else max(0.0, low)), (1.0 if share == 1 else min(1.0, high))


def cluster_wilson(plan: Plan, sums: Floats) -> list[tuple[float, float] | None]:
    """Wilson's interval of each metric, with as many trials as its clusters are worth; None for what is no share.

    `sums` are clusters x columns. A metric is a share where no cluster counts less than nothing or more than all: its
    value is then a mean of the clusters' own shares, weighted by their denominators; of a macro metric the weights are
    the mean of its parts'. The variance v of that mean, linearised (residuals from the value, weighted, squared,
    summed), is that of value x (1 - value) / v independent trials: the design effect, Kish, Survey Sampling (1965),
    8.2; Dean & Pagano, Journal of Survey Statistics and Methodology 3 (2015), compare such intervals.

    Where few clusters hold an event (or few hold anything else) v is a guess, mostly too small, and nothing where none
    does. So it is averaged with the largest that it can be, all answers of a cluster alike: 1 / sum(weight ** 2)
    trials. That counts as much as one cluster, v as much as there are clusters with an event, or without one. With no
    event at all the upper end is about 3.8 / clusters, with one trial a cluster all of this is Wilson's own interval.
    `strop calibrate` shows what it comes to. The interval of a macro metric holds that of `_from_parts` too, since its
    events and clusters are mostly those of its larger parts.
    """
    above, below = sums @ plan.numerators, sums @ plan.denominators
    share = ((above >= 0) & (above <= below + ZERO)).all(axis=0) & (below.sum(axis=0) > 0)
    totals = np.where(share, below.sum(axis=0), 1.0)
    events, weights = above / totals, below / totals
    residuals = events - events.sum(axis=0) * weights
    for index in plan.order:
        parts = plan.parts(index)
        share[index] = share[parts].all()
        for side in (events, weights, residuals):
            side[:, index] = side[:, parts].mean(axis=1)
    value, variance = events.sum(axis=0), (residuals**2).sum(axis=0)
    telling = np.minimum((events > ZERO).sum(axis=0), (weights - events > ZERO).sum(axis=0))
    intervals: list[tuple[float, float] | None] = []
    for index in range(len(plan.metrics)):
        if not share[index]:
            intervals.append(None)
            continue
        one_trial = value[index] * (1 - value[index])
        per_trial = telling[index] * variance[index] / one_trial if telling[index] else 0.0
        trials = (telling[index] + 1) / (per_trial + (weights[:, index] ** 2).sum())
        intervals.append(wilson(float(value[index]), float(trials)))
    for index in plan.order:
        parts = plan.parts(index)
        if (whole := intervals[index]) and (bounds := [each for component in parts if (each := intervals[component])]):
            low, high = _from_parts(value[parts], np.array(bounds), _alike(residuals[:, parts], weights[:, parts]))
            intervals[index] = min(whole[0], low), max(whole[1], high)
    return intervals


def _from_parts(values: Floats, bounds: Floats, alike: Floats) -> tuple[float, float]:
    """The interval of a mean of shares from theirs, `bounds` parts x 2, and their correlations: each end lies as far
    off as the parts' own ends together (MOVER: Zou & Donner, Statistics in Medicine 27, 2008). A small part in which an
    event never occurred has no variance, but an upper end."""
    reaches = np.abs(bounds - values[:, None]) / len(values)
    below, above = (float(np.sqrt(reach @ alike @ reach)) for reach in reaches.T)
    return float(values.mean()) - below, float(values.mean()) + above


def _alike(residuals: Floats, weights: Floats) -> Floats:
    """The correlations of the parts' errors, by their residuals, clusters x parts; where a part has none, as far as the
    parts rest on the same clusters."""
    moved, shared = residuals.T @ residuals, weights.T @ weights
    spread = np.sqrt(np.outer(np.diag(moved), np.diag(moved)))
    correlations: Floats = shared / np.sqrt(np.outer(np.diag(shared), np.diag(shared)))
    np.divide(moved, spread, out=correlations, where=spread > ZERO**2)
    return correlations.clip(0, 1)


def mcnemar(a: Floats, b: Floats, *, clustered: bool) -> McNemar:
    """The test of two sides' marks, 0 or 1, row by row."""
    from scipy.stats import binomtest

    only_a, only_b = int(np.sum(a > b)), int(np.sum(b > a))
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a=only_a, only_b=only_b, p=p, clustered=clustered)
