"""The tasks by name. A new benchmark is a folder, and a word in `BENCHMARKS`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from harness.autonomy import GIVEN_PAIRS
from harness.errors import UnknownTaskError, UsageError
from harness.lm_eval_names import PREFIX
from harness.plugins import Offer, Plugin, Plugins, read_plugins
from harness.types import Pooled, Task
from harness.yardsticks import Yardstick
from tasks.data.pairs import pair_pool
from tasks.data.pools import OwnPool, WorldPool, own_pool, task_pool
from tasks.data.root import DataRoot
from tasks.data.sources import Source

BENCHMARKS = ("pictos", "pope", "chair", "scienceqa", "mathvista", "physics", "ic", "grounding")
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
            if name in (makers := _tasks_in(folder)):
                return makers[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for folder in BENCHMARKS for name in _tasks_in(folder))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _tasks_in(folder: str) -> Mapping[str, Maker]:
    makers: Mapping[str, Maker] = import_module(f"tasks.{folder}").TASKS
    return makers


TASKS: Mapping[str, Maker] = _Offered()
"""The tasks that come with Strop; `harness.plugins` reads those of others."""


def all_sources() -> tuple[Source, ...]:
    """The files of other people's that the benchmarks need, benchmark by benchmark."""
    return tuple(source for folder in BENCHMARKS for source in import_module(f"tasks.{folder}.sources").SOURCES)


def all_yardsticks() -> tuple[Yardstick, ...]:
    """The published measures that are the same as one of our tasks': those of each benchmark that has a
    `published.py`."""
    modules = [f"tasks.{folder}.published" for folder in BENCHMARKS]
    return tuple(yardstick for name in modules if find_spec(name) for yardstick in import_module(name).YARDSTICKS)


def sources_of(task: str) -> tuple[Source, ...]:
    """The files of a task; raises `UsageError` where no data of others are known for it."""
    sources = all_sources()
    chosen = tuple(source for source in sources if source.task == task)
    if not chosen:
        names = ", ".join(dict.fromkeys(source.task for source in sources))
        raise UsageError(f"no data are known for a task '{task}'; these need some: {names}")
    return chosen


def _tasks_of_file(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and callable(make) for name, make in value.items()
    ):
        raise UsageError("TASKS must be a dictionary of name -> what makes the task, such as its class")
    return value


OFFER = Offer(group="strop.tasks", variable="TASKS", noun="task", names=_tasks_of_file)
"""Other people's tasks: what an entry point is named, or a key of TASKS, is the task's name and leads to its maker."""


def _make(plugin: Plugin) -> Task:
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


def _plugins() -> Plugins:
    return read_plugins(OFFER, TASKS)


def known_tasks() -> Mapping[str, Maker]:
    """What makes each task, by name: ours, then other people's. Builds no task."""
    return {**TASKS, **{name: partial(_make, plugin) for name, plugin in _plugins().usable.items()}}


def find_task(name: str, data: DataRoot = DataRoot()) -> Task:
    """The task of that name, reading its data where `data` says; raises `UsageError` with the nearest name where there
    is none, or with the file that keeps it from being known."""
    if name.startswith(PREFIX):
        from harness.lm_eval_tasks import find_lm_eval_task  # lm-eval takes seconds to import

        return find_lm_eval_task(name)
    plugins = _plugins()
    if name in plugins.taken:
        raise UsageError(plugins.taken[name].why)
    if name in TASKS:
        return reading(TASKS[name](), data)
    if name in plugins.usable:
        return reading(_make(plugins.usable[name]), data)
    if unusable := [*plugins.broken, *plugins.taken.values()]:
        raise UsageError(f"no task is called '{name}', and {'; '.join(broken.why for broken in unusable)}")
    near = difflib.get_close_matches(name, [*TASKS, *plugins.usable], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise UnknownTaskError(f"no task is called '{name}'{hint} (`strop tasks` lists them all)")


def reading(task: Task, data: DataRoot) -> Task:
    """The task with `data` in its field `data_root`, if it is a dataclass that has one."""
    has_root = "data_root" in getattr(task, "__dataclass_fields__", ())
    return replace(cast(Any, task), data_root=data) if has_root else task


def usable_tasks(data: DataRoot = DataRoot()) -> tuple[dict[str, Task], list[str]]:
    """(every task that can be built, by name; why each file or task that is here cannot be used)."""
    plugins = _plugins()
    tasks: dict[str, Task] = {}
    unusable = [broken.why for broken in (*plugins.broken, *plugins.taken.values())]
    for name, make in known_tasks().items():
        try:
            tasks[name] = reading(make(), data)
        except UsageError as error:
            unusable.append(str(error))
    return tasks, unusable


class TasksByName(Mapping[str, Task]):
    """Every task, built when it is first asked for: one that cannot be built is in nobody else's way."""

    def __init__(self, data: DataRoot = DataRoot()) -> None:
        self._data = data
        self._built: dict[str, Task] = {}

    def __getitem__(self, name: str) -> Task:
        if name not in self._built:
            self._built[name] = find_task(name, self._data)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        plugins = _plugins()
        return name.startswith(PREFIX) or name in TASKS or name in plugins.usable or name in plugins.taken

    def __iter__(self) -> Iterator[str]:
        return iter(known_tasks())

    def __len__(self) -> int:
        return len(known_tasks())


def training_pool(source: str, data: DataRoot = DataRoot()) -> WorldPool | OwnPool:
    """The training pool of a task, or of the pictures or pairs that KIND:PATH names (`tasks.data.pools`,
    `tasks.data.pairs`): nothing that tasks measure on. Raises `UsageError` for a task without one."""
    if source.startswith(GIVEN_PAIRS):
        return pair_pool(source, Path(source.removeprefix(GIVEN_PAIRS)).expanduser())
    if ":" in source:
        return own_pool(source)
    task = find_task(source, data)
    if not isinstance(task, Pooled):
        pooled = sorted(name for name, make in TASKS.items() if hasattr(make, "pool"))
        raise UsageError(
            f"task '{source}' has no training pool; these have one: {', '.join(pooled)}; pictures of your own are one "
            "too: source=folder:PATH"
        )
    return task_pool(source, task.pool())
