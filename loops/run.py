"""A run: the seed is measured, then rounds follow, and the checkpoint of each is watched and measured.

Each stage goes through the ledger with all that its result depends on. Models, encoders and trainers are loaded inside
the stage that needs them: a finished run is recognised without importing any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from harness.errors import RunError
from harness.files import write_text
from harness.models.weights import adapter_folder, model_digest
from harness.runs.names import ANSWERS, CHECKPOINT, MERGE, RECIPE, REPLIES, stage_name
from harness.types import Checkpoint
from loops.check_recipe import check_recipe
from loops.documents import read_document, validated
from loops.kinds import Round, Study
from loops.ledger import Done, Outcome, open_run
from loops.measuring import baseline_tasks, baselines, evaluation, wordy
from loops.model_cards import write_merged_card
from loops.recipe import Recipe
from loops.revisions import record_revisions, revisions_of
from loops.setting import Setting
from loops.stages import Stage, Stages, all_stages_stand, plan_stages, remembered, run_stages
from loops.watching import Watching, firing, watch_stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What a run came to: its checkpoints from the seed on, and how many stages were done now rather than before."""

    checkpoints: tuple[Checkpoint, ...]
    fresh_stages: int


def run_recipe(
    recipe: Recipe,
    out: Path,
    setting: Setting,
    *,
    answers: Path | None = None,
    shared: Path | None = None,
    checked: bool = False,
) -> Finished:
    """Run a recipe in a folder, or go on with it where it stopped. `answers` is a store to share with other runs,
    `shared` a folder of whole stages (`loops.shared`); `checked` says that `check_recipe` has been through it.

    A recipe that was mended goes on where what it changed is in no finished stage. Raises `RunError` where the folder
    belongs to another recipe, and `RecipeError` for what `loops.check_recipe` finds. What a stage raises says which one
    it is, and that those before it are kept.
    """
    differing = differing_fields(out, recipe)
    setting = replace(setting, revisions=revisions_of(recipe, setting, out, shared), replies=out / REPLIES)
    check_recipe(recipe, setting, new=not checked and differing != [])
    store = answers or out / ANSWERS
    with open_run(out, shared) as ledger:
        level = recipe.study(setting).level
        claim(out, recipe, level, lambda: all_stages_stand(stages_of(recipe, setting, store), ledger))
        record_revisions(setting.revisions, out, shared)
        checkpoints, fresh = run_stages(stages_of(recipe, setting, store), ledger)
        return Finished(checkpoints=checkpoints, fresh_stages=fresh)


def plan_recipe(recipe: Recipe, setting: Setting) -> Mapping[str, str]:
    """The stages of a recipe, each with a digest: where two recipes have one alike, they may share that stage."""
    return plan_stages(stages_of(recipe, setting, Path(ANSWERS)))


def stages_of(recipe: Recipe, setting: Setting, answers: Path) -> Stages[tuple[Checkpoint, ...]]:
    """All stages of a run, and in the end its checkpoints from the seed on."""
    study, measured = recipe.study(setting), recipe.evaluate
    folder = study.seed_folder
    adapter = adapter_folder(setting.pinned(recipe.adapter)) if recipe.adapter else None
    seed = Checkpoint(path=folder, digest=model_digest(folder, *filter(None, [adapter])))
    if adapter and recipe.rounds:
        merged = yield _merge(study, seed, adapter)
        seed, adapter = merged.checkpoint(None), None
    before = yield evaluation(study, measured, 0, seed, adapter, answers)
    if tasks := baseline_tasks(study, measured):
        yield baselines(study, measured, tasks, seed, adapter, before, answers)
    yield from wordy(study, measured, seed, adapter, answers)
    watching = None
    if recipe.watch and recipe.rounds:
        watching = Watching(study=study, watch=recipe.watch, measured=measured, seed=seed, answers=answers)
    watches = [(yield watch_stage(watching, 0, seed, adapter, (), {}))] if watching else []
    checkpoints = [seed]
    for number in range(1, recipe.rounds + 1):
        start, done = Round(study=study, number=number, seed=seed, start=checkpoints[-1]), dict[str, Done]()
        checkpoints.append((yield from remembered(study.optimise.round(start), done)))
        if watching:
            watches.append((yield watch_stage(watching, number, checkpoints[-1], None, tuple(watches), done)))
        is_last = number == recipe.rounds or any(firing(each, recipe.stop_when) for each in watches[-1:])
        if measured.rounds == "all" or is_last:
            yield evaluation(study, measured, number, checkpoints[-1], None, answers)
        if is_last:
            break
    return tuple(checkpoints)


def _merge(study: Study, seed: Checkpoint, adapter: Path) -> Stage:
    """The seed with its adapter, saved whole, since rounds train and refer to whole checkpoints."""

    def work(folder: Path) -> Outcome:
        vlm = study.load_model(seed.path, adapter=adapter)
        vlm.model.save_pretrained(folder / CHECKPOINT)
        vlm.processor.save_pretrained(folder / CHECKPOINT)
        write_merged_card(study, adapter, folder)
        return Outcome(facts={}, cost={})

    dtype = {name: value for name, value in study.asking.items() if name == "dtype"}  # what is saved is of this type
    return Stage(name=stage_name(0, MERGE), inputs={"model": seed.digest, **dtype}, work=work)


def claim(out: Path, recipe: Recipe, level: str, all_stand: Callable[[], bool] = lambda: False) -> None:
    """Write the recipe into the folder with its level, or see that it is the one that is there, or that `all_stand`:
    all finished stages are its own too."""
    if (differing := differing_fields(out, recipe)) and not all_stand():
        raise RunError(
            f"{out} holds a run of another recipe (it differs in {', '.join(differing)}); name another --out"
        )
    fields = recipe.model_dump(mode="json")
    filed = {"name": fields.pop("name"), "level": level, **fields}
    write_text(out / RECIPE, yaml.safe_dump(filed, sort_keys=False))


def differing_fields(out: Path, recipe: Recipe) -> list[str] | None:
    """The fields in which the recipe filed in a folder is another, None where none is filed; more rounds may be asked
    for. Recipes are compared as they are understood: a field that was added since has its default in both."""
    path = out / RECIPE
    if not path.exists():
        return None
    filed = validated(Recipe, read_document(path, "recipe"), f"recipe {path}")
    names = [name for name in Recipe.model_fields if getattr(filed, name) != getattr(recipe, name)]
    return [name for name in names if name != "rounds"]
