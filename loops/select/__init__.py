"""The selectors: kinds of a recipe's `select`, the default first."""

from loops.select.pairs import BestAgainstWorst

KINDS = (BestAgainstWorst,)
