"""The selectors: kinds of a recipe's `select`, the default first."""

from loops.select.all_pairs import AllPairs
from loops.select.pairs import BestAgainstWorst
from loops.select.survivors import Survivors

KINDS = (BestAgainstWorst, AllPairs, Survivors)
