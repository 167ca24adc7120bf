"""Many figures looked at together: p after Holm, and which of them could have been significant at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log2

from harness.stats.differences import Difference
from harness.stats.resample import COVERAGE

SIGNIFICANT = 0.05

DRAWS = 10_000
"""Bootstrap draws where no family asks for more."""

DRAWS_BEYOND = 20
"""Draws to lie beyond zero where a p is at the limit: 20 leave it a standard error of about a fifth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrected:
    """p after Holm's correction for a family, and whether it could have been below 0.05 at all."""

    p: float
    testable: bool


def corrected(family: Mapping[str, Difference]) -> dict[str, Corrected]:
    """Holm's p of every difference of a family that has a p.

    A figure is not testable where its p would not be below 0.05 though each of the family were as small as its draws,
    pictures and training runs let it be (`Difference.least_p`).
    """
    p_holm = holm({name: each.p for name, each in family.items() if each.p is not None})
    least = holm({name: each.least_p or 0.0 for name, each in family.items() if each.p is not None})
    return {name: Corrected(p=p, testable=least[name] < SIGNIFICANT) for name, p in p_holm.items()}


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics 6, 1979): the p of each name, corrected for the
    number of names looked at; in the order given.

    Example:
        >>> holm({"x": 0.01, "y": 0.04})
        {'x': 0.02, 'y': 0.04}
    """
    by_name: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: (p_values[key], key))):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[name]))
        by_name[name] = least
    return {name: by_name[name] for name in p_values}


def enough_draws(family: int) -> int:
    """Draws that let the smallest p of a family of so many figures be significant, and be known well enough."""
    return max(DRAWS, ceil(DRAWS_BEYOND * family / SIGNIFICANT))


def widening(family: int, df: float | None) -> float:
    """How much longer the arms of a 95 % interval are where all of a family are to hold at once with 95 % (Bonferroni):
    as the quantile of the t with `df` degrees of freedom grows, or that of the normal distribution where there is none,
    since the draws of a bootstrap hold too few cases so far out."""
    from scipy.special import ndtri, stdtrit

    tail = (1 - COVERAGE) / 2
    far, near = (ndtri(1 - each) if df is None else stdtrit(df, 1 - each) for each in (tail / family, tail))
    return float(far / near)


def untestable_notes(family: Mapping[str, Difference], what: str) -> list[str]:
    """Why figures of a family cannot be significant whatever the answers, a note for each limit; `what` they are."""
    results = corrected(family)
    limited: dict[tuple[str, float], int] = {}
    for name, result in results.items():
        if not result.testable:
            limit = family[name].limit, family[name].least_p or 0.0
            limited[limit] = limited.get(limit, 0) + 1
    return [
        f"{count} of {len(results)} {what} are not testable: {limit} prove no p below {least:.2g}, which Holm's "
        f"correction lifts beyond {SIGNIFICANT:g}, whatever the answers; {_needed(limit, len(results)):,} would do."
        for (limit, least), count in limited.items()
    ]


def _needed(limit: str, size: int) -> int:
    """Draws, or pictures or training runs, whose least p is below 0.05 when multiplied by the size of the family."""
    return enough_draws(size) if limit.endswith("draws") else floor(log2(size / SIGNIFICANT)) + 2
