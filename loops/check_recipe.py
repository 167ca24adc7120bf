"""What can be known to be wrong with a recipe before anything is asked of a model.

Each part (`PARTS`) looks at some of a recipe's fields and nothing else, so that of many recipes each part is checked
once for what differs in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import RecipeError, StropError, UnknownTaskError
from harness.files import digest_of_json
from harness.pictures import open_picture, picture_digest
from harness.wording import counted
from loops.recipe import Recipe
from loops.setting import Pool, Setting

MOST_NAMES = 5
"""Of pictures in an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One thing to check: the fields that it depends on, and what does it. `check` returns a line about what was
    checked, and raises what is wrong."""

    fields: Callable[[Recipe], Any]
    check: Callable[[Recipe, Setting], str]


def check_recipe(
    recipe: Recipe, setting: Setting, *, new: bool, done: dict[str, str] | None = None
) -> Mapping[str, str]:
    """Raise `RecipeError` (or what tasks, pools, models and encoders raise) for names that do not exist and, of a `new`
    run, for whatever of it can be known not to work. Returns a line about each part that was checked.

    `done` holds what was checked of other recipes before, and is added to.
    """
    _check_names(recipe, setting)
    if not new:
        return {}
    done = {} if done is None else done
    lines: dict[str, str] = {}
    for name, part in PARTS.items():
        key = digest_of_json([name, part.fields(recipe)])
        if key not in done:
            done[key] = part.check(recipe, setting)
        if done[key]:
            lines[name] = done[key]
    return lines


def _check_names(recipe: Recipe, setting: Setting) -> None:
    tasks = recipe.evaluate.tasks if recipe.own_pictures else (recipe.source, *recipe.evaluate.tasks)
    for name in tasks:
        if name not in setting.tasks:
            raise RecipeError(_unknown_task(name, setting))
    encoder = recipe.verify.encoder
    if (
        recipe.verify.kind == "clip"
        and not (setting.shipped(encoder) or Path(encoder).expanduser()).is_dir()
        and "::" not in encoder
    ):
        raise RecipeError(f"verify.encoder {encoder}: no such folder; name a shipped one or an ARCHITECTURE::TAG")


def _unknown_task(name: str, setting: Setting) -> str:
    """That there is no such task; or what keeps it from being known, where a file of somebody's own does."""
    try:
        setting.tasks[name]
    except (KeyError, UnknownTaskError):
        pass
    except StropError as error:
        return str(error)
    return f"no task is called '{name}'; there are {', '.join(setting.tasks)}"


def _check_evaluation(recipe: Recipe, setting: Setting) -> str:
    """Its tasks are there, each once, with samples that can be marked."""
    from harness.profiles import details_of
    from harness.task_faults import samples_of, try_task

    asked = recipe.evaluate
    if not asked.tasks:
        raise RecipeError("evaluate.tasks: names no task, so nothing would be measured")
    if twice := next((name for name in asked.tasks if asked.tasks.count(name) > 1), None):
        raise RecipeError(f"evaluate.tasks: names {twice} twice; name it once")
    counts = []
    for name in asked.tasks:
        task = setting.tasks[name]
        samples = samples_of(task, asked.split)[: asked.limit]
        if not samples:
            raise RecipeError(f"evaluate.tasks: {name} has no samples in the split {asked.split}")
        try_task(task, samples, details_of(task, samples).metrics)
        counts.append(f"{name} ({counted(len(samples), 'sample')} of {asked.split})")
    return ", ".join(counts)


