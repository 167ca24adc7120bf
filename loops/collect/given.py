"""Pairs of answers that the user brings: nothing is asked of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from harness.autonomy import UNKNOWN
from harness.errors import RecipeError
from harness.types import Advance, Group, Sample
from loops.kinds import Collecting, Collector, Round, Study, Verifier
from loops.setting import Paired


class GivenPairs(Collector):
    """The answers of `source: pairs:PATH`: the one to prefer, the one to avoid."""

    kind: Literal["given"] = "given"
    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True
    order_level: ClassVar[str] = UNKNOWN

    def inputs(self, context: Round) -> dict[str, Any]:
        return {"collect": self.as_input()}

    def level(self, verifier: Verifier) -> str:
        return verifier.judging_level if verifier.overrules else self.order_level

    def refuse(self, study: Study) -> None:
        if self.prompt is not None:
            raise RecipeError("collect.prompt: pairs have questions of their own, which were answered; leave it out")

    def open(self, context: Round) -> Collecting:
        pool = context.study.pool
        if not isinstance(pool, Paired):
            raise RecipeError(f"collect.kind given: source {context.study.source} has no pairs; name pairs:PATH")
        answers = pool.answers

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            advance(len(samples))
            return [Group(sample=sample, answers=answers[sample.id], notes=({}, {})) for sample in samples]

        return Collecting(collect=collect)
