"""What a kind of collector, verifier, selector or optimiser is, and what it is told of the run around it.

A kind is a class in a file of its own: a frozen part of a recipe. It holds its fields, says what its result depends on
and which autonomy level follows from it, and opens what does the work. It imports model libraries inside `open`: a
recipe is read, and a finished run recognised, without them.
"""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from harness.autonomy import CONTROL, OWN_QUESTIONS, OWN_WEIGHTS, SAW_GOLD, SELF_VERIFIED
from harness.models.weights import model_folder
from harness.runs.names import stage_name
from harness.types import Advance, Checkpoint, Group, Sample, Verdict
from loops.groups import Row
from loops.setting import Pool, Setting
from loops.stages import Stage, Stages

if TYPE_CHECKING:
    from harness.models.frames import Pictures
    from harness.models.options import ModelOptions
    from harness.models.vlm import Vlm
    from loops.ledger import Outcome
    from loops.plan import Planned, Planner


class Part(BaseModel):
    """A group of fields: no others, and none that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Something to try before a run begins, and what decides its outcome: of many recipes it is tried once for each.
    `run` returns a line for people, and raises what is wrong."""

    depends: Any
    run: Callable[[], str]


class Kind(Part):
    """The fields of one kind; a subclass sets `kind: Literal["name"] = "name"`. `version` is raised when the code, or
    the default of a field, would give another result from the same fields."""

    kind: str
    version: ClassVar[int] = 1

    def as_input(self, *without: str) -> dict[str, Any]:
        """What a stage that depends on this part is known by: the kind, its version, and the fields that are not at
        their default. A field that is added with a default changes no stage of before."""
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"kind", *without})
        return {"kind": self.kind, "version": self.version, **fields}

    def refuse(self, study: Study) -> None:
        """Raise `RecipeError` for what can be known at once not to work; of a study without rounds nothing is."""

    def trials(self, study: Study) -> Mapping[str, Trial]:
        """What takes longer to try, by the name under which `strop run --check` tells of it."""
        return {}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        """What the stage takes of memory, by a planner that is asked for it; None where it runs no model."""
        return None


# Collect --------------------------------------------------------------------------------------------------------------


def _no_facts(groups: Sequence[Group]) -> Mapping[str, float]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Collecting:
    """A collector at work. `collect` gives a group of answers to each sample, which comes without gold, and reports
    every sample to `advance` as often as `passes` says; `facts` are further counts of the groups, and `costs` what it
    took so far. `computed` is as in `loops.ledger.Outcome`."""

    collect: Callable[[Sequence[Sample], Advance], list[Group]]
    passes: int = 1
    facts: Callable[[Sequence[Group]], Mapping[str, float]] = _no_facts
    costs: Callable[[], Mapping[str, float]] = dict
    computed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Collector(Kind):
    """A way to come to candidate answers. `ordered` says whether a group's first answer is by its making the one to
    prefer, and `order_level` is the autonomy level of that order where no verifier has an opinion of it: a baseline,
    whose order nobody would learn from, declares a control. `own_questions` says that they answer other questions than
    the pool's, which its task cannot read; and `own_pictures`, that they are about pictures that it made, which are
    kept with the groups. `self_made` says that the honed model makes up what it is asked: if it verifies itself too, it
    depends on nobody (L5)."""

    ordered: ClassVar[bool] = False
    order_level: ClassVar[str] = SELF_VERIFIED
    own_questions: ClassVar[bool] = False
    own_pictures: ClassVar[bool] = False
    self_made: ClassVar[bool] = False

    samples: int = Field(default=1000, ge=1, description="pictures of the pool a round")
    prompt: str | None = Field(default=None, min_length=1, description="what is asked of each picture; else the pool's")

    def inputs(self, context: Round) -> dict[str, Any]:
        """What its groups depend on, beside the round's samples."""
        return {"checkpoint": context.start.digest, **context.study.asking, "collect": self.as_input()}

    def level(self, verifier: Verifier) -> str:
        """The autonomy level that follows from these answers and their verifier."""
        level = self.order_level if self.ordered and verifier.abstains else verifier.judging_level
        return OWN_QUESTIONS if self.self_made and level == SELF_VERIFIED else level

    @abstractmethod
    def open(self, context: Round) -> Collecting:
        """The collector of a round at work."""


