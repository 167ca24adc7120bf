"""Recipes and grids as files: read as YAML, changed by ``--set a.b=c``, validated with the field at fault named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import RecipeError, UsageError
from loops.slots import SLOTS

M = TypeVar("M", bound=BaseModel)


class _Yaml(yaml.SafeLoader):
    """YAML in which 1e-4 is the number that everyone means by it, not a text (PyYAML keeps to YAML 1.1)."""


_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


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


def validated(model: type[M], document: Mapping[str, Any], what: str) -> M:
    """The document as that model; raises `RecipeError` that says `what` it is and names the first field at fault."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise RecipeError(f"{what}: {_first_fault(error, model)}") from error


def shipped_files(kind: Literal["recipe", "grid"]) -> dict[str, Path]:
    """The files that come with Strop, by the names under which they are found."""
    return {file.stem: file for file in sorted((Path(__file__).parent / f"{kind}s").glob("*.yaml"))}


def find_shipped(name: str, kind: Literal["recipe", "grid"]) -> Path:
    """The file of that path, or the one that comes with Strop under that name; raises `UsageError`."""
    path = Path(name)
    if path.suffix or path.exists():
        return path
    files = shipped_files(kind)
    if name not in files:
        raise UsageError(
            f"{kind} {name}: no such file, and no {kind} of that name comes with Strop (there are {', '.join(files)})"
        )
    return files[name]


def apply_change(document: dict[str, Any], change: str) -> None:
    """Set a field of the document as ``key.sub=value`` says (the value is YAML); raises `RecipeError`."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {change}: expected key.sub=value")
    *above, last = key.split(".")
    group = document
    for name in above:
        inner = group.setdefault(name, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {change}: '{name}' is a value, not a group of fields")
        group = inner
    try:
        group[last] = yaml.load(value, _Yaml)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {change}: the value is not valid YAML") from error


def _first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    # A misspelt field is also a missing one: its name as it was written says more.
    fault = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    where = ".".join(str(name) for name in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _fields(model, fault["loc"][:-1]), n=1)
        return f"there is no field '{where}'" + (f"; did you mean '{near[0]}'?" if near else "")
    if fault["type"] == "missing":
        return f"field '{where}' is missing"
    if fault["type"] == "value_error":  # one of the recipe's own rules, which names its fields
        return str(fault["ctx"]["error"])
    return f"field '{where}' is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _fields(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The names of the fields at a path below a model, of all kinds that may stand there."""
    models: list[type[BaseModel]] = [model]
    for name in path:
        models = [inner for outer in models for inner in _inner(outer, str(name))]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _inner(model: type[BaseModel], name: str) -> Sequence[type[BaseModel]]:
    field = model.model_fields.get(name)
    inner = field.annotation if field else None
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        return []
    return next((slot.kinds() for slot in SLOTS if slot.base is inner), [inner])
