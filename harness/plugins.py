"""Plug-ins: what installed packages add to Strop, and what the Python files of a folder add.

A package offers something as an entry point of a group (`strop.tasks`, `strop.verifiers`, ...), a file by a variable of
its module (TASKS, VERIFIERS, ...). The folder's files are run, so only the folder that the user names is read:
`--plugin-path` or STROP_PLUGIN_PATH.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import UsageError

PLUGIN_PATH_VARIABLE = "STROP_PLUGIN_PATH"

OLDER_PATH_VARIABLE = "STROP_TASK_PATH"
"""Read where the other is not set: files that define TASKS were the first plug-ins."""

VARIABLES = ("TASKS", "COLLECTORS", "VERIFIERS", "SELECTORS", "OPTIMISERS", "FORMATS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One sort of plug-in: its entry points' `group`, its `variable` in a file, what one is called in messages (`noun`)
    and what `names` makes of the variable's value: the plug-ins by name. `names` raises `UsageError` that says what the
    value must be."""

    group: str
    variable: str
    noun: str
    names: Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A plug-in that may be used: its name, its origin, and `load`, which gives it or raises `UsageError`."""

    name: str
    origin: str
    load: Callable[[], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """A file that offers nothing because it is at fault, or a plug-in whose name is taken; and why."""

    origin: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugins:
    """The plug-ins of one sort. `broken` are files at fault, and `taken` maps a name to the plug-in that cannot have it
    because another has: whoever asks for that name gets an error."""

    usable: Mapping[str, Plugin] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()
    taken: Mapping[str, Broken] = field(default_factory=dict)


def read_plugins(offer: Offer, shipped: Mapping[str, Any]) -> Plugins:
    """The plug-ins of that sort beside those that come with Strop under the names in `shipped`; loads no package."""
    usable: dict[str, Plugin] = {}
    broken: list[Broken] = []
    taken: dict[str, Broken] = {}
    for plugin in _offered(offer):
        if isinstance(plugin, Broken):
            broken.append(plugin)
        elif plugin.name in usable or plugin.name in shipped:
            why = f"{plugin.origin}: a {offer.noun} '{plugin.name}' is there already; give this one another name"
            taken[plugin.name] = Broken(origin=plugin.origin, why=why)
        else:
            usable[plugin.name] = plugin
    return Plugins(usable=usable, broken=tuple(broken), taken=taken)


def _offered(offer: Offer) -> Iterator[Plugin | Broken]:
    for entry in sorted(entry_points(group=offer.group), key=lambda entry: entry.name):
        yield Plugin(name=entry.name, origin=f"entry point {entry.value}", load=partial(_load_entry, entry, offer))
    path = os.environ.get(PLUGIN_PATH_VARIABLE) or os.environ.get(OLDER_PATH_VARIABLE)
    if path:
        yield from _offered_in(Path(path).expanduser(), offer)


def _offered_in(folder: Path, offer: Offer) -> Iterator[Plugin | Broken]:
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no such folder; --plugin-path names one with Python files that define {', '.join(VARIABLES)}"
        )
    for path in sorted(folder.glob("*.py")):
        try:
            value = getattr(_module(path, path.stat().st_mtime_ns), offer.variable, None)
            plugins = {} if value is None else offer.names(value)
        except UsageError as error:
            yield Broken(origin=str(path), why=str(error) if str(path) in str(error) else f"{path}: {error}")
            continue
        for name, plugin in plugins.items():
            yield Plugin(name=name, origin=str(path), load=partial(_itself, plugin))


@lru_cache(maxsize=64)
def _module(path: Path, changed: int) -> ModuleType:
    """The module of a file, which is run once, and again when its time of change is another."""
    spec = importlib.util.spec_from_file_location(f"strop_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path}: does not load ({type(error).__name__}: {error})") from error
    return module


def _load_entry(entry: EntryPoint, offer: Offer) -> Any:
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        raise UsageError(f"{offer.noun} '{entry.name}': entry point {entry.value} does not load ({error})") from error


def _itself(plugin: Any) -> Any:
    return plugin
