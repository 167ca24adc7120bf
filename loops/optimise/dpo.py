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

COMPARING = ("sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "aot", "discopop", "sft")
"""TRL's losses that hold the chosen answer against the rejected one, which makes sense without a reference policy."""

WITHOUT_REFERENCE = {"f_divergence_type": "reverse_kl", "sync_ref_model": False}
"""TRL's settings that are about the reference policy, as they are where there is none."""


class Dpo(TrlRowOptimiser, PairOptimiser):
    """Direct preference optimisation; `trl` takes the fields of TRL's DPOConfig."""

    kind: Literal["dpo"] = "dpo"
    version: ClassVar[int] = 3
    method: ClassVar[str] = "DPO"
    figures: ClassVar[tuple[str, ...]] = (
        "loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected",
    )  # fmt: skip

    reference: Literal["previous", "seed", "none"] = Field(
        default="previous",
        description="the reference policy; none: chosen and rejected are held against each other by the policy alone",
    )
    length_normalised: bool = Field(
        default=False,
        description="a token's mean log-ratio in the place of an answer's sum, so that length earns nothing: LN-DPO "
        "(Lambert et al. 2024), and without a reference SimPO (Meng et al. 2024) but for its margin; both take a "
        "trl.beta of 2 and more",
    )
    sft_weight: float = Field(default=0.0, ge=0, description="weight of an SFT term on the chosen side")

    @property
    def relative(self) -> bool:
        return self.reference != "none"

    def reference_of(self, context: Round) -> Checkpoint | None:
        if not self.relative:
            return None
        return context.seed if self.reference == "seed" else context.start

    @property
    def ahead(self) -> bool:
        return self.relative and not self.trl.get("sync_ref_model")

    def reference_argument(self, reference: Any, model: Any) -> Mapping[str, Any]:
        from loops.optimise.with_trl import NoReference

        if self.relative and not self.ahead:
            return {"ref_model": reference}
        return {"ref_model": NoReference((model if reference is None else reference).config)}

    def material(self, rows: Sequence[Pair]) -> Material:
        from loops.optimise.collate import PairCollator, rows_of

        return Material(rows=rows_of(rows), collator=PairCollator)

    def trial_rows(self, sample: Sample) -> Sequence[Pair]:
        return [Pair(sample=sample, chosen="Yes.", rejected="No.", reversed=False)]

    def fixed(self) -> Mapping[str, Any]:
        """The length-normalised loss and the SFT term on the chosen side are TRL's own loss types."""
        self._refuse_without_reference()
        deciding = {"length_normalised": ("true", "false")} if self.length_normalised else {}
        deciding |= {"sft_weight": (f"{self.sft_weight:g}", "0")} if self.sft_weight else {}
        for field, (value, off) in deciding.items():
            if named := [name for name in ("loss_type", "loss_weights") if self.trl.get(name) is not None]:
                raise RecipeError(
                    f"optimise.trl.{named[0]}: optimise.{field} {value} decides it; set that to {off}, or leave this "
                    "out"
                )
        if not deciding:
            return {}
        losses = {"sigmoid_norm" if self.length_normalised else "sigmoid": 1.0, "sft": self.sft_weight}
        weights = {name: weight for name, weight in losses.items() if weight}
        return {"loss_type": list(weights), "loss_weights": list(weights.values())}

    def _refuse_without_reference(self) -> None:
        """Raise `RecipeError` for settings that need a reference policy, where there is none."""
        if self.relative:
            return
        named = self.trl.get("loss_type") or ()
        for loss in [named] if isinstance(named, str) else named:
            if loss not in COMPARING:
                raise RecipeError(
                    f"optimise.trl.loss_type {loss!r}: holds each answer against a reference policy, and "
                    f"optimise.reference is none; take {', '.join(COMPARING)}, or another reference"
                )
        for name, value in WITHOUT_REFERENCE.items():
            if self.trl.get(name, value) != value:
                raise RecipeError(
                    f"optimise.trl.{name} {self.trl[name]!r}: is about a reference policy, and optimise.reference is "
                    "none; leave it out, or take another reference"
                )
