"""Reads what a run folder or a results folder holds: the recipe as filed, the ledger's stages, the rounds' results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import DataError
from harness.files import digest_of_json, read_json
from harness.lines import read_lines
from harness.results import Results, read_results
from harness.runs.ids import Location
from harness.runs.names import LEDGER, RECIPE, RESULTS, round_of
from harness.runs.watches import Watched, read_watched

STAGE_FIELDS = ("stage",)
"""What every line of a ledger has."""

COST_FIRST = (
    "seconds", "forward_passes", "forward_tokens", "picture_tokens", "twin_tokens", "trained_tokens",
    "generated_tokens", "estimated_flops", "verifier_passes", "verifier_pictures", "verifier_texts", "verifier_seconds",
    "judge_replies", "endpoint_answers", "endpoint_prompt_tokens", "endpoint_generated_tokens", "price",
    "peak_memory_mb", "peak_device_memory_mb",
)  # fmt: skip
"""The costs that are shown first, in this order; the others follow in the order of their names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One finished stage of a run. `cost` maps a name to a number in the unit that the name gives; `facts` are the
    stage's own counts, e.g. of the pairs selected; `shared_cost` is what a shared stage cost the run that did it."""

    name: str
    cost: Mapping[str, float]
    finished: str
    facts: Mapping[str, float] = field(default_factory=dict)
    shared_cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run folder, some rounds of one, or a results folder that stands alone (`recipe` and `stages` empty, its only
    round is None). `watched` is what the monitors of a whole run read, by round."""

    folder: Path
    name: str
    recipe: Mapping[str, Any]
    rounds: Mapping[int | None, Results]
    stages: tuple[Stage, ...]
    level: str = ""
    watched: Mapping[int, Watched] = field(default_factory=dict)

    @property
    def seed(self) -> str | None:
        """The training seed as text; None where no recipe names one."""
        value = self.recipe.get("seed")
        return None if value is None else str(value)

    @property
    def verifier(self) -> str:
        """The kind of verifier; a recipe may give it as a word, as a mapping with `kind`, or as a list of either."""
        return _kind(self.recipe.get("verify"))


LevelOf = Callable[[Mapping[str, Any]], str]
"""Gives the autonomy level of a recipe's fields; an old run may have filed another."""


def filed_level(recipe: Mapping[str, Any]) -> str:
    """The level as a run filed it."""
    return str(recipe.get("level") or "")


def read_run(location: Location, level_of: LevelOf = filed_level) -> Run:
    """Reads the recipe, the stages and the marked answers of the rounds that an ID names; raises `DataError` naming the
    file that is broken."""
    rounds = {number: read_results(path) for number, path in location.rounds.items()}
    if location.run is None:
        return Run(folder=location.folder, name=location.folder.resolve().name, recipe={}, rounds=rounds, stages=())
    recipe = read_recipe(location.run)
    stages = read_stages(location.run)
    return Run(
        folder=location.run,
        name=str(recipe.get("name") or location.run.resolve().name),
        recipe=recipe,
        rounds=rounds,
        stages=stages if location.is_whole else tuple(each for each in stages if round_of(each.name) in rounds),
        level=level_of(recipe),
        watched=read_watched(location.run) if location.is_whole else {},
    )


def read_evaluation(folder: Path) -> Mapping[str, Any]:
    """The content of a results folder's results.json; raises `DataError` where it has not what every such file has."""
    content = read_json(folder / RESULTS)
    if not isinstance(content, dict) or not {"model", "digest", "tasks", "provenance"} <= content.keys():
        raise DataError(f"{folder / RESULTS} is not a results file of this version; score the answers again")
    return content


def read_recipe(run: Path) -> Mapping[str, Any]:
    """The fields of the recipe filed in a run's folder, none where none is filed; raises `DataError` where the file is
    no recipe."""
    path = run / RECIPE
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid YAML ({' '.join(str(error).split())}); restore it from the run") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a recipe is a mapping of fields, this is a {type(content).__name__}")
    return content


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """SHA-256 of a recipe's fields, empty for none; more rounds make another recipe."""
    return digest_of_json(recipe) if recipe else ""


def read_ledger(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's ledger, one a finished stage in order of time; none where there is no ledger.

    A stage that was done again has a line for each time. A last line that a kill cut off is passed over. Raises
    `DataError` naming a line that is damaged.
    """
    path = run / LEDGER
    return read_lines(path, STAGE_FIELDS) if path.is_file() else []


def read_stages(run: Path) -> tuple[Stage, ...]:
    """The finished stages of a run, in the ledger's order."""
    return tuple(
        Stage(
            name=str(line.get("stage", "")),
            cost=_numbers(line.get("cost")),
            finished=str(line.get("finished") or ""),
            facts=_numbers(line.get("facts")),
            shared_cost=_numbers(line.get("shared_cost")),
        )
        for line in read_ledger(run)
    )


def cost_names(stages: Iterable[Stage]) -> tuple[str, ...]:
    """The names of all costs of these stages, those of `COST_FIRST` first."""
    recorded = {name for stage in stages for name in stage.cost}
    return (*(name for name in COST_FIRST if name in recorded), *sorted(recorded.difference(COST_FIRST)))


def _numbers(values: Any) -> dict[str, float]:
    return {
        key: value
        for key, value in (values or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _kind(verify: Any) -> str:
    if isinstance(verify, Mapping):
        return str(verify.get("kind") or "")
    if isinstance(verify, list):
        return " + ".join(map(_kind, verify))
    return "" if verify is None else str(verify)
