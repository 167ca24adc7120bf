"""Optimise by supervised fine-tuning on answers that survived, through TRL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.types import Sample
from loops.groups import Example, Row
from loops.optimise.training import Material, TrlRowOptimiser
from loops.rounds.offline import ExampleOptimiser


class Sft(TrlRowOptimiser, ExampleOptimiser):
    """Fine-tuning on the chosen answers; `trl` takes the fields of TRL's SFTConfig. There is no reference policy."""

    kind: Literal["sft"] = "sft"
    version: ClassVar[int] = 2
    method: ClassVar[str] = "SFT"
    figures: ClassVar[tuple[str, ...]] = ("loss", "entropy", "mean_token_accuracy")

    @property
    def relative(self) -> bool:
        return False

    def rows(self, selected: Sequence[Row]) -> Sequence[Example]:
        return [row for row in super().rows(selected) if row.desirable]

    def material(self, rows: Sequence[Example]) -> Material:
        from loops.optimise.collate import AnswerCollator, example_rows_of

        return Material(rows=example_rows_of(rows), collator=AnswerCollator)

    def trial_rows(self, sample: Sample) -> Sequence[Example]:
        return [Example(sample=sample, answer="Yes.")]
