"""The plan of a recipe: what each of its stages takes of memory, reckoned before anything is loaded.

A kind says what its stage runs (`loops.kinds.Kind.planned`), and the stages' own functions decide what `auto` comes to.
What does not fit is tried again with the recipe's own remedies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.models.footprint import Memory, asking, detecting, encoding
from harness.models.load import precision
from harness.models.outline import Outline, Question, outline_of, question_of
from harness.models.vlm import BATCH
from harness.models.weights import settings_folder
from harness.pictures import open_picture
from harness.types import Ranked, Sampling, Task
from loops.kinds import Study
from loops.measuring import baseline_tasks
from loops.recipe import OWN_PICTURES_TOKENS, Evaluate, Recipe
from loops.setting import Setting
from loops.watching import watched_tasks

if TYPE_CHECKING:
    from loops.optimise.training import TrlOptimiser

SHARE = 0.9
"""Of a device's memory a plan may take so much: what it does not count (the context of a GPU's driver, workspaces of
libraries, gaps between tensors) needs the rest."""

SAMPLES = 32
"""Of so many first pictures of a pool the largest is planned with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What a stage takes, in which precision of weights, with how many `things` at once; `remedy` are the changes of
    the recipe with which it takes `remedied` instead, where it does not fit."""

    memory: Memory
    dtype: str
    batch: int | None = None
    things: str = "rows"
    remedy: tuple[str, ...] = ()
    remedied: Memory | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The stages of a recipe by name, on a device with `room` bytes for them; the model, and a question's shape."""

    outline: Outline
    question: Question
    device: str
    room: int | None
    stages: Mapping[str, Planned]

    def fits(self, stage: str) -> bool | None:
        """Whether a stage fits as the recipe has it; None where nobody knows the device's memory."""
        return None if self.room is None else self.stages[stage].memory.total <= self.room


@dataclass(frozen=True, kw_only=True)
class Planner:
    """Whom the kinds of a recipe ask what their stage takes; `shown` is a question's prompt and a picture's size."""

    study: Study
    outline: Outline
    question: Question
    shown: tuple[str, tuple[int, int]]
    device: str
    room: int | None

    def asking(self, sampling: Sampling, *, twins: bool = False, weighed: int = 0) -> Planned:
        """What asking the model takes (`harness.models.footprint.asking`), with as many rows at once as the engine
        comes down to where memory runs out on a GPU."""

        def taken(dtype: torch.dtype) -> Planned:
            needs = asking(self.outline, self.question, sampling, dtype=dtype, twins=twins, weighed=weighed)
            batch = BATCH
            while self.device != "cpu" and batch > sampling.n and not self.has_room(needs.at(_rows(batch, sampling))):
                batch //= 2
            rows = _rows(batch, sampling)
            return Planned(memory=needs.at(rows), dtype=str(dtype).removeprefix("torch."), batch=rows)

        dtype = precision(self.study.options.dtype, self.device, self.outline.stored_bytes)
        planned = taken(dtype)
        if not self.has_room(planned.memory) and dtype == torch.float32 and self.device != "cpu":
            half = taken(torch.bfloat16)
            if self.has_room(half.memory):
                return replace(planned, remedy=("dtype=bfloat16",), remedied=half.memory)
        return planned

    def of(self, name: str) -> Planner:
        """The planner of another model by its name, asked about the same pictures."""
        outline = _outline(self.study, name)
        question = question_of(outline, *self.shown, self.study.options)
        return replace(self, outline=outline, question=question)

    def encoding(self, encoder: str) -> Planned:
        """What a picture-text encoder takes."""
        return Planned(memory=encoding(encoder), dtype="float32")

    def detecting(self, name: str, folder: Path) -> Planned | None:
        """What an object detector takes; None where that cannot be told."""
        memory = detecting(name, folder, self.shown[1])
        return None if memory is None else Planned(memory=memory, dtype="float32")

    def training(
        self, recipe: TrlOptimiser, settings: Callable[[TrlOptimiser], Any], *, own_reference: bool
    ) -> Planned:
        """What training takes under TRL's settings of a recipe, on answers as long as they may be; and the first
        remedies with which it fits, where it does not."""
        from loops.optimise.footprint import pairs_join, training

        pairs = recipe.method == "DPO"
        joins = pairs and pairs_join(self.outline, self.question)

        def taken(changed: TrlOptimiser) -> Planned:
            settled, chosen = changed.settled(self.outline.weights), settings(changed)
            memory = training(
                self.outline, self.question, settled, chosen,
                answer=self.answer, own_reference=own_reference, gpu=self.device != "cpu",
                joins=joins,
            ).memory  # fmt: skip
            batch, things = chosen.per_device_train_batch_size, "pairs" if pairs else "rows"
            return Planned(memory=memory, dtype=settled.quantise or settled.dtype, batch=batch, things=things)

        planned = taken(recipe)
        if self.has_room(planned.memory):
            return planned
        for changes, changed in _remedies(recipe, self.outline, settings):
            remedied = taken(changed).memory
            if self.has_room(remedied):
                words = tuple(f"optimise.{name}={value}" for name, value in changes.items())
                return replace(planned, remedy=words, remedied=remedied)
        return planned

    def has_room(self, memory: Memory) -> bool:
        return self.room is None or memory.total <= self.room

    @property
    def answer(self) -> int:
        """Tokens of an answer that is trained on, at most."""
        return int(getattr(self.study.collect, "max_tokens", OWN_PICTURES_TOKENS))


