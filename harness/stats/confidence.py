"""How far a model's confidence is from how often it is right: the expected calibration error.

ECE after Guo, Pleiss, Sun & Weinberger (ICML 2017, arXiv 1706.04599, eq. 3): answers are put into M = 15 bins of equal
width by confidence, (k/M, (k+1)/M], and ECE is the mean over answers of |accuracy - mean confidence| of their bins. It
is no ratio of sums, but each bin's gap is a sum: a draw of clusters is a product with clusters x bins, as everywhere in
this package. Chance alone makes gaps, so that ECE is above 0 for a calibrated model too, and higher of fewer answers
and in a resample: what is read is the difference of two checkpoints on the same answers, where most of that cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from harness.results import Marked
from harness.stats.differences import Difference, over_seeds, paired, plain_difference
from harness.stats.resample import Floats, cluster_names, resamples

BINS = 15

ECE = "ECE"


def calibration_difference(
    a: Sequence[Marked], b: Sequence[Marked], confidence: str, right: str, *, draws: int = 10_000, seed: int = 0
) -> Difference:
    """B minus A of ECE, clusters resampled for both alike. `confidence` and `right` name the counts of a row that hold
    its confidence (0..1) and whether it was right (0 or 1); rows without the first are left out. `a` and `b` of the
    difference are None where no row has it. Raises as `harness.stats.difference`."""
    pair = paired(*([row for row in side if confidence in row.counts] for side in (a, b)))
    clusters = cluster_names(pair.a)
    gaps = [_gaps(rows, clusters, confidence, right) for rows in (pair.a, pair.b)]
    rows = np.array([sum(row.cluster == name for row in pair.a) for name in clusters], dtype=np.float64)

    def errors(weights: Floats) -> list[Floats]:
        answers = weights @ rows
        return [
            np.divide(np.abs(weights @ side).sum(axis=1), answers, out=np.full(len(weights), np.nan), where=answers > 0)
            for side in gaps
        ]

    values = np.array([[error[0] for error in errors(np.ones((1, len(clusters))))]])

    def moved(weights: Floats) -> Floats:
        before, after = errors(weights)
        return (after - before)[None, :, None]

    apart = int(np.any(gaps[0] != gaps[1], axis=1).sum())
    (pooled,) = over_seeds(
        [ECE], values[:, :, None], moved, [len(clusters)], [apart], [len(pair.a)], resamples(len(clusters), draws, seed)
    )
    return plain_difference(pooled)


def _gaps(rows: Sequence[Marked], clusters: Sequence[str], confidence: str, right: str) -> Floats:
    """clusters x bins: sums of confidence minus right."""
    places = {name: index for index, name in enumerate(clusters)}
    gaps = np.zeros((len(clusters), BINS))
    for row in rows:
        sure = row.counts[confidence]
        gaps[places[row.cluster], max(0, ceil(sure * BINS) - 1)] += sure - row.counts[right]
    return gaps
