"""Optimise by direct preference (DPO, Rafailov et al. 2023), through TRL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from harness.errors import RecipeError
from harness.types import Checkpoint, Sample
from loops.groups import Pair
from loops.kinds import Round
from loops.optimise.training import Material, TrlRowOptimiser
from loops.rounds.offline import PairOptimiser


class Dpo(TrlRowOptimiser, PairOptimiser):
    """Direct preference optimisation; `trl` takes the fields of TRL's DPOConfig."""

    kind: Literal["dpo"] = "dpo"
    version: ClassVar[int] = 2
    method: ClassVar[str] = "DPO"
    figures: ClassVar[tuple[str, ...]] = (
        "loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected",
    )  # fmt: skip

    reference: Literal["previous", "seed"] = Field(default="previous", description="the reference policy")
    sft_weight: float = Field(default=0.0, ge=0, description="weight of an SFT term on the chosen side")

    def reference_of(self, context: Round) -> Checkpoint:
        return context.seed if self.reference == "seed" else context.start

    def material(self, rows: Sequence[Pair]) -> Material:
        from loops.optimise.collate import PairCollator, rows_of

        return Material(rows=rows_of(rows), collator=PairCollator)

    def trial_rows(self, sample: Sample) -> Sequence[Pair]:
        return [Pair(sample=sample, chosen="Yes.", rejected="No.", reversed=False)]

    def fixed(self) -> Mapping[str, Any]:
        """The SFT term on the chosen side is TRL's own loss type `sft`."""
        if not self.sft_weight:
            return {}
        if named := [name for name in ("loss_type", "loss_weights") if self.trl.get(name) is not None]:
            raise RecipeError(
                f"optimise.trl.{named[0]}: optimise.sft_weight {self.sft_weight:g} decides it; set that to 0, or "
                "leave this out"
            )
        return {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, self.sft_weight]}
