"""The optimisers: kinds of a recipe's `optimise`, the default first."""

from loops.optimise.dpo import Dpo

KINDS = (Dpo,)