# Verify ---------------------------------------------------------------------------------------------------------------


class Verifying(Protocol):
    """A verifier at work: as many verdicts to each group as it has answers; `facts` is what it tells of itself, and
    `costs` what it took so far."""

    @property
    def facts(self) -> Mapping[str, Any]: ...

    @property
    def costs(self) -> Mapping[str, float]: ...

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]: ...


@runtime_checkable
class Computing(Protocol):
    """A verifier at work that runs models; `computed` is as in `loops.ledger.Outcome`."""

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]: ...


def computed_by(verifier: Verifying) -> Mapping[str, Mapping[str, str]]:
    """The models that a verifier runs; nothing of one that tells of none."""
    return verifier.computed if isinstance(verifier, Computing) else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Each:
    """A verifier at work that judges each answer by itself."""

    judge: Callable[[Sample, str], Verdict]
    facts: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts = []
        for group in groups:
            verdicts.append(tuple(self.judge(group.sample, answer) for answer in group.answers))
            if advance:
                advance(1)
        return verdicts


class Verifier(Kind):
    """A way to judge candidate answers.

    `level` is the autonomy level of who judges (`harness.autonomy`). One that does not declare `sees_gold` is given
    samples without targets. Where these two follow from its fields, it has properties for them, `judging_level` and
    `is_shown_gold`. `widest` is the most that two of its rewards can differ by. `overrules` says that its order owes
    nothing to whoever ordered the answers before, `abstains` that it has an opinion of none. `filters` says that it
    judges any single text by its picture: then its worth without training is measured as a baseline.
    """

    level: ClassVar[str]
    sees_gold: ClassVar[bool] = False
    widest: ClassVar[float] = math.inf
    overrules: ClassVar[bool] = False
    abstains: ClassVar[bool] = False
    filters: ClassVar[bool] = False

    @property
    def judging_level(self) -> str:
        """The autonomy level of this verifier with its fields."""
        return self.level

    @property
    def is_shown_gold(self) -> bool:
        """Whether this verifier with its fields is given samples with their targets."""
        return self.sees_gold

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        """What its verdicts depend on, beside the groups and their pictures."""
        return self.as_input()

    @property
    def models(self) -> tuple[str, ...]:
        """The vision-language models that it loads, by their names, the judged one left out."""
        return ()

    def has_own_weights(self, study: Study) -> bool:
        """Whether it is, under another name, the model that the study hones."""
        return False

    def learnt_from(self, study: Study) -> Sequence[str]:
        """The tasks from whose right answers it learnt."""
        return ()

    @abstractmethod
    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        """The verifier at work. `groups`, without gold, are answers to calibrate on, and `draw` feeds its generator."""


# Select ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The training rows, and how many groups went which way."""

    rows: tuple[Row, ...]
    counts: Mapping[str, float]


class Selector(Kind):
    """A way from verdicts to training rows; `paired` says whether these are pairs."""

    paired: ClassVar[bool] = True

    def inputs(self, draw: int) -> dict[str, Any]:
        """What the rows depend on, beside the verdicts."""
        return self.as_input()

    def level(self, level: str) -> str:
        """The autonomy level, where it is `level` by the answers and their verifier."""
        return level

    def refuse_collector(self, collector: Collector) -> None:
        """Raise `ValueError` for answers that nothing can be selected from this way."""

    @abstractmethod
    def select(self, groups: Sequence[Group], draw: int) -> Selection:
        """The rows of judged groups; `draw` feeds a generator where there is one."""


