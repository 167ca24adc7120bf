"""Runs a recipe: `strop run`, and `strop.run` in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.tables import Frame
    from harness.types import Checkpoint
    from loops.recipe import Recipe
    from loops.setting import Setting
    from strop.evaluation import Evaluation
    from tasks.data.root import DataRoot


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A finished run: its folder, its checkpoints from the seed on, how many stages were computed by this call rather
    than before, and notes on rounds that changed nothing or silenced the model."""

    folder: Path
    checkpoints: tuple[Checkpoint, ...]
    fresh_stages: int
    notes: tuple[str, ...]

    def evaluations(self) -> dict[int, Evaluation]:
        """The evaluation of each round, the seed's as round 0."""
        from leaderboards.ledger import finished_rounds
        from strop.evaluation import read_evaluation

        return {number: read_evaluation(folder) for number, folder in finished_rounds(self.folder).items()}

    def frame(self) -> Frame:
        """The figures of all rounds as a pandas frame, a row a round and metric."""
        from harness.tables import frame_of
        from strop.evaluation import FIGURE_COLUMNS

        rounds = self.evaluations().items()
        return frame_of(
            ({"round": number, **row} for number, evaluation in rounds for row in evaluation.figure_rows()),
            ("round", *FIGURE_COLUMNS),
        )


def run(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    changes: Mapping[str, Any] | Sequence[str] = (),
    answers: str | Path | None = None,
    shared: str | Path | None = None,
    data: str | Path | None = None,
    plugin_path: str | Path | None = None,
    progress: bool = False,
) -> Run:
    """Hone a model by a recipe, round by round, and measure every round. The same call continues a run that stopped.

    `recipe` is a file, the name of one that comes with Strop (judge_free), or a loaded one; `changes` are fields of it,
    such as ``{"rounds": 1, "collect.samples": 200}``. `answers` is a file of stored answers and `shared` a folder of
    whole stages to share with other runs. `data`, `plugin_path` and `progress` are as in `evaluate`.

    Raises `harness.errors.RecipeError` for what is wrong with the recipe, `RunError` where the folder belongs to
    another one.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import strop
        >>> only_measure = {"rounds": 0, "evaluate.tasks": ["pictos_pope"], "evaluate.limit": 12}
        >>> with TemporaryDirectory() as folder:
        ...     finished = strop.run("judge_free", folder, changes=only_measure)
        ...     finished.frame().query("headline")[["round", "task", "metric", "n"]].to_dict("records")
        [{'round': 0, 'task': 'pictos_pope', 'metric': 'macro/f1', 'n': 12}]
    """
    from strop.places import data_root, set_plugin_path

    set_plugin_path(plugin_path)
    return run_opened(
        open_recipe(recipe, changes),
        Path(out).expanduser(),
        data_root(data),
        answers=Path(answers) if answers else None,
        shared=Path(shared) if shared else None,
        progress=progress,
    )


def run_opened(
    recipe: Recipe,
    folder: Path,
    data: DataRoot,
    *,
    answers: Path | None = None,
    shared: Path | None = None,
    progress: bool = False,
    checked: bool = False,
) -> Run:
    """Run a loaded recipe in a folder, with tasks that read `data`; `checked` says that `loops.check_recipe` has passed
    it."""
    from loops.notes import notes_of_run
    from loops.run import run_recipe

    finished = run_recipe(recipe, folder, setting(data, progress), answers=answers, shared=shared, checked=checked)
    return Run(
        folder=folder,
        checkpoints=finished.checkpoints,
        fresh_stages=finished.fresh_stages,
        notes=tuple(notes_of_run(folder)),
    )


def open_recipe(
    recipe: str | Path | Recipe, changes: Mapping[str, Any] | Sequence[str] = (), *, of_grid: bool = False
) -> Recipe:
    """The recipe of a file or of a shipped name, with some fields changed.

    Raises `RecipeError` naming the field, and `UsageError` for test pictures that only a grid may open (`of_grid`).
    """
    from loops.documents import find_shipped
    from loops.recipe import Recipe, load_recipe
    from loops.reserve import refuse_reserve

    if isinstance(changes, Mapping):
        changes = [f"{field}={json.dumps(value)}" for field, value in changes.items()]
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(find_shipped(str(recipe), "recipe"), changes)
    if not of_grid:
        refuse_reserve(loaded.evaluate.split, "strop run")
    return loaded


def setting(data: DataRoot, progress: bool = True) -> Setting:
    """Tasks, pools and models as this installation has them, with progress bars or without."""
    from functools import partial

    from loops.setting import Setting
    from strop.progress import progress_bars
    from tasks.pictos.models import shipped
    from tasks.registry import TasksByName, training_pool

    return Setting(
        tasks=TasksByName(data),
        pool=cache(partial(training_pool, data=data)),
        shipped=shipped,
        bars=partial(progress_bars, progress),
    )
