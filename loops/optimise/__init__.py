"""The optimisers: kinds of a recipe's `optimise`, the default first."""

from loops.optimise.dpo import Dpo
from loops.optimise.grpo import Grpo
from loops.optimise.kto import Kto
from loops.optimise.sft import Sft

KINDS = (Dpo, Sft, Kto, Grpo)
