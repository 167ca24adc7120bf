"""Other people's tasks: those of installed packages, and those in a folder that the user names.

A package offers a task as an entry point of the group `strop.tasks`, named as the task and leading to what makes it; a
folder holds Python files with `TASKS`, a dictionary of the same. The folder's files are run, so only what the user
names is looked into: `--task-path` or STROP_TASK_PATH.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from harness.errors import UsageError
from harness.types import Task

TASK_PATH_VARIABLE = "STROP_TASK_PATH"

GROUP = "strop.tasks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A task of somebody else's: its name, where it comes from, and what makes it (raises `UsageError`)."""

    name: str
    origin: str
    make: Callable[[], Task]


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """What would offer tasks and cannot: a file, and why."""

    origin: str
    why: str


def plugins() -> Iterator[Plugin | Broken]:
    """Those of installed packages, not imported yet, then those of the folder named by STROP_TASK_PATH."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        yield Plugin(name=entry.name, origin=f"entry point {entry.value}", make=partial(_load_entry, entry))
    named = os.environ.get(TASK_PATH_VARIABLE)
    if named:
        yield from _in_folder(Path(named).expanduser())


def _in_folder(folder: Path) -> Iterator[Plugin | Broken]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; --task-path names one with Python files that define TASKS")
    for path in sorted(folder.glob("*.py")):
        try:
            makers = _tasks_of(path, path.stat().st_mtime_ns)
        except UsageError as error:
            yield Broken(origin=str(path), why=str(error))
            continue
        for name, make in makers.items():
            yield Plugin(name=name, origin=str(path), make=partial(_made, name, str(path), make))


@lru_cache(maxsize=64)
def _tasks_of(path: Path, changed: int) -> Mapping[str, Callable[[], Task]]:
    """The TASKS of a file, which is run once and again when it has `changed`; helper files without any have none."""
    spec = importlib.util.spec_from_file_location(f"strop_task_path_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path}: does not load ({type(error).__name__}: {error})") from error
    found = getattr(module, "TASKS", {})
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and callable(make) for name, make in found.items()
    ):
        raise UsageError(f"{path}: TASKS must be a dictionary of name -> what makes the task, such as its class")
    return found


def _load_entry(entry: EntryPoint) -> Task:
    try:
        make = entry.load()
    except (Exception, SystemExit) as error:
        raise UsageError(f"task '{entry.name}': entry point {entry.value} does not load ({error})") from error
    return _made(entry.name, f"entry point {entry.value}", make)


def _made(name: str, origin: str, make: Callable[[], object]) -> Task:
    try:
        task = make()
        complete = isinstance(task, Task)  # which reads its properties
    except TypeError as error:
        raise UsageError(f"{origin}: task '{name}' cannot be made without arguments ({error})") from error
    except Exception as error:
        raise UsageError(f"{origin}: task '{name}' cannot be made ({type(error).__name__}: {error})") from error
    if not (complete and isinstance(task, Task)):
        wanted = sorted(part for part in vars(Task) if not part.startswith("_") and not hasattr(task, part))
        raise UsageError(
            f"{origin}: what TASKS or the entry point calls '{name}' is no task: it lacks {', '.join(wanted)}"
        )
    if task.name != name:
        raise UsageError(f"{origin}: the task is listed as '{name}' and calls itself '{task.name}'; use one name")
    return task