# Optimise -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What training left: steps taken, how many tensors they changed where that is known, its last averages (None for
    what is no number), what it took, and what computed it, as in `loops.ledger.Outcome`."""

    steps: int
    changed: int | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    computed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Optimiser(Kind):
    """A way to the next checkpoint. One that learns from rows is a `loops.rounds.offline.PairOptimiser` or
    `ExampleOptimiser`, one that learns from answers as they are drawn a `loops.rounds.online.OnlineOptimiser`; any
    other brings its own round."""

    def refuse_selector(self, selector: Selector) -> None:
        """Raise `ValueError` for rows that it cannot learn from."""

    @abstractmethod
    def round(self, context: Round) -> Stages[Checkpoint]:
        """The stages of a round that trains so, up to its checkpoint."""


# The run around them --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A recipe in its setting, as its parts see it; the fields are the recipe's, `measured` its evaluation's tasks.
    `policy` is the checkpoint whose answers are judged, None where none are yet: a round's start."""

    setting: Setting
    name: str
    model: str
    options: ModelOptions
    seed: int
    rounds: int
    source: str
    collect: Collector
    verify: Verifier
    select: Selector
    optimise: Optimiser
    measured: tuple[str, ...]
    policy: Checkpoint | None = None

    @property
    def pool(self) -> Pool:
        return self.setting.pool(self.source)

    @property
    def seed_folder(self) -> Path:
        """Where the seed model lies; raises `ModelError`."""
        return self.setting.shipped(self.model) or model_folder(self.setting.pinned(self.model))

    @property
    def pictures(self) -> Pictures | None:
        return self.options.pictures

    @property
    def asking(self) -> Mapping[str, Any]:
        """What a stage that asks or trains the model depends on, where the recipe does not leave it to the model."""
        return self.options.off_default

    def load_model(self, checkpoint: Path, *, name: str | None = None, adapter: Path | None = None) -> Vlm:
        """The model in a folder, to be asked as the recipe says; `name` is what results call it."""
        from harness.models.load import load_vlm

        return load_vlm(name or self.model, path=checkpoint, adapter=adapter, **self.options.keywords)

    @property
    def level(self) -> str:
        """The autonomy level, with what is remarked of the verifier."""
        return self.remarked(self.select.level(self.collect.level(self.verify)))

    def remarked(self, level: str) -> str:
        """A level of this verifier with what it must not be read without: that it learnt from this world's gold, or is
        the honed model under another name."""
        if level == CONTROL:
            return level
        gold = {self.source, *self.measured} & set(self.verify.learnt_from(self))
        return level + (SAW_GOLD if gold else "") + (OWN_WEIGHTS if self.verify.has_own_weights(self) else "")

    def samples(self, number: int) -> list[Sample]:
        """What round `number` asks: samples of the pool, under the collector's prompt where it has one."""
        samples = self.pool.of_round(seed=self.seed, number=number, count=self.collect.samples)
        prompt = self.collect.prompt
        return [sample if prompt is None else dataclasses.replace(sample, prompt=prompt) for sample in samples]


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Round `number` of a study, from the checkpoint `start`; `seed` is the study's first checkpoint."""

    study: Study
    number: int
    seed: Checkpoint
    start: Checkpoint

    @property
    def draw(self) -> int:
        """What feeds the round's generators."""
        return self.study.seed * 1_000 + self.number

    @property
    def judged(self) -> Study:
        """The study as its verifier sees it: the model that is judged is the one that the round starts from."""
        return dataclasses.replace(self.study, policy=self.start)

    @property
    def name(self) -> str:
        return f"{self.study.name} seed {self.study.seed} round {self.number}"

    def load_model(self) -> Vlm:
        """The model that the round starts from."""
        return self.study.load_model(self.start.path)

    def stage(self, step: str, inputs: Mapping[str, Any], work: Callable[[Path], Outcome]) -> Stage:
        return Stage(name=stage_name(self.number, step), inputs=inputs, work=work)