def plan_memory(
    recipe: Recipe, setting: Setting, *, device: str, size: int | None, picture: tuple[int, int] | None = None
) -> Plan:
    """The plan of a recipe on a device (cpu, or any other for a GPU) with `size` bytes of memory, None where they are
    not known; `picture` is the width and height of pictures, by default of the largest of the pool's first.

    Of a hub id, config and processor are downloaded. Raises `ModelError` for a model that cannot be asked or whose
    memory cannot be planned, `RecipeError` for settings that nothing can be made of, and what a pool raises.
    """
    study = recipe.study(setting)
    outline, shown = _outline(study, study.model), _shown(study, picture)
    question = question_of(outline, *shown, study.options)
    room = None if size is None else int(size * SHARE)
    planner = Planner(study=study, outline=outline, question=question, shown=shown, device=device, room=room)
    stages = {name: stage for name, stage in _stages(recipe, planner) if stage is not None}
    return Plan(outline=outline, question=question, device=device, room=room, stages=stages)


def _stages(recipe: Recipe, planner: Planner) -> Iterator[tuple[str, Planned | None]]:
    """(a stage's name, what it takes, None where it runs no model that is known)."""
    study, measured = planner.study, recipe.evaluate
    greedy, weighed = _measuring(measured, [study.setting.tasks[name] for name in measured.tasks])
    evaluation = planner.asking(greedy, weighed=weighed)
    yield "eval", evaluation
    if recipe.rounds == 0:
        return
    verify = study.verify.planned(study, planner)
    if baseline_tasks(study, measured) and verify:
        several = replace(greedy, n=measured.rerank, max_tokens=weighed)
        yield "baselines", _together(verify, planner.asking(several)) if measured.rerank else verify
    yield "collect", study.collect.planned(study, planner)
    yield "verify", verify
    yield "optimise", study.optimise.planned(study, planner)
    tasks = [task for task, _ in watched_tasks(study, recipe.watch, measured)] if recipe.watch else []
    if tasks:
        again, also_weighed = _measuring(measured, tasks)
        alike = (again, also_weighed) == (greedy, weighed)
        answering = evaluation if alike else planner.asking(again, weighed=also_weighed)
        judging = verify if also_weighed and study.verify.filters else None  # once the model that answered is gone
        yield "watch", max(answering, judging or answering, key=lambda planned: planned.memory.total)


def _measuring(measured: Evaluate, tasks: Sequence[Task]) -> tuple[Sampling, int]:
    """(how the questions of some tasks are asked, the longest answers whose log-probabilities are read, 0: of none)."""
    tokens = [measured.longest.get(task.name, task.max_tokens) for task in tasks]
    weighed = max((count for task, count in zip(tasks, tokens, strict=True) if isinstance(task, Ranked)), default=0)
    return Sampling(max_tokens=max(tokens), max_thought_tokens=measured.max_thought_tokens), weighed


def _together(verifier: Planned, model: Planned) -> Planned:
    """Both models loaded, one at work at a time."""
    weights = verifier.memory.weights + model.memory.weights
    larger = max(verifier, model, key=lambda planned: planned.memory.total - planned.memory.weights)
    return replace(model, memory=replace(larger.memory, weights=weights))


def _outline(study: Study, name: str) -> Outline:
    folder = study.setting.shipped(name) or settings_folder(study.setting.pinned(name))
    return outline_of(folder, name, study.options.attn_implementation)


def _shown(study: Study, size: tuple[int, int] | None) -> tuple[str, tuple[int, int]]:
    """(a prompt, the width and height of a picture) as the recipe's pool has them."""
    prompt = study.collect.prompt or "Describe this image in detail."
    if size is not None:
        return prompt, size
    samples: Sequence[Any] = study.pool.of_round(seed=study.seed, number=1, count=SAMPLES)
    sizes = [open_picture(picture).size for sample in samples for picture in sample.images]
    longest = max((sample.prompt for sample in samples), key=len)
    return study.collect.prompt or longest, max(sizes, key=lambda size: size[0] * size[1])


def _rows(batch: int, sampling: Sampling) -> int:
    """The rows of a batch: whole samples."""
    return max(1, batch // sampling.n) * sampling.n


def _remedies(
    recipe: TrlOptimiser, outline: Outline, settings: Callable[[TrlOptimiser], Any]
) -> Iterator[tuple[Mapping[str, object], TrlOptimiser]]:
    """(changes of the optimiser's fields, the recipe with them), each with those before it: what changes least of what
    is learnt comes first."""
    chosen, changes = settings(recipe), dict[str, object]()
    batch, gathered = chosen.per_device_train_batch_size, chosen.gradient_accumulation_steps

    def changed(**values: object) -> tuple[Mapping[str, object], TrlOptimiser]:
        nonlocal recipe
        own = {name: value for name, value in values.items() if name in type(recipe).model_fields}
        trl = {name: value for name, value in values.items() if name not in own}
        recipe = recipe.model_copy(update={**own, "trl": {**recipe.trl, **trl}})
        changes.update(own | {f"trl.{name}": str(value).lower() for name, value in trl.items()})
        return dict(changes), recipe

    if not chosen.gradient_checkpointing:
        yield changed(gradient_checkpointing=True)
    for pairs in sorted({batch // 4, 1} - {0, batch}, reverse=True):
        yield changed(per_device_train_batch_size=pairs, gradient_accumulation_steps=gathered * batch // pairs)
    if recipe.settled(outline.weights).weights == "all":
        yield changed(weights="lora")
    if recipe.settled(outline.weights).dtype == "float32" and not recipe.quantise:
        yield changed(dtype="bfloat16")
    if not recipe.quantise:
        yield changed(quantise="nf4")
