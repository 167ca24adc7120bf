"""A grid: a base recipe, the fields to vary, training seeds, a budget; unfolded into cells that are recipes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from harness.errors import RecipeError, UsageError
from harness.files import digest_of_json
from loops.documents import find_shipped, read_document, validated
from loops.kinds import Part
from loops.recipe import Recipe, load_recipe

LABELS = ("name", "level")
"""Fields of a recipe that name it and change no result."""

BASE = "base"
"""Varied, it is the recipe that a cell starts from, by name or path."""

SLUG_LENGTH = 80  # of a folder's name


Values = Annotated[list[Any], Field(min_length=1)]


class Vary(Part):
    """The settings to try: every combination (`grid`), those listed (`list`; with `grid`, each in every combination),
    or the base and one change at a time. The field `base` is another recipe to start from. Cells that have all that an
    entry of `except` says are left out."""

    grid: dict[str, Values] = Field(default_factory=dict)
    listed: list[dict[str, Any]] = Field(default_factory=list, alias="list")
    one_at_a_time: dict[str, Values] = Field(default_factory=dict)
    excepted: list[Annotated[dict[str, Any], Field(min_length=1)]] = Field(default_factory=list, alias="except")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.one_at_a_time) == bool(self.grid or self.listed):
            raise ValueError("vary takes either grid and list, one or both of them, or one_at_a_time")
        return self


class Budget(Part):
    """What one call of the command may start; None is no limit. Runs at work are let finish."""

    hours: float | None = Field(default=None, gt=0)
    runs: int | None = Field(default=None, ge=1)


class GridFile(Part):
    """The fields of a grid file."""

    base: str = Field(description="a recipe's name or path")
    changes: dict[str, Any] = Field(default_factory=dict, alias="set", description="changes to the base")
    vary: Vary
    seeds: list[int] = Field(default=[0], min_length=1)
    baseline: str | dict[str, Any] = Field(
        default_factory=dict, description="the cell that others are compared with: its name, or its changes to the base"
    )
    budget: Budget = Budget()
    show: list[str] = Field(default_factory=list, description="metrics of the tables, as task/metric")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One setting. `label` has the fields in which the cells differ, as text; where a list names its entries, the name
    stands for an entry's fields. `varied` says what the cell changes, `folder` is its name as a folder's; `changes`
    make the recipe in the file `base` into this cell's, as ``strop run --set`` takes them, and `recipe` is that."""

    name: str
    folder: str
    label: Mapping[str, str]
    varied: str
    base: Path
    changes: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A grid, unfolded. `baseline` names the cell that the others are compared with, None where there is none."""

    name: str
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    baseline: str | None
    budget: Budget
    show: tuple[tuple[str, str], ...]


def load_grid(path: Path, changes: Sequence[str] = ()) -> Grid:
    """Read a grid, with further changes to its base recipe, and unfold it; raises `RecipeError` by field or cell."""
    what = f"grid {path}"
    file = validated(GridFile, read_document(path, "grid"), what)
    common = (*_as_changes(file.changes), *changes)
    start = _Start(base=find_shipped(file.base, "recipe"), common=common, what=what)
    variations = [each for each in _variations(file.vary) if not any(map(each.has, file.vary.excepted))]
    if not variations:
        raise RecipeError(f"{what}: vary.except leaves no cell")
    fields = tuple(
        dict.fromkeys(field for variation in variations for field in variation.changes if field not in LABELS)
    )
    if "seed" in fields:
        raise RecipeError(f"{what}: vary names 'seed'; training seeds are their own field, e.g. seeds: [0, 1, 2]")
    cells = _cells(variations, fields, start)
    show = [name.partition("/") for name in file.show]
    if unclear := [name for name, (task, _, metric) in zip(file.show, show, strict=True) if not (task and metric)]:
        raise RecipeError(f"{what}: show {unclear[0]}: expected task/metric, e.g. pictos_chair/CHAIRi")
    if len(set(file.seeds)) < len(file.seeds):
        raise RecipeError(f"{what}: field 'seeds' names a training seed twice")
    return Grid(
        name=path.stem,
        cells=cells,
        seeds=tuple(file.seeds),
        baseline=_baseline(file.baseline, cells, fields, start),
        budget=file.budget,
        show=tuple((task, metric) for task, _, metric in show),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variation:
    """The changes of a cell and its name; `label` is the name of the list's entry that it comes from, where the list
    names its entries, and `columns` the fields that label it too."""

    name: str
    label: Mapping[str, str]
    columns: Sequence[str]
    changes: Mapping[str, Any]

    def has(self, changes: Mapping[str, Any]) -> bool:
        """Whether all of these are among its own."""
        return all(field in self.changes and self.changes[field] == value for field, value in changes.items())


def _variations(vary: Vary) -> list[_Variation]:
    if vary.one_at_a_time:
        single = [{field: value} for field, values in vary.one_at_a_time.items() for value in values]
        return [
            _Variation(name=_named(change), label={}, columns=list(vary.one_at_a_time), changes=change)
            for change in ({}, *single)
        ]
    named = any("name" in entry for entry in vary.listed)
    columns = list(dict.fromkeys([*([] if named else [field for entry in vary.listed for field in entry]), *vary.grid]))
    variations = []
    for entry in vary.listed or [{}]:
        own = str(entry.get("name", _named(entry)))
        for values in itertools.product(*vary.grid.values()):
            combination = dict(zip(vary.grid, values, strict=True))
            name = _named(combination, own) if named else _named({**entry, **combination})
            label = {"setting": own} if named else {}
            variations.append(_Variation(name=name, label=label, columns=columns, changes={**entry, **combination}))
    return variations


def _named(changes: Mapping[str, Any], *before: str) -> str:
    parts = [f"{field}={_text(value)}" for field, value in changes.items() if field not in LABELS]
    return ", ".join([*before, *parts]) or "base"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """What cells are made of: a recipe's file, the changes common to all, and how errors call the grid."""

    base: Path
    common: Sequence[str]
    what: str

    def changed(self, changes: Mapping[str, Any], name: str) -> tuple[Path, tuple[str, ...], Recipe]:
        """(the file, the changes as ``--set`` takes them, the recipe) of a cell."""
        own = {field: value for field, value in changes.items() if field != BASE}
        texts = (*self.common, *_as_changes({**own, "name": name}))
        try:
            base = find_shipped(str(changes[BASE]), "recipe") if BASE in changes else self.base
            return base, texts, load_recipe(base, texts)
        except (RecipeError, UsageError) as error:
            raise RecipeError(f"{self.what}, cell {name}: {error}") from error


