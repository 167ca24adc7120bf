"""What the task of the pool makes of an answer, for the kinds that ask it: its mark, from gold, and its reading."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from harness.episodes import After
from harness.errors import RecipeError
from harness.task_faults import careful_world
from harness.thoughts import answer_of
from harness.types import Interactive, Readable, Sample, Task
from loops.kinds import Study

Reading = str | float | tuple[float, ...] | frozenset[str]
"""What an answer says, as `harness.types.Readable` has it."""

Reader = Callable[[Sample, str], Reading | None]

_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*%?")


def refuse_without_gold(study: Study, kind: str) -> None:
    """Raise `RecipeError` where the pool has no right answers."""
    if not study.pool.has_gold:
        raise RecipeError(
            f"verify.kind {kind}: source {study.source} has no right answers to judge by; take clip, or a task's pool"
        )


def refuse_without_pictures(study: Study, kind: str) -> None:
    """Raise `RecipeError` where a question of the first round shows no picture that could be judged by. Scenes of a
    world all do, and are not composed for it."""
    if not study.pool.apart and (blind := next((sample for sample in study.samples(1) if not sample.images), None)):
        raise RecipeError(
            f"verify.kind {kind}: looks at pictures, and question {blind.id} of source {study.source} has none; take "
            "verify.kind=rule or consistency"
        )


def task_input(study: Study) -> list[Any]:
    """What a verdict by the task depends on: its name and version; of pictures of the user's own only what they are."""
    task = task_of(study)
    return [study.source.partition(":")[0]] if task is None else [study.source, task.version]


def task_of(study: Study) -> Task | None:
    """The task that the answers are to; None for pictures of the user's own, and for questions of the model's own."""
    return None if ":" in study.source or study.collect.own_questions else study.setting.tasks[study.source]


def reader_of(study: Study) -> Reader | None:
    """The reader of the pool's task, for answers without the thoughts before them; None where it has none."""
    task: object = task_of(study)
    if not isinstance(task, Readable):
        return None
    read = task.read
    return lambda sample, answer: read(sample, answer_of(answer).answer)


def world_of(study: Study, kind: str) -> After:
    """The world of the pool's task; raises `RecipeError` where it has none, naming the `kind` that wants one, such as
    "verify.kind environment"."""
    task: object = task_of(study)
    if not isinstance(task, Interactive):
        raise RecipeError(f"{kind}: source {study.source} is no world that answers back; take pictos_reach")
    return careful_world(study.source, task)


def normalised(sample: Sample, answer: str) -> str | None:
    """The words of an answer without the thought before it, in small letters and without the marks around them; None
    where there is no word.

    Example:
        >>> sample = Sample(id="1", prompt="?", images=(), target=None, cluster="1")
        >>> normalised(sample, "It's 3.5 %, probably."), normalised(sample, " ...")
        ("it's 3.5 probably", None)
    """
    return " ".join(_WORD.findall(answer_of(answer).answer.casefold())) or None
