"""The four places of a recipe that a kind fills, with the kinds that come with Strop and those of plug-ins."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from harness.errors import UsageError
from harness.plugins import Offer, Plugins, read_plugins
from loops import collect, optimise, select, verify
from loops.kinds import Collector, Kind, Optimiser, Selector, Verifier


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A field of the recipe, the class that all its kinds are of, those that come with Strop (the default first), and
    how plug-ins offer more: the group of entry points, and the variable of a file."""

    field: str
    base: type[Kind]
    shipped: tuple[type[Kind], ...]
    group: str
    variable: str

    def plugins(self) -> Plugins:
        offer = Offer(group=self.group, variable=self.variable, noun=f"{self.field}.kind", names=self._names)
        return read_plugins(offer, {name_of(kind): kind for kind in self.shipped})

    def _names(self, value: Any) -> Mapping[str, type[Kind]]:
        if not isinstance(value, tuple | list) or not all(map(self._is_kind, value)):
            raise UsageError(f"{self.variable} must be a tuple of classes of loops.kinds.{self.base.__name__}")
        return {name_of(kind): kind for kind in value}

    def _is_kind(self, value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, self.base) and bool(name_of(value))

    def kinds(self) -> list[type[Kind]]:
        """All that can be used; whatever keeps another from it is raised where that one is asked for."""
        plugins = self.plugins()
        kinds = list(self.shipped)
        for name in plugins.usable:
            with contextlib.suppress(UsageError):
                kinds.append(self._kind(name, plugins))
        return kinds

    def _kind(self, name: object, plugins: Plugins) -> type[Kind]:
        """The kind of that name; raises `UsageError` that names the others, or what keeps it from being used."""
        shipped = {name_of(kind): kind for kind in self.shipped}
        if not isinstance(name, str) or name not in {*shipped, *plugins.usable, *plugins.taken}:
            raise UsageError(f"input should be {_either([*shipped, *plugins.usable])}{_faults(plugins)}")
        if name in plugins.taken:
            raise UsageError(plugins.taken[name].why)
        if name in shipped:
            return shipped[name]
        plugin = plugins.usable[name]
        kind = plugin.load()
        if not self._is_kind(kind) or name_of(kind) != name:
            raise UsageError(
                f"{plugin.origin}: '{name}' is no class of loops.kinds.{self.base.__name__} whose kind is '{name}'"
            )
        checked: type[Kind] = kind
        return checked

    def read(self, value: Any) -> Any:
        """The part that these fields describe. Fields of other kinds of the slot are left out, so that a recipe's kind
        can be changed alone; raises `ValidationError` for others."""
        if not isinstance(value, Mapping):
            return value
        name = value.get("kind", name_of(self.shipped[0]))
        plugins = self.plugins()
        try:
            kind = self._kind(name, plugins)
        except UsageError as error:
            fault = PydanticCustomError("kind", "{why}", {"why": str(error)})
            details = InitErrorDetails(type=fault, loc=("kind",), input=name)
            raise ValidationError.from_exception_data(self.field, [details]) from error
        own = kind.model_fields.keys()
        others = {field for other in self.kinds() for field in other.model_fields} if value.keys() - own else set()
        return kind.model_validate({field: value[field] for field in value if field in own or field not in others})


def _either(names: Sequence[str]) -> str:
    *others, last = [f"'{name}'" for name in names]
    return f"{', '.join(others)} or {last}" if others else last


def _faults(plugins: Plugins) -> str:
    """What might be the plug-in that was meant."""
    return "".join(f", and {broken.why}" for broken in (*plugins.broken, *plugins.taken.values()))


def name_of(kind: type[Kind]) -> str:
    """The name by which a recipe asks for a kind; empty for a class that is none."""
    field = kind.model_fields.get("kind")
    return field.default if field and isinstance(field.default, str) else ""


COLLECT = Slot(field="collect", base=Collector, shipped=collect.KINDS, group="strop.collectors", variable="COLLECTORS")
VERIFY = Slot(field="verify", base=Verifier, shipped=verify.KINDS, group="strop.verifiers", variable="VERIFIERS")
SELECT = Slot(field="select", base=Selector, shipped=select.KINDS, group="strop.selectors", variable="SELECTORS")
OPTIMISE = Slot(
    field="optimise", base=Optimiser, shipped=optimise.KINDS, group="strop.optimisers", variable="OPTIMISERS"
)

SLOTS = (COLLECT, VERIFY, SELECT, OPTIMISE)
