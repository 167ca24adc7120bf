"""Optimise on answers with a verdict each, unpaired (KTO, Ethayarajh et al. 2024), through TRL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Checkpoint, Sample
from loops.groups import Example, Row
from loops.kinds import Round
from loops.optimise.training import Material, TrlRowOptimiser
from loops.rounds.offline import ExampleOptimiser


class Kto(TrlRowOptimiser, ExampleOptimiser):
    """Kahneman-Tversky optimisation; `trl` takes the fields of TRL's KTOConfig."""

    kind: Literal["kto"] = "kto"
    version: ClassVar[int] = 2
    method: ClassVar[str] = "KTO"
    figures: ClassVar[tuple[str, ...]] = ("loss", "kl", "rewards/chosen", "rewards/rejected", "rewards/margins")

    reference: Literal["previous", "seed"] = Field(default="previous", description="the reference policy")

    @model_validator(mode="after")
    def _a_batch_has_others(self) -> Self:
        if self.trl.get("per_device_train_batch_size") == 1 and self.trl.get("loss_type", "kto") == "kto":
            raise ValueError(
                "trl.per_device_train_batch_size 1: KTO reads the answer of another row of the batch; take 2 or more"
            )
        return self

    def reference_of(self, context: Round) -> Checkpoint:
        return context.seed if self.reference == "seed" else context.start

    def rows(self, selected: Sequence[Row]) -> Sequence[Example]:
        """Without the last row where it would be a batch of its own, in which no other row is."""
        rows = super().rows(selected)
        batch: Any = self.trl.get("per_device_train_batch_size", 8)
        return rows[:-1] if len(rows) > 1 and len(rows) % batch == 1 else rows

    def material(self, rows: Sequence[Example]) -> Material:
        from loops.optimise.collate import VerdictCollator, example_rows_of

        return Material(rows=example_rows_of(rows), collator=VerdictCollator)

    def trial_rows(self, sample: Sample) -> Sequence[Example]:
        return [
            Example(sample=sample, answer="Yes."),
            Example(sample=sample, answer="No.", desirable=False),
        ]
