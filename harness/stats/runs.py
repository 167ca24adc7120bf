"""Several training runs that met the same test pictures: how far their mean may be from that of all runs.

The difference of run r on picture i is taken as effect + run[r] + picture[i] + rest[r, i], runs and pictures drawn at
random (the two-way random effects model without replication; Searle, Casella & McCulloch, Variance Components (1992)).
The mean over n runs and m pictures then has the variance

    var(run) / n  +  var(picture) / m  +  var(rest) / (n m).

S2, the variance between the runs' own differences, estimates var(run) + var(rest) / m, with n - 1 degrees of freedom;
the covariance of two runs' differences when pictures are drawn again estimates var(picture) / m, with as many as there
are pictures. So

    variance = S2 / n + covariance,

each part counted once: the variance of the mean over pictures, added to S2 / n, would count the rest twice.

The degrees of freedom of such a sum are Satterthwaite's (Biometrics Bulletin 2, 1946) or Welch's (Biometrika 34, 1947),
1 / df = sum(share ** 2 / df of the part), share being the part's share of the variance. With three runs that is too
bold where pictures and runs both matter: 92 % of the intervals hold, since a variance between runs that came out small
by chance makes df large as well. Shares that are not squared,

    1 / df = share(runs) / (n - 1) + share(pictures) / (m - 1),

give to first order the quantile of Cochran & Cox (Experimental Designs (1957), 4.14), t's weighted by the shares, and
keep 94 to 96 % from three runs on, whatever the shares (`strop calibrate`); with two, 90 to 96 %. That holds for runs
that scatter alike to both sides. Where they differ far more than pictures do (ratio 4 to 8) and one in five collapses,
3 runs keep 50 to 71 %, 8 keep 81 to 84 % and 10 keep 90 to 92 %; of an exponential distribution 90 to 93 % throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harness.stats.resample import COVERAGE, ZERO, Floats

POWER = 0.8
"""How often a difference of the size called detectable is seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSpread:
    """The uncertainty of a mean over training runs: its standard error with the degrees of freedom of its t, and the
    ratio of the standard deviation between runs to the standard error of one run over pictures; that is None where the
    pictures leave no doubt. A ratio about 1 or less says that runs differ no more than pictures make them."""

    se: float
    df: float
    ratio: float | None

    def interval(self, value: float) -> tuple[float, float]:
        """95 % around the mean."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.df, (1 + COVERAGE) / 2)) * self.se
        return value - reach, value + reach

    def p(self, value: float) -> float:
        """Two-sided, of the same t: below 0.05 where the interval leaves out zero."""
        from scipy.special import stdtr

        if not self.se:
            return 1.0 if abs(value) <= ZERO else 0.0
        return 2 * float(stdtr(self.df, -abs(value) / self.se))


def run_spread(values: Floats, drawn: Floats, clusters: int) -> RunSpread:
    """The spread of two or more runs: `values` are their differences, `drawn` (draws x runs) the same where pictures
    are drawn again, alike for all runs, and `clusters` is how many pictures bear on the figure."""
    runs = len(values)
    covariances = np.cov(drawn, rowvar=False, ddof=0)
    own = float(np.trace(covariances)) / runs
    common = max(0.0, (float(covariances.sum()) / runs - own) / (runs - 1))
    between = float(values.var(ddof=1))
    variance = between / runs + common
    if variance <= ZERO**2:  # what rounding leaves where all are alike
        variance = between = 0.0
    share = between / runs / variance if variance else 0.0
    return RunSpread(
        se=float(np.sqrt(variance)),
        df=1 / (share / (runs - 1) + (1 - share) / (clusters - 1)),
        ratio=float(np.sqrt(between / own)) if own > ZERO**2 else None,
    )


@lru_cache(maxsize=256)
def detectable_errors(df: float) -> float:
    """Standard errors that a true difference must measure for a t of so many degrees of freedom to see it four times
    in five at two-sided 5 %: the noncentral t (df 2: 5.65; df 9: 3.15; 2.80 with ever more)."""
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(df, 1 - POWER, stdtrit(df, (1 + COVERAGE) / 2)))
