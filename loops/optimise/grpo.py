"""Optimise on answers of the model in training, rewarded group by group (GRPO, Shao et al. 2024), through TRL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from harness.errors import RecipeError
from harness.types import Advance, Answer, Checkpoint, Sample
from loops.collect.sampling import SampledAnswers
from loops.kinds import Round, Selector, Study, Trained
from loops.optimise.training import Material, TrlOptimiser
from loops.rounds.online import Judge, Learn, OnlineOptimiser
from loops.select.pairs import BestAgainstWorst
from loops.verify.none import NoVerifier

if TYPE_CHECKING:
    from loops.plan import Planned, Planner

DRAWN: Mapping[str, str] = {
    "num_generations": "collect.answers",
    "temperature": "collect.temperature",
    "top_p": "collect.top_p",
    "max_completion_length": "collect.max_tokens",
}
"""TRL's settings of drawing, and the fields that decide them."""

NOT_DRAWN = (
    "top_k", "min_p", "repetition_penalty", "generation_kwargs", "cache_implementation", "chat_template_kwargs",
    "use_vllm", "use_transformers_continuous_batching", "use_transformers_paged",
)  # fmt: skip
"""TRL's settings of engines that draw nothing here."""


LOSSES = ("grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo")
"""TRL's variants of the loss, whose names it looks at only in the first step."""


