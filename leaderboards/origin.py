"""Where the figures of a folder come from, as one tree of plain values; what differs between two such trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.provenance import masked_value
from harness.results import read_results
from harness.runs.ids import DEFAULT_RUNS, locate
from harness.runs.names import round_of
from harness.runs.reading import read_evaluation, read_ledger, read_recipe, recipe_digest
from harness.runs.watches import best_sentence, read_watched, stop_sentence

_COMPARED = ("value", "low", "high")
"""What of a figure must be the same; older files do not name its method."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What an ID leads to. `rounds` are its evaluations, each the content of a results.json; a results folder that
    stands alone has one, None. `run` is the run's folder, None for such a folder."""

    folder: Path
    run: Path | None
    rounds: Mapping[int | None, Mapping[str, Any]]

    @property
    def recipe(self) -> Mapping[str, Any]:
        return read_recipe(self.run) if self.run else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlike:
    """A value that two sides do not share; None where a side has none."""

    name: str
    a: Any
    b: Any


def find_origin(id: str, runs: Path = DEFAULT_RUNS) -> Origin:
    """Resolves an ID and reads what it leads to; raises the errors of `harness.runs.ids.locate` and those of
    `harness.results.read_results`."""
    location = locate(id, runs)
    rounds = {number: _whole(path) for number, path in location.rounds.items()}
    return Origin(folder=location.folder, run=location.run, rounds=rounds)


def _whole(folder: Path) -> Mapping[str, Any]:
    """`read_evaluation` of a folder whose rows are whole."""
    content = read_evaluation(folder)
    read_results(folder, figures=False)
    return content


# The tree -------------------------------------------------------------------------------------------------------------


def described(origin: Origin) -> dict[str, Any]:
    """The provenance of the figures: recipe, weights, tasks, data, code, machine, command.

    Of a stage and of a further round it lists only the provenance that differs from the first round's.
    """
    tree: dict[str, Any] = {}
    recipe = origin.recipe
    if recipe:
        tree |= {"recipe": _masked(recipe), "recipe_digest": recipe_digest(recipe)}
    first = next(iter(origin.rounds.values()))
    tree["provenance"] = dict(first["provenance"])
    rounds = {number: _round(content, first["provenance"]) for number, content in origin.rounds.items()}
    if len(rounds) == 1:
        tree |= next(iter(rounds.values()))
    else:
        tree["rounds"] = {str(number): content for number, content in rounds.items()}
    if origin.run:
        tree |= _watched(origin.run)
        tree["stages"] = dict(_stages(origin, first["provenance"]))
    return tree


def _watched(run: Path) -> dict[str, Any]:
    """Which checkpoint is the best on dev, why the run ended early if it did, and what its monitors read."""
    watched = read_watched(run)
    if not watched:
        return {}
    stopped = stop_sentence(run, read_recipe(run).get("stop_when") or ())
    readings = {
        str(number): {reading.monitor: {"fired": reading.fired, "why": reading.why} for reading in each.readings}
        for number, each in watched.items()
        if each.readings
    }
    return {"best": best_sentence(watched.values()), **({"stopped": stopped} if stopped else {}), "monitors": readings}


def _round(content: Mapping[str, Any], provenance: Mapping[str, Any]) -> dict[str, Any]:
    description = {
        "model": content["model"],
        "weights": content["digest"],
        "parent": content.get("parent"),
        "tasks": {
            task["task"]: {
                **{name: task.get(name) for name in ("version", "profile", "split", "n", "data", "sampling")},
                "info": {name: value for name, value in task.get("info", {}).items() if name != "lm_eval"},
            }
            for task in content["tasks"]
        },
    }
    other = _changed(content["provenance"], provenance)
    return {**description, "provenance": other} if other else description


def _stages(origin: Origin, provenance: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    assert origin.run is not None
    is_whole = origin.folder == origin.run and len(origin.rounds) > 1
    for line in read_ledger(origin.run):
        if is_whole or round_of(str(line.get("stage", ""))) in origin.rounds:
            kept = {name: line.get(name) for name in ("inputs", "outputs", "finished", "cost")}
            other = _changed(line.get("provenance") or {}, provenance)
            yield str(line.get("stage", "")), {**kept, "provenance": other} if other else kept


def _masked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without the secrets that TRL's settings may hold."""
    return {
        name: _masked(value)
        if isinstance(value, Mapping)
        else masked_value(name, value)
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }


def _changed(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if base.get(name) != value}


# Two of them ----------------------------------------------------------------------------------------------------------


def unlike(a: Origin, b: Origin) -> list[Unlike]:
    """What two origins do not share, stages aside: they differ in their digests wherever anything else does. What
    monitors read of a run follows from the rest."""
    without = dict.fromkeys(("stages", "best", "stopped", "monitors"))
    leaves_a, leaves_b = (_leaves({**described(side), **without}) for side in (a, b))
    names = dict.fromkeys((*leaves_a, *leaves_b))
    return [
        Unlike(name=name, a=leaves_a.get(name), b=leaves_b.get(name))
        for name in names
        if leaves_a.get(name) != leaves_b.get(name)
    ]


def unlike_figures(a: Origin, b: Origin) -> tuple[int, list[Unlike]]:
    """How many figures both sides have, and those that differ in any digit of value or interval."""
    figures_a, figures_b = figures_of(a), figures_of(b)
    shared = [name for name in figures_a if name in figures_b]
    unlike = [
        name for name in shared if any(figures_a[name].get(field) != figures_b[name].get(field) for field in _COMPARED)
    ]
    return len(shared), [Unlike(name=name, a=figures_a[name], b=figures_b[name]) for name in unlike]


def figures_of(origin: Origin) -> dict[str, Mapping[str, Any]]:
    """Every figure with its interval, by round, task and metric."""
    alone = len(origin.rounds) == 1
    return {
        " ".join((*([] if alone else [f"round {number}"]), task["task"], metric)): figure
        for number, content in origin.rounds.items()
        for task in content["tasks"]
        for metric, figure in task["metrics"].items()
    }


def _leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Every value of a tree that is no mapping, under its path with dots."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        leaves |= _leaves(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return leaves
