"""Where the figures of a folder come from, as one tree of plain values; what differs between two such trees.

An id is a results folder, a run folder, one round of it (`runs/demo:2`), or the first digits of a weights digest that
one evaluation below the folder of runs has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError
from harness.files import read_json, read_jsonl
from harness.provenance import masked_value
from harness.results import read_results
from leaderboards.ledger import finished_rounds, read_recipe, recipe_digest

_FIGURE = ("value", "low", "high")
"""What of a figure must be the same; what else is told of it (its method) was not always written."""

_DIGITS = re.compile(r"[0-9a-f]{6,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What an id leads to. `rounds` are its evaluations, each the content of a results.json; a results folder that
    stands alone has one, None. `run` is the run's folder, None for such a folder."""

    folder: Path
    run: Path | None
    rounds: Mapping[int | None, Mapping[str, Any]]

    @property
    def recipe(self) -> Mapping[str, Any]:
        return read_recipe(self.run / "recipe.yaml") if self.run else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlike:
    """A value that two sides do not share; None where a side has none."""

    name: str
    a: Any
    b: Any


def find_origin(id: str, runs: Path = Path("runs")) -> Origin:
    """What `id` leads to; raises `UsageError` for one that leads nowhere, or to several evaluations."""
    path = Path(id)
    if path.is_dir():
        return _of_folder(path)
    folder, colon, number = id.rpartition(":")
    if colon and number.isdecimal() and Path(folder).is_dir():
        return _one_round(Path(folder), int(number))
    if _DIGITS.fullmatch(id):
        return _of_weights(id, runs)
    raise UsageError(
        f"{id}: no such folder; name a results folder, a run, a run's round like runs/demo:1, or at least 6 digits of "
        "the digest of its weights"
    )


def _of_folder(folder: Path) -> Origin:
    rounds = finished_rounds(folder)
    if rounds:
        return Origin(folder=folder, run=folder, rounds={n: _whole(path) for n, path in rounds.items()})
    if (folder / "results.json").is_file():
        return Origin(folder=folder, run=None, rounds={None: _whole(folder)})
    raise UsageError(f"{folder} is neither a run nor a results folder; name what `strop run` or `--out` wrote")


def _one_round(run: Path, number: int) -> Origin:
    rounds = finished_rounds(run)
    if number not in rounds:
        there = ", ".join(map(str, rounds)) or "none"
        raise UsageError(f"{run} has no finished evaluation of round {number} (it has {there})")
    return Origin(folder=rounds[number], run=run, rounds={number: _whole(rounds[number])})


def _of_weights(digits: str, runs: Path) -> Origin:
    found = [
        path.parent
        for path in sorted(runs.rglob("results.json"))
        if path.parent.name != "files"  # a grid's shared stage: the runs that have it are there too
        and str(read_evaluation(path.parent).get("digest")).startswith(digits)
    ]
    if not found:
        raise UsageError(f"{digits}: no evaluation below {runs} is of such weights; name another folder by --runs")
    if len(found) > 1:
        shown = ", ".join(map(str, found[:4])) + (", ..." if len(found) > 4 else "")
        raise UsageError(f"{digits}: {len(found)} evaluations below {runs} are of such weights; name one: {shown}")
    match = re.fullmatch(r"round-(\d+)", found[0].parent.name)
    return _one_round(found[0].parents[1], int(match[1])) if match else _of_folder(found[0])


def read_evaluation(folder: Path) -> Mapping[str, Any]:
    """The content of a results.json; raises `DataError` where it is none."""
    content = read_json(folder / "results.json")
    if not isinstance(content, dict) or not {"model", "digest", "tasks", "provenance"} <= content.keys():
        raise DataError(f"{folder / 'results.json'} is not a results file of this version; score the answers again")
    return content


def _whole(folder: Path) -> Mapping[str, Any]:
    """`read_evaluation` of a folder whose rows are whole; raises the errors of `harness.results.read_results`."""
    content = read_evaluation(folder)
    read_results(folder, figures=False)
    return content


# The tree -------------------------------------------------------------------------------------------------------------


def described(origin: Origin) -> dict[str, Any]:
    """All that is known of where the figures come from: recipe, weights, tasks, data, code, machine, command.

    Of a stage and of a further round only that provenance is told in which it is not the first one's.
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
        tree["stages"] = dict(_stages(origin, first["provenance"]))
    return tree


def _round(content: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    found = {
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
    other = _changed(content["provenance"], known)
    return {**found, "provenance": other} if other else found


def _stages(origin: Origin, known: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    assert origin.run is not None
    only = None if len(origin.rounds) > 1 else f"round-{next(iter(origin.rounds))}/"
    path = origin.run / "ledger.jsonl"
    for line in read_jsonl(path) if path.is_file() else ():
        if only is None or str(line.get("stage", "")).startswith(only):
            kept = {name: line.get(name) for name in ("inputs", "outputs", "finished", "cost")}
            other = _changed(line.get("provenance") or {}, known)
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


def _changed(found: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if known.get(name) != value}


# Two of them ----------------------------------------------------------------------------------------------------------


def unlike(a: Origin, b: Origin) -> list[Unlike]:
    """What two origins do not share, stages aside: they differ in their digests wherever anything else does."""
    one, two = (_leaves({**described(side), "stages": None}) for side in (a, b))
    names = dict.fromkeys((*one, *two))
    return [Unlike(name=name, a=one.get(name), b=two.get(name)) for name in names if one.get(name) != two.get(name)]


def unlike_figures(a: Origin, b: Origin) -> tuple[int, list[Unlike]]:
    """How many figures both sides have, and those that differ in any digit of value or interval."""
    one, two = figures_of(a), figures_of(b)
    shared = [name for name in one if name in two]
    unlike = [name for name in shared if any(one[name].get(part) != two[name].get(part) for part in _FIGURE)]
    return len(shared), [Unlike(name=name, a=one[name], b=two[name]) for name in unlike]


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
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _leaves(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found
