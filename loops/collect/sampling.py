"""Collect several answers to each picture, drawn alike: what is better among them is for a verifier to say.

They are the honed model's, or those of another that is served at an endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.autonomy import CONTROL, EXTERNAL, lowest
from harness.types import Advance, Group, Sample, Sampling
from loops.collect.asking import AskingCollector, count_unfinished, group_of, kept_answers
from loops.kinds import Collecting, Round, Study, Trial, Verifier

if TYPE_CHECKING:
    from harness.models.endpoint import Endpoint
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner


class SampledAnswers(AskingCollector):
    """Several answers of a model to each picture."""

    kind: Literal["sampling"] = "sampling"
    version: ClassVar[int] = 1

    answers: int = Field(default=4, ge=2, description="to each picture")
    endpoint: str | None = Field(
        default=None, description="base URL of an OpenAI-compatible server that is asked instead of the honed model"
    )
    served: str | None = Field(default=None, min_length=1, description="the name by which the server knows its model")
    parallel: int = Field(default=8, ge=1, description="how many questions an endpoint is asked at once")

    @model_validator(mode="after")
    def _answers_differ(self) -> Self:
        if not self.temperature:
            raise ValueError("sampling at temperature 0 gives equal answers; set collect.temperature, e.g. 1.0")
        return self

    @model_validator(mode="after")
    def _endpoint_has_a_model(self) -> Self:
        if (self.endpoint is None) != (self.served is None):
            raise ValueError("collect.endpoint and collect.served belong together: a server, and its model's name")
        return self

    def level(self, verifier: Verifier) -> str:
        """Answers of another model are no self-improvement, whoever judges them."""
        level = super().level(verifier)
        return level if self.endpoint is None or level == CONTROL else lowest([level, EXTERNAL])

    def inputs(self, context: Round) -> dict[str, Any]:
        if self.endpoint is None:
            return super().inputs(context)
        place = self.endpoint.partition("://")[2].rstrip("/")
        return {"collect": {**self.as_input("endpoint", "served", "parallel"), "model": [place, self.served]}}

    def trials(self, study: Study) -> Mapping[str, Trial]:
        if self.endpoint is None:
            return {}

        def reply() -> str:
            question = Sample(id="", prompt="Reply with: yes", images=(), target=None, cluster="")
            self._endpoint().answers([question], Sampling(max_tokens=self.max_tokens))
            return f"{self.served} at {self.endpoint} replies"

        return {"endpoint": Trial(depends=[self.endpoint, self.served], run=reply)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return super().planned(study, planner) if self.endpoint is None else None

    def open(self, context: Round) -> Collecting:
        if self.endpoint is None:
            return super().open(context)
        model = self._endpoint()

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            return self.ask(model, samples, seed=context.draw, advance=advance)

        return Collecting(collect=collect, facts=count_unfinished, costs=lambda: model.costs)

    def ask(
        self, model: Vlm | Endpoint, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None
    ) -> list[Group]:
        """Groups of `answers`, in the order they were drawn, which means nothing."""
        drawn = kept_answers(model, samples, self, self.sampling(seed=seed, n=self.answers), advance=advance)
        return [group_of(*row) for row in zip(samples, drawn, strict=True)]

    def _endpoint(self) -> Endpoint:
        from harness.models.endpoint import Endpoint

        return Endpoint(self.served or "", self.endpoint or "", parallel=self.parallel)
