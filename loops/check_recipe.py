"""Checks a recipe before a model is asked anything.

Each trial names what it depends on, so that of many recipes each thing is tried once. The parts of a recipe bring their
own trials (`loops.kinds.Kind.trials`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from harness.errors import RecipeError, StropError, UnknownTaskError
from harness.files import digest_of_json
from harness.wording import counted
from loops.kinds import Study, Trial
from loops.monitors.settings import Watch
from loops.recipe import Evaluate, Recipe
from loops.setting import Setting
from loops.watching import watched_tasks

MOST_NAMES = 5
"""Of pictures in an error."""


def check_recipe(
    recipe: Recipe, setting: Setting, *, new: bool, done: dict[str, str] | None = None
) -> Mapping[str, str]:
    """Raise `RecipeError` (or what tasks, pools, models and encoders raise) for names that do not exist and, of a `new`
    run, for what of it cannot work. Returns a line about each thing that was tried.

    `done` holds the outcomes for other recipes before, and is added to.
    """
    _refuse_unknown_tasks(recipe, setting)
    study = recipe.study(setting)
    for kind in (study.collect, study.verify, study.select, study.optimise) if recipe.rounds else ():
        kind.refuse(study)
    if not new:
        return {}
    done = {} if done is None else done
    lines: dict[str, str] = {}
    for name, trial in _trials(recipe, study).items():
        key = digest_of_json([name, trial.depends])
        if key not in done:
            done[key] = trial.run()
        if done[key]:
            lines[name] = done[key]
    return lines


def _trials(recipe: Recipe, study: Study) -> dict[str, Trial]:
    """By the name under which `strop run --check` tells of it."""
    measured = recipe.evaluate
    trials = {
        "evaluation": Trial(
            depends=[measured.tasks, measured.split, measured.limit], run=partial(_check_evaluation, measured, study)
        )
    }
    if not recipe.rounds:
        return trials
    watched: list[object] = []
    if watch := recipe.watch:
        watched = [watch.tasks or measured.tasks, watch.guard, watch.split]
        depends = [*watched, watch.choose_by]
        trials["watch"] = Trial(depends=depends, run=partial(_check_watch, watch, measured, study))
    collected = [study.source, study.seed, study.rounds, study.collect.samples, study.collect.prompt]
    trials["pairs"] = Trial(depends=collected, run=partial(_check_pool, study))
    for kind in (study.collect, study.select, study.optimise, study.verify):
        trials |= kind.trials(study)
    allowed = recipe.allow_overlap
    depends = [collected, measured.tasks, measured.split, *watched, allowed]
    trials["pictures"] = Trial(depends=depends, run=partial(_check_pictures, measured, watch, allowed, study))
    return trials


def _refuse_unknown_tasks(recipe: Recipe, setting: Setting) -> None:
    watched = (*(recipe.watch.tasks or ()), *recipe.watch.guard) if recipe.watch else ()
    for name in (*([] if recipe.own_pictures else [recipe.source]), *recipe.evaluate.tasks, *watched):
        if name not in setting.tasks:
            raise RecipeError(_unknown_task(name, setting))


def _unknown_task(name: str, setting: Setting) -> str:
    """That there is no such task; or what keeps it from being known, where a file of somebody's own does."""
    try:
        setting.tasks[name]
    except (KeyError, UnknownTaskError):
        pass
    except StropError as error:
        return str(error)
    return f"no task is called '{name}'; there are {', '.join(setting.tasks)}"


def _check_evaluation(measured: Evaluate, study: Study) -> str:
    """Its tasks are there, each once, with samples that can be marked."""
    from harness.profiles import details_of
    from harness.task_faults import samples_of, try_task

    if not measured.tasks:
        raise RecipeError("evaluate.tasks: names no task, so nothing would be measured")
    if twice := next((name for name in measured.tasks if measured.tasks.count(name) > 1), None):
        raise RecipeError(f"evaluate.tasks: names {twice} twice; name it once")
    counts = []
    for name in measured.tasks:
        task = study.setting.tasks[name]
        samples = samples_of(task, measured.split)[: measured.limit]
        if not samples:
            raise RecipeError(f"evaluate.tasks: {name} has no samples in the split {measured.split}")
        try_task(task, samples, details_of(task, samples).metrics)
        counts.append(f"{name} ({counted(len(samples), 'sample')} of {measured.split})")
    return ", ".join(counts)


def _check_watch(watch: Watch, measured: Evaluate, study: Study) -> str:
    """Tasks that are named for watching have the split, and the one that checkpoints are chosen by is among them."""
    tasks = watched_tasks(study, watch, measured)
    names = [task.name for task, _ in tasks if task.name not in watch.guard]
    if watch.choose_by is not None and watch.choose_by not in names:
        raise RecipeError(f"watch.choose_by: {watch.choose_by} is not among {', '.join(names) or 'the watched tasks'}")
    listed = ", ".join(f"{task.name} ({split})" for task, split in tasks)
    return listed or f"no measured task has the split {watch.split}: monitors read the data alone"


def _check_pool(study: Study) -> str:
    """The pool has samples for every round."""
    study.pool.require(seed=study.seed, rounds=study.rounds, count=study.collect.samples)
    return f"{counted(study.rounds, 'round')} of {counted(study.collect.samples, 'sample')} of {study.source}"


def _check_pictures(measured: Evaluate, watch: Watch | None, allowed: Collection[str], study: Study) -> str:
    """This run trains on no picture that it is measured or watched on, nor on a copy of one, nor on a question without
    a picture, but of the tasks that are allowed to share some."""
    if study.pool.apart:
        return ""
    from harness.overlap import Shown

    trained = Shown(sample for number in range(1, study.rounds + 1) for sample in study.samples(number))
    lines: list[str] = []
    asked = [(study.setting.tasks[name], measured.split) for name in measured.tasks]
    for task, split in [*asked, *(watched_tasks(study, watch, measured) if watch else [])]:
        if not (shared := trained.shared_with(task.samples(split))):
            continue
        names = ", ".join(shared[:MOST_NAMES]) + (", ..." if len(shared) > MOST_NAMES else "")
        if task.name not in allowed:
            raise RecipeError(
                f"source {study.source}: {len(shared)} of its {trained.noun} are {split} {trained.noun} of {task.name} "
                f"({names}); take them out, do not measure on it, or allow it by allow_overlap=[{task.name}]"
            )
        lines.append(f"{len(shared)} of them {split} {trained.noun} of {task.name}, as allow_overlap allows ({names})")
    return ", ".join([trained.counts, *(lines or ["none of which is measured on"])])
