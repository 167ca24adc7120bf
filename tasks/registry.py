"""The tasks by name. A new benchmark is a folder, and a word in `BENCHMARKS`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from harness.autonomy import GIVEN_PAIRS
from harness.errors import UnknownTaskError, UsageError
from harness.types import Pooled, Task
from tasks.data.pairs import pair_pool
from tasks.data.pools import OwnPool, WorldPool, own_pool, task_pool
from tasks.data.sources import Source
from tasks.plugins import Broken, plugins

BENCHMARKS = ("pictos", "pope", "chair", "scienceqa", "mathvista", "ic", "grounding")
"""The folders of this package that are benchmarks. Each offers `TASKS`, as a file of a plug-in folder does, and lists
the data that it needs in its `sources.py`."""

Maker = Callable[[], Task]
"""A function or class without required arguments that makes a task."""


class _Offered(Mapping[str, Maker]):
    """The tasks that the folders of `BENCHMARKS` offer, by name. A folder is imported when its tasks are asked for:
    that of a name is the one whose own name the task's begins with."""

    def __getitem__(self, name: str) -> Maker:
        likely = sorted(BENCHMARKS, key=lambda folder: not f"{name}_".startswith(f"{folder}_"))
        for folder in likely:
            if name in (makers := _tasks_of(folder)):
                return makers[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for folder in BENCHMARKS for name in _tasks_of(folder))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _tasks_of(folder: str) -> Mapping[str, Maker]:
    makers: Mapping[str, Maker] = import_module(f"tasks.{folder}").TASKS
    return makers


TASKS: Mapping[str, Maker] = _Offered()
"""The tasks that come with Strop; `tasks.plugins` reads those of others."""


def all_sources() -> tuple[Source, ...]:
    """The files of other people's that the benchmarks need, benchmark by benchmark."""
    return tuple(source for folder in BENCHMARKS for source in import_module(f"tasks.{folder}.sources").SOURCES)


def sources_of(task: str) -> tuple[Source, ...]:
    """The files of a task; raises `UsageError` where no data of others are known for it."""
    sources = all_sources()
    chosen = tuple(source for source in sources if source.task == task)
    if not chosen:
        names = ", ".join(dict.fromkeys(source.task for source in sources))
        raise UsageError(f"no data are known for a task '{task}'; these need some: {names}")
    return chosen


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """Tasks by name: ours, then other people's. `broken` are files that offer none, and `taken` those whose task has a
    name that is another's already, by that name: whoever asks for it must choose."""

    makers: Mapping[str, Callable[[], Task]]
    broken: tuple[Broken, ...] = ()
    taken: Mapping[str, Broken] = field(default_factory=dict)


def registered() -> Registered:
    """All that there is, with what of other people's cannot be used. Builds no task."""
    makers: dict[str, Callable[[], Task]] = dict(TASKS)
    broken: list[Broken] = []
    taken: dict[str, Broken] = {}
    for plugin in plugins():
        if isinstance(plugin, Broken):
            broken.append(plugin)
        elif plugin.name in makers:
            why = f"{plugin.origin}: a task '{plugin.name}' is there already; give this one another name"
            taken[plugin.name] = Broken(origin=plugin.origin, why=why)
        else:
            makers[plugin.name] = plugin.make
    return Registered(makers=makers, broken=tuple(broken), taken=taken)


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
    task = find_task(source)
    if not isinstance(task, Pooled):
        pooled = sorted(name for name, make in TASKS.items() if hasattr(make, "pool"))
        raise UsageError(
            f"task '{source}' has no training pool; these have one: {', '.join(pooled)}; pictures of your own are one "
            "too: source=folder:PATH"
        )
    return task_pool(source, task.pool())
