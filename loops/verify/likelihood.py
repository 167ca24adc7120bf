"""Verify by the model's own log-probability of an answer with the picture minus that without: what the picture adds.

What a language prior says by itself is as likely without the picture, and earns nothing: the pointwise mutual
information of answer and picture under the model, by which M3ID (arXiv 2403.14003) and VCD steer decoding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harness.store import Store, ask_likelihoods
from harness.types import Advance, Group, Sample, Sampling, Verdict
from loops.kinds import Study, Trial, Verifier, Verifying
from loops.verify.models import SELF, gold_of, is_judged, judge_digest, load_judge, replies_of
from loops.verify.task import refuse_without_pictures

if TYPE_CHECKING:
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner

BATCH = 64
"""Groups that are judged before their number is told."""


class Likelihood(Verifier):
    """A model's log-probability of an answer with the picture minus without it."""

    kind: Literal["likelihood"] = "likelihood"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L4"
    filters: ClassVar[bool] = True

    model: str = Field(
        default=SELF, min_length=1, description="whose: self is the judged model; or a shipped one, a folder, a hub id"
    )
    per: Literal["token", "answer"] = Field(
        default="token", description="the mean over the answer's tokens, or the sum, which long answers have more of"
    )

    @property
    def models(self) -> tuple[str, ...]:
        return (self.model,) if self.model != SELF else ()

    @property
    def judging_level(self) -> str:
        return self.level if self.model == SELF else "L3"

    def learnt_from(self, study: Study) -> Sequence[str]:
        return gold_of(study, self.model)

    def has_own_weights(self, study: Study) -> bool:
        return is_judged(study, self.model)

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input("model"), "model": judge_digest(study, self.model), **study.asking}

    def refuse(self, study: Study) -> None:
        refuse_without_pictures(study, self.kind)

    def trials(self, study: Study) -> Mapping[str, Trial]:
        if self.model == SELF:
            return {}

        def load() -> str:
            load_judge(study, self.model)
            return f"{self.model} loads"

        return {"judge": Trial(depends=[self.model, study.options.keywords], run=load)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        judge = planner if self.model == SELF else planner.of(self.model)
        return judge.asking(Sampling(max_tokens=1), weighed=planner.answer)

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        return ByLikelihood(model=load_judge(study, self.model), per=self.per, store=replies_of(study))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ByLikelihood:
    """Log-probabilities in nats, of the whole text behind the sample's prompt; a blank answer is no opinion."""

    model: Vlm
    per: str = "token"
    store: Store = dataclasses.field(default_factory=Store)
    facts: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def costs(self) -> Mapping[str, float]:
        return self.model.costs

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]:
        return {"judge": self.model.computed}

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts = []
        for start in range(0, len(groups), BATCH):
            batch = groups[start : start + BATCH]
            asked = [(group.sample, answer) for group in batch for answer in group.answers if answer.strip()]
            judged = iter(self._judged([sample for sample, _ in asked], [answer for _, answer in asked]))
            for group in batch:
                verdicts.append(
                    tuple(
                        next(judged) if answer.strip() else Verdict(reward=None, why="says nothing")
                        for answer in group.answers
                    )
                )
            if advance:
                advance(len(batch))
        return verdicts

    def _judged(self, samples: Sequence[Sample], answers: Sequence[str]) -> list[Verdict]:
        blind = [dataclasses.replace(sample, images=(), cluster=sample.prompt) for sample in samples]
        seeing, guessing = (
            [value for value, _ in ask_likelihoods(self.model, shown, answers, self.store)]
            for shown in (samples, blind)
        )
        return [
            Verdict(reward=(own - prior) / self._length(answer), why=f"{own:+.1f} seeing, {prior:+.1f} not")
            for own, prior, answer in zip(seeing, guessing, answers, strict=True)
        ]

    def _length(self, answer: str) -> int:
        if self.per == "answer":
            return 1
        return max(1, len(self.model.tokenizer(answer, add_special_tokens=False).input_ids))