def _cells(variations: Sequence[_Variation], fields: Sequence[str], start: _Start) -> tuple[Cell, ...]:
    unfolded: list[tuple[_Variation, Path, tuple[str, ...], Recipe, dict[str, Any]]] = []
    for variation in variations:
        base, changes, recipe = start.changed(variation.changes, variation.name)
        values = _values(base, recipe, fields)
        twin = next((other for other, *_, theirs in unfolded if theirs == values), None)
        if twin is None:
            unfolded.append((variation, base, changes, recipe, values))
        elif twin.name != "base":  # one at a time, the base's own value may be among those tried
            raise RecipeError(f"{start.what}: cells '{twin.name}' and '{variation.name}' are the same; leave one out")
    differing = {field for field in fields if any(values[field] != unfolded[0][-1][field] for *_, values in unfolded)}
    return tuple(
        Cell(
            name=variation.name,
            folder=_folder(variation.name, [other.name for other, *_ in unfolded]),
            label={
                **variation.label,
                **{field: _text(values[field]) for field in variation.columns if field in differing},
            },
            varied=_named(variation.changes),
            base=base,
            changes=changes,
            recipe=recipe,
        )
        for variation, base, changes, recipe, values in unfolded
    )


def _baseline(
    baseline: str | dict[str, Any], cells: Sequence[Cell], fields: Sequence[str], start: _Start
) -> str | None:
    if isinstance(baseline, str):
        name = next((cell.name for cell in cells if cell.name == baseline), None)
    else:
        fields = (*fields, *baseline)
        base, _, recipe = start.changed(baseline, "baseline")
        values = _values(base, recipe, fields)
        name = next((cell.name for cell in cells if _values(cell.base, cell.recipe, fields) == values), None)
    if baseline and name is None:
        raise RecipeError(
            f"{start.what}: no cell is the baseline {_text(baseline)}; there are {'; '.join(c.name for c in cells)}"
        )
    return name


def _values(base: Path, recipe: Recipe, fields: Sequence[str]) -> dict[str, Any]:
    """What the recipe has in these fields; None in those that it leaves to others' defaults."""
    document = {**recipe.model_dump(mode="json"), BASE: base.stem}
    values = {}
    for field in fields:
        value: Any = document
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        values[field] = value
    return values


def _as_changes(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{field}={json.dumps(value, default=str, ensure_ascii=False)}" for field, value in fields.items())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _folder(name: str, names: Sequence[str]) -> str:
    """The name without what a path or a shell reads otherwise, and unlike all others."""

    def slug(text: str) -> str:
        return re.sub(r"[^\w.=-]+", "-", text).strip("-.")[:SLUG_LENGTH]

    alone = [slug(other).casefold() for other in names].count(slug(name).casefold()) == 1
    return slug(name) if alone and slug(name) else f"{slug(name)}-{digest_of_json(name)[:8]}".lstrip("-")
