"""The recipe: everything that a run depends on that is not code. Loaded from YAML, changed with ``--set a.b=c``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.autonomy import CONTROL, GIVEN_PAIRS, can_be_typed, derive_level
from harness.errors import RecipeError, UsageError

OWN_PICTURES_TOKENS = 512
"""`collect.max_tokens` of the user's own pictures: models that describe photographs write 100 tokens and more."""

P = TypeVar("P", bound=BaseModel)


class Part(BaseModel):
    """A group of fields: no others, and none that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that came after the first runs: at their default a stage is known by what it was known by before."""

    def as_input(self) -> dict[str, Any]:
        """What a stage that depends on this group is known by."""
        as_before = {name for name in self.later if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(exclude=as_before)


class Ratio(Part):
    """A Gaussian from which each pair draws its hallucination ratio, clipped to 0..1."""

    mean: float = 0.5
    std: float = Field(default=0.15, ge=0)


class Collect(Part):
    """Ask the model on the training pool: its own answer against a controlled hallucination, or several answers."""

    kind: Literal["controlled_hallucination", "sampling"] = "controlled_hallucination"
    samples: int = Field(default=1000, ge=1, description="pictures of the pool a round")
    h_ratio: Ratio = Field(default=Ratio(), description="controlled hallucination's")
    share_prefix: bool = Field(
        default=True, description="a controlled hallucination starts with some sentences of the model's own answer"
    )
    answers: int = Field(default=4, ge=2, description="of sampling, to each picture")
    temperature: float = Field(default=0.0, ge=0, description="of all answers; 0 is greedy")
    max_tokens: int = Field(default=80, ge=1, description=f"of own pictures {OWN_PICTURES_TOKENS} by default")
    unfinished: Literal["sentences", "drop", "keep"] = Field(
        default="sentences",
        description="what to do with an answer that max_tokens cut: keep its whole sentences, leave it out, or train "
        "on it as if it ended there",
    )
    max_unfinished: float = Field(default=0.2, ge=0, le=1, description="a larger share of cut answers is refused")
    prompt: str | None = Field(default=None, min_length=1, description="what is asked of each picture; else the pool's")

    later: ClassVar[frozenset[str]] = frozenset({"unfinished", "max_unfinished", "prompt"})

    @model_validator(mode="after")
    def _sampled_answers_differ(self) -> Self:
        if self.kind == "sampling" and not self.temperature:
            raise ValueError("sampling at temperature 0 gives equal answers; set collect.temperature, e.g. 1.0")
        return self


class Verify(Part):
    """Judge the candidates without gold (the oracle excepted: it is a control, and its level says so)."""

    kind: Literal["clip", "oracle", "random", "shorter", "none"] = "clip"
    encoder: str = "pictos-encoder"
    aggregate: Literal["mean", "min", "sum"] = Field(
        default="sum", description="how a text's sentences make one reward"
    )
    zero: float | None = Field(
        default=None,
        description="of sum: the score from which a sentence earns; else what the encoder's card says, or what tells "
        "sentences of their own picture from sentences of another",
    )

    later: ClassVar[frozenset[str]] = frozenset({"zero"})


class Select(Part):
    """Turn verdicts into pairs."""

    disagreement: Literal["reverse", "discard", "keep", "coin"] = Field(
        default="reverse",
        description="what to do when the verifier prefers the candidate rejected; coin: toss one for the order of "
        "every pair, so that the verifier chooses pairs and does not order them",
    )
    margin: float = Field(default=0.0, ge=0, description="pairs whose rewards differ by less are left out")
    max_word_gap: int | None = Field(
        default=None, ge=0, description="pairs whose lengths differ by more words are left out"
    )
    keep: float = Field(
        default=1.0, gt=0, le=1, description="at most this share of the groups, those whose rewards differ most"
    )


class Optimise(Part):
    """Train the next checkpoint. `trl` goes to TRL's own config untouched."""

    kind: Literal["dpo"] = "dpo"
    weights: Literal["all", "lora"] = "all"
    freeze: tuple[str, ...] = Field(
        default=("vision_tower",), description="parts whose weights stay and get no adapter"
    )
    lora: dict[str, Any] = Field(default_factory=dict, description="peft's LoraConfig")
    reference: Literal["previous", "seed"] = Field(default="previous", description="the reference policy")
    sft_weight: float = Field(default=0.0, ge=0, description="weight of an SFT term on the chosen side")
    trl: dict[str, Any] = Field(default_factory=dict, description="TRL's DPOConfig")


class Evaluate(Part):
    """What every checkpoint is measured on."""

    tasks: tuple[str, ...] = ("pictos_pope", "pictos_chair", "pictos_captions")
    split: str = Field(default="test", pattern=r"^(test|dev|reserve-[1-9]\d*)$", description="see `loops.reserve`")
    limit: int | None = Field(default=None, ge=1)
    max_tokens: int | dict[str, int] | None = Field(
        default=None, description="longest answers, of every task or {task: tokens}; else the task's own"
    )
    rounds: Literal["all", "last"] = Field(default="all", description="rounds to measure, beside the seed")
    filter: bool = Field(default=True, description="the baseline without training: the verifier filters the seed")
    rerank: int = Field(
        default=0, ge=0, description="the other: of so many answers of the seed the verifier takes the best; 0: none"
    )

    @field_validator("max_tokens", mode="before")
    @classmethod
    def _tokens_are_whole(cls, given: Any) -> Any:
        counts = given.values() if isinstance(given, dict) else (given,)
        if given is not None and not all(type(count) is int and count > 0 for count in counts):
            raise ValueError(f"field 'evaluate.max_tokens' is {given!r}: say tokens above 0, or {{task: tokens}}")
        return given

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
    seed: int = Field(default=0, ge=0, description="of collection and training; the pool's slice depends on it too")
    rounds: int = Field(default=2, ge=0)
    source: str = Field(
        default="pictos_captions",
        description="the task whose training pool is collected on, or pictures of the user's own as KIND:PATH; of "
        "pairs:PATH nothing is collected, the pairs are there",
    )
    collect: Collect = Collect()
    verify: Verify = Verify()
    select: Select = Select()
    optimise: Optimise = Optimise()
    evaluate: Evaluate = Evaluate()

    @property
    def own_pictures(self) -> bool:
        """Whether `source` names pictures of the user's own and no task."""
        return ":" in self.source

    @property
    def given_pairs(self) -> bool:
        """Whether `source` names pairs of answers, so that none are collected."""
        return self.source.startswith(GIVEN_PAIRS)

    @property
    def level(self) -> str:
        """The autonomy level, which follows from what judges (`harness.autonomy`)."""
        return derive_level(self.model_dump(include={"source", "verify", "select"})) or CONTROL

    @model_validator(mode="before")
    @classmethod
    def _level_is_derived(cls, fields: Any) -> Any:
        """Recipes used to name their level: one that a recipe can have is passed over, others are refused."""
        if not isinstance(fields, dict) or "level" not in fields:
            return fields
        if not can_be_typed(fields["level"]):
            verify = fields.get("verify")
            judged = {**fields, "verify": {"kind": "clip", **(verify if isinstance(verify, dict) else {})}}
            raise ValueError(
                f"field 'level' is {fields['level']!r}: a recipe's level follows from what judges, which makes this "
                f"one {derive_level(judged) or CONTROL}; leave the field out"
            )
        return {name: value for name, value in fields.items() if name != "level"}

    @model_validator(mode="before")
    @classmethod
    def _photographs_take_more_words(cls, fields: Any) -> Any:
        collect = fields.get("collect", {}) if isinstance(fields, dict) else None
        if isinstance(collect, dict) and ":" in str(fields.get("source", "")):
            return {**fields, "collect": {"max_tokens": OWN_PICTURES_TOKENS, **collect}}
        return fields

    @model_validator(mode="after")
    def _an_order_to_disagree_with(self) -> Self:
        if self.collect.kind == "sampling" and self.select.disagreement in ("discard", "keep"):
            raise ValueError(
                f"select.disagreement {self.select.disagreement} needs candidates in an order, which sampling does not "
                "give; leave it at reverse"
            )
        return self


class _Yaml(yaml.SafeLoader):
    """YAML in which 1e-4 is the number that everyone means by it, not a text (PyYAML keeps to YAML 1.1)."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply ``key.sub=value`` changes (values are YAML), validate; raises `RecipeError` by field."""
    document = read_document(path, "recipe")
    for change in changes:
        _apply(document, change)
    return validated(Recipe, document, f"recipe {path}")


def read_document(path: Path, kind: str) -> dict[str, Any]:
    """The fields of a YAML file, a recipe or a grid (`kind`); raises `RecipeError`."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    except FileNotFoundError as error:
        raise RecipeError(f"{kind} {path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{kind} {path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise RecipeError(f"{kind} {path}: not valid YAML ({error})") from error
    if not isinstance(document, dict):
        raise RecipeError(f"{kind} {path}: expected fields like 'name: ...', found {type(document).__name__}")
    return document


def validated(model: type[P], document: Mapping[str, Any], what: str) -> P:
    """The document as that model; raises `RecipeError` that says `what` it is and names the first field at fault."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise RecipeError(f"{what}: {_first_fault(error, model)}") from error


def find_shipped(name: str, kind: Literal["recipe", "grid"]) -> Path:
    """The file of that path, or the one that comes with Strop under that name; raises `UsageError`."""
    path = Path(name)
    if path.suffix or path.exists():
        return path
    shipped = Path(__file__).parent / f"{kind}s"
    found = shipped / f"{name}.yaml"
    if not found.exists():
        there = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
        raise UsageError(
            f"{kind} {name}: no such file, and no {kind} of that name comes with Strop (there are {there})"
        )
    return found


def _apply(document: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {change}: expected key.sub=value")
    *above, last = key.split(".")
    place = document
    for part in above:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {change}: '{part}' is a value, not a group of fields")
        place = inner
    try:
        place[last] = yaml.load(value, _Yaml)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {change}: the value is not valid YAML") from error


def _first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    # A misspelt field is also a missing one: its name as it was written says more.
    fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _fields(model, fault["loc"][:-1]), n=1)
        return f"there is no field '{where}'" + (f"; did you mean '{near[0]}'?" if near else "")
    if fault["type"] == "missing":
        return f"field '{where}' is missing"
    if fault["type"] == "value_error":  # one of the recipe's own rules, which names its fields
        return str(fault["ctx"]["error"])
    return f"field '{where}' is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _fields(part: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    for name in place:
        found = part.model_fields.get(str(name))
        inner = found.annotation if found else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        part = inner
    return list(part.model_fields)
