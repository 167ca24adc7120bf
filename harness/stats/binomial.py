"""What is exact where every cluster is one trial: Wilson's interval of a share, McNemar's test of two sides.

Wilson, JASA 22 (1927); McNemar, Psychometrika 12 (1947), in its exact form: a sign test of the discordant pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.stats.resample import COVERAGE, Floats


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


def wilson(right: int, trials: int) -> tuple[float, float]:
    """The interval of a share of independent trials."""
    from scipy.stats import binomtest

    found = binomtest(right, trials).proportion_ci(confidence_level=COVERAGE, method="wilson")
    return float(found.low), float(found.high)


def mcnemar(a: Floats, b: Floats, *, clustered: bool) -> McNemar:
    """The test of two sides' marks, 0 or 1, row by row."""
    from scipy.stats import binomtest

    only_a, only_b = int(np.sum(a > b)), int(np.sum(b > a))
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a=only_a, only_b=only_b, p=p, clustered=clustered)