def _check_pairs(recipe: Recipe, setting: Setting) -> str:
    """What is collected, judged and selected can come to pairs."""
    if not recipe.rounds:
        return ""
    collect, verify, chosen = recipe.collect, recipe.verify, recipe.select
    unmixed = collect.h_ratio.mean <= 0 and not collect.h_ratio.std
    asked = collect.kind == "controlled_hallucination" and not recipe.given_pairs
    if asked and not collect.temperature and unmixed:
        raise RecipeError(
            f"collect.h_ratio {collect.h_ratio.mean:g}: at temperature 0 a hallucination mixed so is the answer "
            "itself, and no pair is left; raise it, or collect.temperature"
        )
    if recipe.given_pairs and collect.prompt is not None:
        raise RecipeError("collect.prompt: pairs have questions of their own, which were answered; leave it out")
    most = {"random": 1.0, "oracle": 1.0}.get(verify.kind)
    if most is not None and chosen.margin > most:
        raise RecipeError(
            f"select.margin {chosen.margin:g}: rewards of verify.kind {verify.kind} differ by {most:g} at most, so no "
            "pair is left; lower it"
        )
    if verify.kind == "shorter" and chosen.max_word_gap == 0:
        raise RecipeError(
            "select.max_word_gap 0: answers of as many words earn alike by verify.kind shorter, so no pair is left; "
            "raise it"
        )
    pool = setting.pool(recipe.source)
    if verify.kind == "oracle" and not pool.has_gold:
        raise RecipeError(
            f"verify.kind oracle: source {recipe.source} has no right answers to judge by; take clip, or a task's pool"
        )
    pool.require(seed=recipe.seed, rounds=recipe.rounds, count=recipe.collect.samples)
    return f"{counted(recipe.rounds, 'round')} of {counted(collect.samples, 'picture')} of {recipe.source}"


def _check_encoder(recipe: Recipe, setting: Setting) -> str:
    """The verifier's encoder loads, and gives a number."""
    if recipe.verify.kind != "clip" or not recipe.rounds:
        return ""
    from harness.models.encoder import load_encoder

    name = recipe.verify.encoder
    load_encoder(str(setting.shipped(name) or name))
    return f"{name} loads"


def _check_training(recipe: Recipe, setting: Setting) -> str:
    """A step of training can be taken with these settings."""
    if not recipe.rounds:
        return ""
    import dataclasses

    from harness.models.weights import model_folder
    from loops.optimise.trial import try_training

    samples = setting.pool(recipe.source).of_round(seed=recipe.seed, number=1, count=recipe.collect.samples)
    longest = max(samples, key=lambda sample: len(sample.prompt))
    if recipe.collect.prompt is not None:
        longest = dataclasses.replace(longest, prompt=recipe.collect.prompt)
    folder = setting.shipped(recipe.model) or model_folder(recipe.model)
    return try_training(recipe.optimise, folder, longest.blind(), pictures=recipe.pictures)


def _check_pictures(recipe: Recipe, setting: Setting) -> str:
    """This run trains on no picture that it is measured on, by their pixels."""
    if not recipe.rounds or setting.pool(recipe.source).apart:
        return ""
    trained = _trained_pictures(recipe, setting.pool(recipe.source))
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
    return f"{counted(len(trained), 'picture')}, none of which is measured on"


def _trained_pictures(recipe: Recipe, pool: Pool) -> dict[str, str]:
    """The names of the pictures of all rounds by the digests of their pixels."""
    trained: dict[str, str] = {}
    for number in range(1, recipe.rounds + 1):
        for sample in pool.of_round(seed=recipe.seed, number=number, count=recipe.collect.samples):
            for picture in sample.images:
                trained[picture_digest([open_picture(picture)])] = str(sample.meta.get("picture", sample.id))
    return trained


def _collected(recipe: Recipe) -> Sequence[Any]:
    return [recipe.source, recipe.seed, recipe.rounds, recipe.collect.samples, recipe.collect.prompt]


PARTS: Mapping[str, Part] = {
    "evaluation": Part(
        fields=lambda recipe: [recipe.evaluate.tasks, recipe.evaluate.split, recipe.evaluate.limit],
        check=_check_evaluation,
    ),
    "pairs": Part(
        fields=lambda recipe: [
            _collected(recipe), recipe.collect.as_input(), recipe.verify.kind, recipe.select.model_dump(),
        ],
        check=_check_pairs,
    ),
    "training": Part(
        fields=lambda recipe: [
            bool(recipe.rounds), recipe.model, recipe.pictures, recipe.source, recipe.collect.prompt,
            recipe.optimise.model_dump(),
        ],
        check=_check_training,
    ),
    "encoder": Part(
        fields=lambda recipe: [bool(recipe.rounds), recipe.verify.kind, recipe.verify.encoder], check=_check_encoder
    ),
    "pictures": Part(
        fields=lambda recipe: [_collected(recipe), recipe.evaluate.tasks, recipe.evaluate.split], check=_check_pictures
    ),
}  # fmt: skip
"""By the name under which `strop run --check` tells what was checked."""