class Grpo(TrlOptimiser, OnlineOptimiser):
    """Group relative policy optimisation; `trl` takes the fields of TRL's GRPOConfig. `collect` (kind `sampling`) says
    how many answers a group has and how they are drawn; the verifier is the reward function."""

    kind: Literal["grpo"] = "grpo"
    version: ClassVar[int] = 2
    method: ClassVar[str] = "GRPO"
    figures: ClassVar[tuple[str, ...]] = (
        "loss", "kl", "entropy", "frac_reward_zero_std", "completions/mean_length",
    )  # fmt: skip

    reference: Literal["previous", "seed"] = Field(
        default="previous", description="the reference policy, where trl.beta is above 0"
    )

    @property
    def relative(self) -> bool:
        return bool(self.trl.get("beta"))

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        """Training, with the verifier loaded beside it."""
        training, verifier = super().planned(study, planner), study.verify.planned(study, planner)
        if training is None or verifier is None:
            return training
        beside = verifier.memory.total
        memory = replace(training.memory, weights=training.memory.weights + beside)
        if training.remedied is None:
            return replace(training, memory=memory)
        remedied = replace(training.remedied, weights=training.remedied.weights + beside)
        return replace(training, memory=memory, remedied=remedied)

    def refuse_selector(self, selector: Selector) -> None:
        if selector != BestAgainstWorst():
            fields = selector.model_dump(mode="json", exclude_defaults=True)
            names = fields or {"kind": selector.kind}
            raise ValueError(
                f"optimise.kind {self.kind} learns from every answer as it is drawn, so that select has no effect; "
                f"leave out select.{', select.'.join(names)}"
            )

    def refuse(self, study: Study) -> None:
        super().refuse(study)
        self.within(study)
        if isinstance(study.verify, NoVerifier):
            raise RecipeError(
                f"verify.kind {study.verify.kind}: rewards nothing, so that optimise.kind {self.kind} would learn "
                "nothing; take another"
            )

    def reference_of(self, context: Round) -> Checkpoint | None:
        if not self.relative:
            return None
        return context.seed if self.reference == "seed" else context.start

    def drawing(self, study: Study) -> SampledAnswers:
        collect = study.collect
        if not isinstance(collect, SampledAnswers):
            raise RecipeError(
                f"collect.kind {collect.kind}: optimise.kind {self.kind} draws its answers anew in every step, as "
                "collect.kind sampling says; take that"
            )
        if collect.endpoint:
            raise RecipeError(
                f"collect.endpoint {collect.endpoint}: optimise.kind {self.kind} learns from answers of the model that "
                "it trains; leave it out"
            )
        if collect.max_thought_tokens:
            raise RecipeError(
                f"collect.max_thought_tokens {collect.max_thought_tokens}: optimise.kind {self.kind} would train on "
                "tokens that close a thought for the model; leave it out, max_tokens holds for thought and answer"
            )
        return collect

    def within(self, study: Study) -> Self:
        """With the collector's way of drawing among TRL's settings."""
        collect = self.drawing(study)
        drawn = {
            "num_generations": collect.answers,
            "temperature": collect.temperature,
            "top_p": 1.0 if collect.top_p is None else collect.top_p,
            "max_completion_length": collect.max_tokens,
        }
        for name, value in drawn.items():
            if self.trl.get(name, value) != value:
                raise RecipeError(f"optimise.trl.{name} {self.trl[name]!r}: {DRAWN[name]} decides it; leave this out")
        if self.trl.get("sync_ref_model"):
            raise RecipeError(
                "optimise.trl.sync_ref_model: optimise.reference decides what the reference is, for all of a round; "
                "leave it out"
            )
        if self.trl.get("loss_type", "grpo") not in LOSSES:
            raise RecipeError(
                f"optimise.trl.loss_type {self.trl['loss_type']!r}: optimise.kind {self.kind} has {', '.join(LOSSES)}"
            )
        if idle := next((name for name in self.trl if name in NOT_DRAWN or name.startswith("vllm_")), None):
            raise RecipeError(
                f"optimise.trl.{idle}: answers are drawn here as in evaluation, by no engine of TRL's; leave it out"
            )
        self._refuse_parted_groups(collect)
        return self.model_copy(update={"trl": {**self.trl, **drawn}})

    def _refuse_parted_groups(self, collect: SampledAnswers) -> None:
        """Raise `RecipeError` where TRL would draw for a part of a group, or for more pictures than there are."""
        batch = self.trl.get("per_device_train_batch_size", 8)
        times = self.trl.get("steps_per_generation") or self.trl.get("gradient_accumulation_steps", 1)
        rows = self.trl.get("generation_batch_size") or (
            batch * times if isinstance(batch, int) and isinstance(times, int) else None
        )
        if not isinstance(rows, int):
            return  # TRL's to refuse
        if rows % collect.answers:
            raise RecipeError(
                f"collect.answers {collect.answers}: a training draws {rows} answers at a time "
                "(optimise.trl.per_device_train_batch_size x gradient_accumulation_steps), which are no whole groups; "
                f"take a multiple of {collect.answers} there"
            )
        if rows // collect.answers > collect.samples:
            raise RecipeError(
                f"collect.samples {collect.samples}: a training draws answers to {rows // collect.answers} pictures "
                f"at a time ({rows} answers, {collect.answers} each); raise it, or lower "
                "optimise.trl.per_device_train_batch_size"
            )

    def material(self, rows: Sequence[Sample]) -> Material:
        from loops.optimise.collate import DrawnCollator, sample_rows_of

        return Material(rows=sample_rows_of(rows), collator=DrawnCollator)

    def trial_rows(self, sample: Sample) -> Sequence[Sample]:
        return [sample]

    def one_step(self, rows: int) -> Mapping[str, Any]:
        few = {"num_generations": 2, "max_completion_length": 4, "steps_per_generation": None,
               "generation_batch_size": None}  # fmt: skip
        return {**super().one_step(2 * rows), **few}

    def trial_judge(self) -> Judge:
        return _FirstIsBest()

    def open(self, context: Round) -> Learn:
        recipe = self.within(context.study)

        def learn(samples: Sequence[Sample], judge: Judge, out: Path, advance: Advance) -> Trained:
            return recipe.train(context, samples, out, advance, judge)

        return learn


class _FirstIsBest:
    """Rewards the first answer of each group alone."""

    def begin(self, samples: Sequence[Sample], answers: Sequence[Answer]) -> None:
        return

    def __call__(self, samples: Sequence[Sample], answers: Sequence[Sequence[Answer]]) -> list[list[float]]:
        return [[float(not number) for number in range(len(row))] for row in answers]
