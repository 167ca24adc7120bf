"""The tasks by name. A new one is a file and a line here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.autonomy import GIVEN_PAIRS
from harness.errors import UnknownTaskError, UsageError
from harness.plugins import Broken, Offer, Plugin, read_plugins
from harness.types import Pooled, Task
from tasks.chair.task import Chair
from tasks.data.pairs import pair_pool
from tasks.data.pools import OwnPool, WorldPool, own_pool
from tasks.grounding.task import Grounding
from tasks.ic.task import Ic
from tasks.mathvista.task import MathVista
from tasks.pictos.benchmarks import PictosCaptions, PictosChair, PictosPope, caption_pool
from tasks.pictos.quiz import PictosGrounding, PictosMathVista, PictosScienceQA
from tasks.pictos.world import SPLITS
from tasks.pope.task import Pope
from tasks.scienceqa.task import ScienceQa, ScienceQaImg

TASKS: Mapping[str, Callable[[], Task]] = MappingProxyType(
    {
        "pictos_pope": PictosPope,
        "pictos_chair": PictosChair,
        "pictos_captions": PictosCaptions,
        "pictos_scienceqa": PictosScienceQA,
        "pictos_mathvista": PictosMathVista,
        "pictos_grounding": PictosGrounding,
        "pope": Pope,
        "chair": Chair,
        "scienceqa": ScienceQa,
        "scienceqa_img": ScienceQaImg,
        "mathvista": MathVista,
        "ic": Ic,
        "grounding": Grounding,
    }
)
"""Those that come with Strop; `harness.plugins` finds those of others."""

POOLS = ("pictos_captions", "pictos_chair")
"""Those of them that have a training pool: scenes of the embedded world, to be described."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """Tasks by name: ours, then other people's. `broken` are files that offer none, and `taken` those whose task has a
    name that is another's already, by that name: whoever asks for it must choose."""

    makers: Mapping[str, Callable[[], Task]]
    broken: tuple[Broken, ...] = ()
    taken: Mapping[str, Broken] = field(default_factory=dict)


def registered() -> Registered:
    """All that there is, with what of other people's cannot be used. Builds no task."""
    plugins = read_plugins(OFFER, TASKS)
    tasks = {name: partial(_made, plugin) for name, plugin in plugins.usable.items()}
    return Registered(makers={**TASKS, **tasks}, broken=plugins.broken, taken=plugins.taken)


def _tasks_of_file(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and callable(make) for name, make in value.items()
    ):
        raise UsageError("TASKS must be a dictionary of name -> what makes the task, such as its class")
    return value


OFFER = Offer(group="strop.tasks", variable="TASKS", noun="task", names=_tasks_of_file)
"""Other people's tasks: what an entry point is named, or a key of TASKS, is the task's name and leads to its maker."""


def _made(plugin: Plugin) -> Task:
    make = plugin.load()
    try:
        task = make()
        complete = isinstance(task, Task)  # which reads its properties
    except TypeError as error:
        raise UsageError(f"{plugin.origin}: task '{plugin.name}' cannot be made without arguments ({error})") from error
    except Exception as error:
        raise UsageError(
            f"{plugin.origin}: task '{plugin.name}' cannot be made ({type(error).__name__}: {error})"
        ) from error
    if not (complete and isinstance(task, Task)):
        missing = sorted(name for name in vars(Task) if not name.startswith("_") and not hasattr(task, name))
        raise UsageError(
            f"{plugin.origin}: what TASKS or the entry point calls '{plugin.name}' is no task: it lacks "
            f"{', '.join(missing)}"
        )
    if task.name != plugin.name:
        raise UsageError(
            f"{plugin.origin}: the task is listed as '{plugin.name}' and calls itself '{task.name}'; use one name"
        )
    return task


def known_tasks() -> Mapping[str, Callable[[], Task]]:
    """What makes each task, by name."""
    return registered().makers


def find_task(name: str) -> Task:
    """The task of that name; raises `UsageError` with the nearest name where there is none, or with the file that
    keeps it from being known."""
    every = registered()
    if name in every.taken:
        raise UsageError(every.taken[name].why)
    if name in every.makers:
        return every.makers[name]()
    if unusable := [*every.broken, *every.taken.values()]:
        raise UsageError(f"no task is called '{name}', and {'; '.join(one.why for one in unusable)}")
    near = difflib.get_close_matches(name, every.makers, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise UnknownTaskError(f"no task is called '{name}'{hint} (`strop tasks` lists them all)")


def usable_tasks() -> tuple[dict[str, Task], list[str]]:
    """(every task that can be built, by name; why each file or task that is here cannot be used)."""
    every = registered()
    tasks: dict[str, Task] = {}
    unusable = [broken.why for broken in (*every.broken, *every.taken.values())]
    for name, make in every.makers.items():
        try:
            tasks[name] = make()
        except UsageError as error:
            unusable.append(str(error))
    return tasks, unusable


class TasksByName(Mapping[str, Task]):
    """Every task, built when it is first asked for: one that cannot be built is in nobody else's way."""

    def __init__(self) -> None:
        self._built: dict[str, Task] = {}

    def __getitem__(self, name: str) -> Task:
        if name not in self._built:
            self._built[name] = find_task(name)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        every = registered()
        return name in every.makers or name in every.taken

    def __iter__(self) -> Iterator[str]:
        return iter(known_tasks())

    def __len__(self) -> int:
        return len(known_tasks())


def training_pool(source: str) -> WorldPool | OwnPool:
    """The training pool of a task, or of the pictures or pairs that KIND:PATH names (`tasks.data.pools`,
    `tasks.data.pairs`): nothing that tasks measure on. Raises `UsageError` for a task without one."""
    if source.startswith(GIVEN_PAIRS):
        return pair_pool(source, Path(source.removeprefix(GIVEN_PAIRS)).expanduser())
    if ":" in source:
        return own_pool(source)
    if source in POOLS:
        return WorldPool(name=source, size=len(SPLITS["pool"]), scenes=caption_pool)
    task = find_task(source)
    if not isinstance(task, Pooled):
        raise UsageError(
            f"task '{source}' has no training pool; these have one: {', '.join(POOLS)}; pictures of your own are one "
            "too: source=folder:PATH"
        )
    samples = tuple(task.pool())
    return OwnPool(source=source, samples=samples, has_gold=all(one.target is not None for one in samples))
