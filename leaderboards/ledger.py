"""What a board is rendered from: run folders with their ledger, and results folders that stand alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import DataError
from harness.files import digest_of_json, read_jsonl
from harness.results import Results, read_results

COST_FIRST = (
    "seconds", "forward_passes", "forward_tokens", "picture_tokens", "twin_tokens", "trained_tokens",
    "generated_tokens", "verifier_passes", "verifier_pictures", "verifier_texts", "verifier_seconds",
    "peak_memory_mb", "peak_device_memory_mb",
)  # fmt: skip
"""The costs that a board shows in this order; whatever else a stage recorded follows in the order of the names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One finished stage of a run. `cost` maps a name to a number in the unit that the name says; `facts` are the
    stage's own counts, e.g. of the pairs selected; `shared_cost` is what it took the run that did it, where this one
    only took it over."""

    name: str
    cost: Mapping[str, float]
    finished: str
    facts: Mapping[str, float] = field(default_factory=dict)
    shared_cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run folder, or a results folder that stands alone (`recipe` and `stages` empty, its one round is None)."""

    folder: Path
    name: str
    recipe: Mapping[str, Any]
    rounds: Mapping[int | None, Results]
    stages: tuple[Stage, ...]
    level: str = ""

    @property
    def seed(self) -> str | None:
        """The training seed as text; None where there is no recipe that names one."""
        value = self.recipe.get("seed")
        return None if value is None else str(value)

    @property
    def verifier(self) -> str:
        """The kind of verifier; a recipe may give it as a word, as a mapping with `kind`, or as a list of either."""
        return _kind(self.recipe.get("verify"))


def cost_names(stages: Iterable[Stage]) -> tuple[str, ...]:
    """The names of all that these stages cost, those of `COST_FIRST` first."""
    recorded = {name for stage in stages for name in stage.cost}
    return (*(name for name in COST_FIRST if name in recorded), *sorted(recorded.difference(COST_FIRST)))


LevelOf = Callable[[Mapping[str, Any]], str]
"""The autonomy level that follows from a recipe's fields; older runs file what somebody typed."""


def filed_level(recipe: Mapping[str, Any]) -> str:
    """The level as a run filed it."""
    return str(recipe.get("level") or "")


def read_run(folder: Path, level_of: LevelOf = filed_level) -> Run:
    """Read a run folder or a results folder; raises `DataError` naming the folder, what is missing and the remedy."""
    rounds: dict[int | None, Results] = {n: read_results(path) for n, path in finished_rounds(folder).items()}
    if rounds:
        recipe = read_recipe(folder / "recipe.yaml")
        return Run(
            folder=folder,
            name=str(recipe.get("name") or folder.resolve().name),
            recipe=recipe,
            rounds=rounds,
            stages=read_stages(folder / "ledger.jsonl"),
            level=level_of(recipe),
        )
    if (folder / "results.json").is_file():
        return Run(folder=folder, name=folder.resolve().name, recipe={}, rounds={None: read_results(folder)}, stages=())
    if (folder / "recipe.yaml").is_file() or (folder / "ledger.jsonl").is_file():
        raise DataError(f"{folder} is a run without a finished evaluation; let `strop run` go on until round-0/eval")
    raise DataError(
        f"{folder} is neither a run nor a results folder (no round-0/eval/results.json, no results.json); name folders "
        "that `strop run`, `strop eval --out` or `strop score --out` wrote"
    )


def finished_rounds(folder: Path) -> dict[int, Path]:
    """The evaluations of a run folder that are whole, by round; empty for anything else."""
    found = {}
    for path in folder.glob("round-*/eval/results.json"):
        if match := re.fullmatch(r"round-(\d+)", path.parents[1].name):
            found[int(match[1])] = path.parent
    return dict(sorted(found.items()))


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """SHA-256 of a recipe's fields, empty for none; asking for more rounds makes another recipe."""
    return digest_of_json(recipe) if recipe else ""


def read_recipe(path: Path) -> Mapping[str, Any]:
    """The fields of a recipe file, none where there is no file; raises `DataError` where it is no recipe."""
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid YAML ({' '.join(str(error).split())}); restore it from the run") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a recipe is a mapping of fields, this is a {type(content).__name__}")
    return content


def read_stages(path: Path) -> tuple[Stage, ...]:
    """The finished stages of a run's ledger, in its order; none where there is no such file."""
    if not path.is_file():
        return ()
    return tuple(
        Stage(
            name=str(line.get("stage", "")),
            cost=_numbers(line.get("cost")),
            finished=str(line.get("finished") or ""),
            facts=_numbers(line.get("facts")),
            shared_cost=_numbers(line.get("shared_cost")),
        )
        for line in read_jsonl(path)
    )


def _numbers(found: Any) -> dict[str, float]:
    return {
        key: value
        for key, value in (found or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _kind(verify: Any) -> str:
    if isinstance(verify, Mapping):
        return str(verify.get("kind") or "")
    if isinstance(verify, list):
        return " + ".join(_kind(one) for one in verify)
    return "" if verify is None else str(verify)
