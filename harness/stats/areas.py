"""Pairs of answers to one picture: does a higher reward mean a better answer, and how surely is that known?

The receiver operating characteristic takes each pair both ways round, so that it does not depend on which answer the
collector put first. Pairs of one picture stand and fall together: the interval of the area sums each picture's
influence (Obuchowski, Nonparametric analysis of clustered ROC curve data, Biometrics 53, 1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]

_SURE = 1.96  # standard errors to either side of a 95 % interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A figure with its 95 % interval over pictures, None where one picture is all there is."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Roc:
    """Shares of worse (`x`) and of better (`y`) answers preferred, as the reward asked for falls; the area below."""

    x: Floats
    y: Floats
    area: Interval


def roc(gaps: Floats, better: NDArray[np.bool_], groups: NDArray[np.int64]) -> Roc:
    """The characteristic of pairs: reward of the first minus the second, whether the first is better, its picture."""
    scores, labels = np.concatenate([gaps, -gaps]), np.concatenate([better, ~better])
    order = np.argsort(-scores, kind="stable")
    steps = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # equal rewards are one step
    y = np.append(0, np.cumsum(labels[order])[steps] / labels.sum())
    x = np.append(0, np.cumsum(~labels[order])[steps] / (~labels).sum())
    area = float(np.trapezoid(y, x))
    # what each answer's place adds to the area: the share of the other kind that it is rightly above or below
    places = np.empty(len(scores))
    for kind in (labels, ~labels):
        above = (rankdata(scores)[kind] - rankdata(scores[kind])) / (~kind).sum()
        places[kind] = ((above if kind is labels else 1 - above) - area) / kind.sum()
    return Roc(x=x, y=y, area=_spread(area, _by_group(np.tile(groups, 2), places)))


def mean_of(values: Floats, groups: NDArray[np.int64]) -> Interval:
    """The mean of values that belong to these pictures."""
    mean = float(values.mean())
    return _spread(mean, _by_group(groups, (values - mean) / len(values)))


def _by_group(groups: NDArray[np.int64], values: Floats) -> Floats:
    """The sum of each group's values."""
    _, places = np.unique(groups, return_inverse=True)
    return np.bincount(places, values).astype(np.float64)


def _spread(value: float, influence: Floats) -> Interval:
    """A figure whose error is the sum of independent pictures' influences."""
    k = len(influence)
    if k < 2:
        return Interval(value=value, low=None, high=None)
    wide = _SURE * float(np.sqrt(k / (k - 1) * np.square(influence).sum()))
    return Interval(value=value, low=value - wide, high=value + wide)
