"""Verify by asking a model: the judged one itself, a peer, any model that is loaded here or served at an endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.errors import RunError
from harness.judge import Judge as Judging
from harness.judge import ModelJudge, ask_judge
from harness.store import Store
from harness.types import Advance, Group, Sample, Sampling, Verdict
from loops.kinds import Study, Trial, Verifier, Verifying
from loops.verify.judge_forms import PROMPTS, Aggregate, Asking, Form, asking
from loops.verify.models import SELF, gold_of, is_judged, judge_digest, load_judge, replies_of

if TYPE_CHECKING:
    from harness.models.endpoint import Endpoint
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner

BATCH = 64
"""Groups that are asked about together."""

MILLION = 1_000_000


class Judge(Verifier):
    """A model's opinion in words. What it said is kept in the run's folder and not asked again."""

    kind: Literal["judge"] = "judge"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L3"

    model: str = Field(
        default=SELF, min_length=1,
        description="self is the judged model; or a shipped one, a folder, a hub id, or a name at the endpoint",
    )  # fmt: skip
    endpoint: str | None = Field(default=None, description="base URL of an OpenAI-compatible server")
    parallel: int = Field(default=8, ge=1, description="how many questions an endpoint is asked at once")
    form: Form = Field(
        default="sentences",
        description="yes or no to each sentence; a rubric of 1 to 10; or each two answers in both orders",
    )
    prompt: str | None = Field(
        default=None, min_length=1,
        description="another prompt, with {sentence}, {answer}, or {first} and {second}, and {question} where wanted",
    )  # fmt: skip
    aggregate: Aggregate = Field(default="sum", description="of sentences: how a text's make one reward")
    max_tokens: int = Field(default=64, ge=1, description="of a reply, the judge's thought among them")
    max_unanswered: float = Field(
        default=0.2, ge=0, le=1, description="a larger share of questions without a reply stops the run"
    )
    price_prompt: float | None = Field(default=None, ge=0, description="of a million prompt tokens at the endpoint")
    price_generated: float | None = Field(default=None, ge=0, description="of a million generated ones")

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.endpoint is not None and self.model == SELF:
            raise ValueError("field 'verify.model': name the model that is served at verify.endpoint")
        prices = (self.price_prompt, self.price_generated)
        if self.endpoint is None and prices != (None, None):
            raise ValueError("field 'verify.price_prompt': prices are of an endpoint; leave them out, or name it")
        if self.form != "sentences" and self.aggregate != "sum":
            raise ValueError(f"field 'verify.aggregate' is of form=sentences; leave it out with form={self.form}")
        if self.prompt is not None:
            self._refuse_prompt(self.prompt)
        return self

    def _refuse_prompt(self, prompt: str) -> None:
        needed = PROMPTS[self.form][1]
        try:
            places = {name for _, name, _, _ in Formatter().parse(prompt) if name is not None}
        except ValueError as error:
            raise ValueError(f"field 'verify.prompt': {error}; write {{{{ and }}}} for braces") from error
        wrong = sorted((places - {"question"}) ^ set(needed))
        if wrong:
            listed = " and ".join(f"{{{name}}}" for name in needed)
            raise ValueError(f"field 'verify.prompt': form={self.form} has a place for {listed}, not for {wrong[0]!r}")

    @property
    def models(self) -> tuple[str, ...]:
        return () if self.endpoint or self.model == SELF else (self.model,)

    @property
    def judging_level(self) -> str:
        return "L4" if self.model == SELF else self.level

    def learnt_from(self, study: Study) -> Sequence[str]:
        return () if self.endpoint else gold_of(study, self.model)

    def has_own_weights(self, study: Study) -> bool:
        return self.endpoint is None and is_judged(study, self.model)

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        fields = self.as_input("model", "endpoint", "parallel", "max_unanswered", "price_prompt", "price_generated")
        if self.endpoint is not None:
            return {**fields, "model": [self.endpoint.partition("://")[2].rstrip("/"), self.model]}
        return {**fields, "model": judge_digest(study, self.model), **study.asking}

    def trials(self, study: Study) -> Mapping[str, Trial]:
        if self.model == SELF:
            return {}

        def ask() -> str:
            question = Sample(id="", prompt="Reply with: yes", images=(), target=None, cluster="")
            judge, _ = self._judge(study)
            list(judge.model.stream([question], judge.sampling))  # raises the outage that a run would hide
            return f"{judge.id} replies"

        return {"judge": Trial(depends=[self.model, self.endpoint, study.options.keywords], run=ask)}

    def _judge(self, study: Study) -> tuple[ModelJudge, Endpoint | Vlm]:
        model: Endpoint | Vlm
        if self.endpoint is None:
            model = load_judge(study, self.model)
        else:
            from harness.models.endpoint import Endpoint as Served

            model = Served(self.model, self.endpoint, parallel=self.parallel)
        name = study.model if self.model == SELF else self.model
        return ModelJudge(name=name, model=model, max_tokens=self.max_tokens), model

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        if self.endpoint is not None:
            return None
        judge = planner if self.model == SELF else planner.of(self.model)
        return judge.asking(Sampling(max_tokens=self.max_tokens))

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        judge, model = self._judge(study)
        prices = {"prompt_tokens": self.price_prompt, "generated_tokens": self.price_generated}
        return ByJudge(
            judge=judge,
            asking=asking(self.form, self.prompt, self.aggregate),
            store=replies_of(study),
            max_unanswered=self.max_unanswered,
            model=model,
            prices={f"endpoint_{name}": price for name, price in prices.items() if price is not None},
            own_weights=self.has_own_weights(study) or self.model == SELF,
        )


class ByJudge:
    """Asks a judge about each group, its pictures shown. `prices` are of a million of what a cost of the model counts;
    what the store held costs nothing."""

    def __init__(
        self,
        *,
        judge: Judging,
        asking: Asking,
        store: Store,
        max_unanswered: float = 1.0,
        model: Endpoint | Vlm | None = None,
        prices: Mapping[str, float] | None = None,
        own_weights: bool = False,
    ) -> None:
        self.judge, self.asking, self.store, self.model = judge, asking, store, model
        self.max_unanswered, self.prices, self.own_weights = max_unanswered, prices or {}, own_weights
        self._asked = self._kept = 0

    @property
    def facts(self) -> Mapping[str, Any]:
        who = {"judge": self.judge.id, "form": self.asking.form}
        return {**who, "questions": self._asked, "judge_has_own_weights": self.own_weights, **self.asking.facts}

    @property
    def costs(self) -> Mapping[str, float]:
        spent: dict[str, float] = dict(self.model.costs) if self.model else {}
        price = sum(spent.get(name, 0) * price / MILLION for name, price in self.prices.items())
        return {**spent, "judge_replies": self._asked - self._kept, **({"price": price} if self.prices else {})}

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]:
        computed: Mapping[str, str] | None = getattr(self.model, "computed", None)
        return {"judge": computed} if computed else {}

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts: list[tuple[Verdict, ...]] = []
        for start in range(0, len(groups), BATCH):
            batch = groups[start : start + BATCH]
            prompts = [self.asking.prompts(group.sample.prompt, group.answers) for group in batch]
            questions = [
                Sample(id=f"{group.sample.id}/{number}", prompt=prompt, images=group.sample.images, target=None,
                       cluster=group.sample.cluster)
                for group, several in zip(batch, prompts, strict=True)
                for number, prompt in enumerate(several)
            ]  # fmt: skip
            replies = self._replies(questions)
            for group, several in zip(batch, prompts, strict=True):
                its, replies = replies[: len(several)], replies[len(several) :]
                verdicts.append(tuple(self.asking.verdicts(group.answers, its)))
            if advance:
                advance(len(batch))
        return verdicts

    def _replies(self, questions: Sequence[Sample]) -> list[str | None]:
        """Raises `RunError` where more are without a reply than may be: rewards of what is left would be of a choice
        that an outage made."""
        before = len(self.store.answers)
        replies = ask_judge(self.judge, questions, self.store)
        self._asked += len(questions)
        self._kept += len(questions) - (len(self.store.answers) - before)
        missing = sum(reply is None for reply in replies)
        if missing > self.max_unanswered * len(questions):
            raise RunError(
                f"judge {self.judge.id}: {missing} of {len(questions)} questions have no reply; see the warning above, "
                f"or raise verify.max_unanswered ({self.max_unanswered:g})"
            )
        return replies
