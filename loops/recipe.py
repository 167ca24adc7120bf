"""The recipe: everything that a run depends on that is not code. Loaded from YAML, changed with ``--set a.b=c``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.autonomy import CONTROL, GIVEN_PAIRS, OWN_QUESTIONS, UNKNOWN
from harness.models.options import AttnImplementation, Dtype, GenerationSettings, ModelOptions, Thinking
from loops.collect.controlled_hallucination import ControlledHallucination
from loops.collect.given import GivenPairs
from loops.documents import apply_change, read_document, validated
from loops.kinds import Collector, Optimiser, Part, Selector, Study, Verifier
from loops.monitors.settings import Monitor, Watch
from loops.optimise.dpo import Dpo
from loops.select.pairs import BestAgainstWorst
from loops.setting import Setting
from loops.slots import COLLECT, OPTIMISE, SELECT, SLOTS, VERIFY, name_of
from loops.verify.clip import Clip

OWN_PICTURES_TOKENS = 512
"""`collect.max_tokens` of the user's own pictures: models that describe photographs write 100 tokens and more."""


class Evaluate(Part):
    """What every checkpoint is measured on."""

    tasks: tuple[str, ...] = ("pictos_pope", "pictos_chair", "pictos_captions")
    split: str = Field(default="test", pattern=r"^(test|dev|reserve-[1-9]\d*)$", description="see `loops.reserve`")
    limit: int | None = Field(default=None, ge=1)
    max_tokens: int | dict[str, int] | None = Field(
        default=None, description="longest answers, of every task or {task: tokens}; else the task's own"
    )
    max_thought_tokens: int | None = Field(
        default=None, ge=1, description="of a thought beside its answer, as `strop eval --max-thought-tokens`"
    )
    rounds: Literal["all", "last"] = Field(default="all", description="rounds to measure, beside the seed")
    filter: bool = Field(default=True, description="the baseline without training: the verifier filters the seed")
    rerank: int = Field(
        default=0, ge=0, description="the other: of so many answers of the seed the verifier takes the best; 0: none"
    )
    wordy: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="a third: the seed goes on, the end of its answers so many nats less likely; 0: not measured",
    )

    @field_validator("max_tokens", mode="before")
    @classmethod
    def _tokens_are_whole(cls, tokens: Any) -> Any:
        counts = tokens.values() if isinstance(tokens, dict) else (tokens,)
        if tokens is not None and not all(type(count) is int and count > 0 for count in counts):
            raise ValueError(f"field 'evaluate.max_tokens' is {tokens!r}: say tokens above 0, or {{task: tokens}}")
        return tokens

    @property
    def longest(self) -> dict[str, int]:
        """Task -> the longest answers that the recipe allows it, of the tasks that it says so of."""
        named = self.max_tokens
        return dict.fromkeys(self.tasks, named) if isinstance(named, int) else dict(named or {})

    @model_validator(mode="after")
    def _longest_answers_of_its_tasks(self) -> Self:
        if strangers := sorted(set(self.longest) - set(self.tasks)):
            raise ValueError(
                f"evaluate.max_tokens names {strangers[0]}, which is not among evaluate.tasks ({', '.join(self.tasks)})"
            )
        return self


