"""Figures with their uncertainty: intervals over clusters, paired differences, several training runs, Holm.

Rows about one picture stand and fall together (six POPE questions share an image), so what is resampled is
`Marked.cluster`, never the row: Efron & Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 for the percentile
interval; Davison & Hinkley, Bootstrap Methods and their Application (1997), 3.8 and 4.2 for clusters and for p. Every
metric is a ratio of sums (`harness.types.Metric`), so a resample is a vector of cluster weights times a small matrix of
per-cluster sums: no row is touched twice, whatever the number of draws.
"""

from __future__ import annotations

from harness.stats.binomial import McNemar
from harness.stats.confidence import calibration_difference
from harness.stats.differences import (
    Difference,
    PooledDifference,
    difference,
    plain_difference,
    pooled_difference,
)
from harness.stats.estimates import Estimate, as_plain, estimate
from harness.stats.families import SIGNIFICANT, Corrected, corrected, enough_draws, holm, untestable_notes, widening
from harness.stats.frontier import frontier_difference, frontier_metrics, pooled_frontier
from harness.stats.resample import COVERAGE, FEW_CLUSTERS, UNDEFINED_SHARE
from harness.stats.scarce import scarcity_notes, supply

__all__ = [
    "COVERAGE",
    "FEW_CLUSTERS",
    "SIGNIFICANT",
    "UNDEFINED_SHARE",
    "Corrected",
    "Difference",
    "Estimate",
    "McNemar",
    "PooledDifference",
    "as_plain",
    "calibration_difference",
    "corrected",
    "difference",
    "enough_draws",
    "estimate",
    "frontier_difference",
    "frontier_metrics",
    "holm",
    "plain_difference",
    "pooled_difference",
    "pooled_frontier",
    "scarcity_notes",
    "supply",
    "untestable_notes",
    "widening",
]
