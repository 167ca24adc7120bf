"""What can be known to be wrong with a recipe before anything is asked of a model."""

from __future__ import annotations

from pathlib import Path

from harness.errors import RecipeError
from harness.pictures import open_picture, picture_digest
from loops.recipe import Recipe
from loops.setting import Pool, Setting

MOST_NAMES = 5
"""Of pictures in an error."""


def check_recipe(recipe: Recipe, setting: Setting, *, new: bool) -> None:
    """Raise `RecipeError` (or what the pool raises) for names that do not exist and, of a `new` run, for a pool that is
    too small, has no gold for the oracle or holds test pictures, and for settings that TRL would refuse."""
    tasks = recipe.evaluate.tasks if recipe.own_pictures else (recipe.source, *recipe.evaluate.tasks)
    if missing := [name for name in tasks if name not in setting.tasks]:
        raise RecipeError(f"no task is called '{missing[0]}'; there are {', '.join(setting.tasks)}")
    encoder = recipe.verify.encoder
    if (
        recipe.verify.kind == "clip"
        and not (setting.shipped(encoder) or Path(encoder).expanduser()).is_dir()
        and "::" not in encoder
    ):
        raise RecipeError(f"verify.encoder {encoder}: no such folder; name a shipped one or an ARCHITECTURE::TAG")
    if not recipe.rounds or not new:
        return
    pool = setting.pool(recipe.source)
    if recipe.verify.kind == "oracle" and not pool.has_gold:
        raise RecipeError(
            f"verify.kind oracle: source {recipe.source} has no right answers to judge by; take clip, or a task's pool"
        )
    pool.require(seed=recipe.seed, rounds=recipe.rounds, count=recipe.collect.samples)
    from loops.optimise.dpo import check_settings

    check_settings(recipe.optimise)
    if not pool.apart:
        _refuse_test_pictures(recipe, setting, pool)


def _refuse_test_pictures(recipe: Recipe, setting: Setting, pool: Pool) -> None:
    """Raise `RecipeError` where this run would train on pictures that it is measured on, by their pixels."""
    trained: dict[str, str] = {}
    for number in range(1, recipe.rounds + 1):
        for sample in pool.of_round(seed=recipe.seed, number=number, count=recipe.collect.samples):
            for picture in sample.images:
                trained[picture_digest([open_picture(picture)])] = str(sample.meta.get("picture", sample.id))
    for name in recipe.evaluate.tasks:
        samples = setting.tasks[name].samples(recipe.evaluate.split)
        pictures = dict.fromkeys(picture for sample in samples for picture in sample.images)
        tested = {picture_digest([open_picture(picture)]) for picture in pictures}
        if shared := sorted(trained[digest] for digest in trained.keys() & tested):
            names = ", ".join(shared[:MOST_NAMES]) + (", ..." if len(shared) > MOST_NAMES else "")
            raise RecipeError(
                f"source {recipe.source}: {len(shared)} of its pictures are {recipe.evaluate.split} pictures of {name} "
                f"({names}); take them out, or do not measure on it"
            )