class Recipe(Part):
    """A whole study of one seed model: measured, then honed and measured again `rounds` times."""

    name: str
    model: str = "pictos-seed"
    adapter: str | None = None
    pictures: Literal["pad", "processor"] | None = Field(
        default=None, description="how pictures are shown, as `strop eval --pictures`"
    )
    device: str | None = Field(default=None, description="of every stage, as `strop eval --device`; no stage's input")
    dtype: Dtype = Field(default="auto", description="of a model that is asked, as `strop eval --dtype`")
    attn_implementation: AttnImplementation | None = Field(
        default=None, description="what computes its attention, as `strop eval --attn-implementation`"
    )
    system: str | None = Field(default=None, min_length=1, description="a system turn before every question")
    thinking: Thinking | None = Field(
        default=None, description="given to the chat template, as `strop eval --thinking`"
    )
    generation_config: GenerationSettings = Field(
        default="model", description="whether the model's own settings are followed, as `strop eval`'s option"
    )
    seed: int = Field(default=0, ge=0, description="of collection and training; the pool's slice depends on it too")
    rounds: int = Field(default=2, ge=0)
    source: str = Field(
        default="pictos_captions",
        description="the task whose training pool is collected on, or pictures of the user's own as KIND:PATH; of "
        "pairs:PATH nothing is collected, the pairs are there",
    )
    allow_overlap: tuple[str, ...] = Field(
        default=(),
        description="measured or watched tasks of whose pictures some may be trained on; else that is refused",
    )
    collect: Annotated[SerializeAsAny[Collector], BeforeValidator(COLLECT.read)] = ControlledHallucination()
    verify: Annotated[SerializeAsAny[Verifier], BeforeValidator(VERIFY.read)] = Clip()
    select: Annotated[SerializeAsAny[Selector], BeforeValidator(SELECT.read)] = BestAgainstWorst()
    optimise: Annotated[SerializeAsAny[Optimiser], BeforeValidator(OPTIMISE.read)] = Dpo()
    evaluate: Evaluate = Evaluate()
    watch: Watch | None = Field(
        default=Watch(), description="what monitors look at after every round; null: at nothing"
    )
    stop_when: tuple[Monitor, ...] = Field(
        default=(), description="monitors that end the run after the round they fire"
    )

    @property
    def own_pictures(self) -> bool:
        """Whether `source` names pictures of the user's own and no task."""
        return ":" in self.source

    @property
    def level(self) -> str:
        """The autonomy level, which follows from who judges (`harness.autonomy`)."""
        return self.select.level(self.collect.level(self.verify))

    def off_default(self) -> dict[str, Any]:
        """The fields in which this is another recipe than the shortest one, its name left out."""
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        for slot in SLOTS:
            if slot.field in fields and isinstance(getattr(self, slot.field), slot.shipped[0]):
                fields[slot.field].pop("kind", None)
            elif slot.field in fields:
                fields[slot.field]["kind"] = getattr(self, slot.field).kind
        return fields

    @property
    def options(self) -> ModelOptions:
        """How the model is loaded and asked."""
        names = [field.name for field in dataclasses.fields(ModelOptions) if field.name in type(self).model_fields]
        return ModelOptions(**{name: getattr(self, name) for name in names})

    def study(self, setting: Setting) -> Study:
        """The recipe in its setting, as its parts see it."""
        return Study(
            setting=setting,
            name=self.name,
            model=self.model,
            options=self.options,
            seed=self.seed,
            rounds=self.rounds,
            source=self.source,
            collect=self.collect,
            verify=self.verify,
            select=self.select,
            optimise=self.optimise,
            measured=self.evaluate.tasks,
        )

    @model_validator(mode="wrap")
    @classmethod
    def _level_is_derived(cls, fields: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Recipes used to name their level: one that a recipe can have is passed over, others are refused."""
        if not isinstance(fields, dict) or "level" not in fields:
            return handler(fields)
        recipe = handler({name: value for name, value in fields.items() if name != "level"})
        if str(fields["level"]).partition(",")[0] not in _levels():
            raise ValueError(
                f"field 'level' is {fields['level']!r}: a recipe's level follows from what judges, which makes this "
                f"one {recipe.level}; leave the field out"
            )
        return recipe

    @model_validator(mode="before")
    @classmethod
    def _collected_by_source(cls, fields: Any) -> Any:
        """Pairs that are there are not collected; photographs take more words than the scenes of a task."""
        collect = fields.get("collect", {}) if isinstance(fields, dict) else None
        if not isinstance(collect, Mapping) or ":" not in str(fields.get("source", "")):
            return fields
        collect = {"max_tokens": OWN_PICTURES_TOKENS, **collect}
        if str(fields["source"]).startswith(GIVEN_PAIRS):
            collect["kind"] = name_of(GivenPairs)
        return {**fields, "collect": collect}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        self.select.refuse_collector(self.collect)
        self.optimise.refuse_selector(self.select)
        if self.stop_when and self.watch is None:
            raise ValueError("field 'stop_when' names monitors, and watch is null: nothing is watched; leave one out")
        looked_at = {*self.evaluate.tasks, *((*(self.watch.tasks or ()), *self.watch.guard) if self.watch else ())}
        if strangers := sorted(set(self.allow_overlap) - looked_at):
            raise ValueError(
                f"field 'allow_overlap' names {strangers[0]}, which is neither measured nor watched; leave it out"
            )
        if self.source.startswith(GIVEN_PAIRS) != isinstance(self.collect, GivenPairs):
            raise ValueError(f"collect.kind {self.collect.kind}: pairs that are there are source={GIVEN_PAIRS}PATH")
        return self


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply ``key.sub=value`` changes (values are YAML), validate; raises `RecipeError` by field."""
    document = read_document(path, "recipe")
    for change in changes:
        apply_change(document, change)
    return validated(Recipe, document, f"recipe {path}")


def level_of(fields: Mapping[str, Any]) -> str:
    """The level of a run's recipe as filed: derived, with what the run added to it; as written for parts that are not
    known here."""
    written = str(fields.get("level") or "")
    if "verify" not in fields:
        return written
    parts = {name: fields[name] for name in ("source", "collect", "verify", "select") if name in fields}
    try:
        derived = Recipe.model_validate({"name": "", **parts}).level
    except ValidationError:
        return written
    return derived if written.partition(",")[0] != derived else written


def _levels() -> set[str]:
    """Those that a recipe can have."""
    verifiers = [kind for kind in VERIFY.kinds() if issubclass(kind, Verifier)]
    return {CONTROL, UNKNOWN, OWN_QUESTIONS, *(kind.level for kind in verifiers)}
