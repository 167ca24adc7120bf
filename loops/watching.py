"""The stage that watches a checkpoint on dev: what its monitors read, and what the best checkpoint is chosen by.

The marked answers lie in a results folder like an evaluation's, and the readings beside them. Every reading is held
against the watches of the rounds before, the seed model's first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import RecipeError, StropError
from harness.results import Results, TaskResult, read_results
from harness.runs.names import COLLECT, READINGS, SELECT, WATCH, stage_name
from harness.runs.watches import Choice, Watched, read_readings, write_watched
from harness.types import Checkpoint, Ranked, Task
from loops.judging import open_verifier
from loops.kinds import Study, computed_by
from loops.ledger import Done, Outcome, added, free_models
from loops.monitors.seen import Seen, choosing_task, headline_of
from loops.monitors.settings import MOST_WATCHED, Watch
from loops.recipe import Evaluate
from loops.stages import Stage

VERSION = 1
"""Raised when the watch's code, its monitors among it, would give another result from the same inputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watching:
    """What is watched in a study, and whose answers: `seed` is its first checkpoint, `answers` the store."""

    study: Study
    watch: Watch
    measured: Evaluate
    seed: Checkpoint
    answers: Path

    @property
    def limit(self) -> int:
        return self.watch.limit or min(MOST_WATCHED, self.measured.limit or MOST_WATCHED)


def watch_stage(
    watching: Watching,
    number: int,
    checkpoint: Checkpoint,
    adapter: Path | None,
    before: Sequence[Done],
    done: Mapping[str, Done],
) -> Stage:
    """The watch of a round's checkpoint; of the seed as round 0. `before` are the watches of the rounds before, `done`
    the stages of this one by their names."""
    study, watch = watching.study, watching.watch
    counting = [done[name] for step in (COLLECT, SELECT) if (name := stage_name(number, step)) in done]

    def work(folder: Path) -> Outcome:
        from harness.measure import write_measured
        from loops.monitors import MONITORS

        rounds = [_seen_before(each.folder, watch) for each in before]
        seed = read_results(before[0].folder) if before else None
        answered = _rewarded(watching, _answered(watching, number, checkpoint, adapter), seed)
        write_measured(folder, answered.results)
        data = {name: value for each in counting for name, value in each.facts.items() if _is_count(value)}
        rounds.append(_seen(number, answered.results, data, watch))
        readings = tuple(read(rounds, watch) for read in MONITORS.values()) if before else ()
        watched = Watched(
            number=number, split=watch.split, choice=_choice(rounds[-1], watch), readings=readings, data=data
        )
        write_watched(folder / READINGS, watched)
        facts = {result.task: _headline(result) for result in answered.results.tasks}
        fired = {reading.monitor: None if reading.fired is None else int(reading.fired) for reading in readings}
        return Outcome(facts={**facts, **fired}, cost=answered.costs, computed=answered.computed)

    verifier = {"verify": study.verify.inputs(_judging(watching), 0)} if study.verify.filters else {}
    tasks = dict.fromkeys((*(watch.tasks or watching.measured.tasks), *watch.guard))
    inputs: dict[str, Any] = {
        "version": VERSION,
        "checkpoint": checkpoint.digest,
        "parent": checkpoint.parent,
        "tasks": [[name, study.setting.tasks[name].version] for name in tasks],
        "watch": watch.model_dump(mode="json", exclude_defaults=True),
        "limit": watching.limit,
        "before": [each.digest for each in before],
        "data": [each.digest for each in counting],
        **({} if watching.measured.max_tokens is None else {"max_tokens": watching.measured.longest}),
        **({"max_thought_tokens": tokens} if (tokens := watching.measured.max_thought_tokens) else {}),
        **verifier,
        **study.asking,
    }
    return Stage(name=stage_name(number, WATCH), inputs=inputs, work=work)


def firing(done: Done, stop_when: Collection[str]) -> list[str]:
    """The monitors of `stop_when` that fired in a watch."""
    return [name for name in stop_when if done.facts.get(name) == 1]


def watched_tasks(study: Study, watch: Watch, measured: Evaluate) -> list[tuple[Task, str]]:
    """The tasks that are watched, each with its split. A measured task without the split is left out; raises
    `RecipeError` where one that the recipe names for watching is without it."""
    watched = []
    for name in watch.tasks or measured.tasks:
        task = study.setting.tasks[name]
        if _has(task, watch.split):
            watched.append((task, watch.split))
        elif watch.tasks:
            raise RecipeError(f"watch.tasks: {name} has no samples in the split {watch.split}; name it in watch.guard")
    for name in watch.guard:
        task = study.setting.tasks[name]
        if task not in [other for other, _ in watched]:
            watched.append((task, watch.split if _has(task, watch.split) else "test"))
    return watched


def _has(task: Task, split: str) -> bool:
    from harness.task_faults import samples_of

    try:
        return bool(samples_of(task, split))
    except StropError:
        return False


def _judging(watching: Watching) -> Study:
    """The study as its verifier sees it in every watch: a model that judges itself is the seed, so that what rises is
    what the answers earn, and not what the judge gives."""
    return replace(watching.study, policy=watching.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answered:
    """A checkpoint's marked answers with what monitors count beside, and what a stage's `Outcome` says of it."""

    results: Results
    costs: Mapping[str, float] = field(default_factory=dict)
    computed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def _answered(watching: Watching, number: int, checkpoint: Checkpoint, adapter: Path | None) -> _Answered:
    from harness.measure import answer_tasks
    from harness.store import Store
    from loops.baselines import asked_samples
    from loops.monitors.counting import with_confidence

    study, watch, measured = watching.study, watching.watch, watching.measured
    name = study.model if number == 0 else f"{study.name} round {number}"
    tasks = watched_tasks(study, watch, measured)
    whole = Results(model=name, digest=checkpoint.digest, parent=checkpoint.parent, tasks=(), provenance={})
    if not tasks:
        return _Answered(results=whole)
    vlm, results = study.load_model(checkpoint.path, name=name, adapter=adapter), list[TaskResult]()
    with study.setting.bars() as bars:
        for split in dict.fromkeys(split for _, split in tasks):
            whole = answer_tasks(
                vlm, [task for task, its in tasks if its == split], split=split, limit=watching.limit,
                max_tokens=measured.longest, max_thought_tokens=measured.max_thought_tokens, parent=checkpoint.parent,
                store=watching.answers, progress=lambda task, total: bars(f"round {number} watch {task}", total),
            )  # fmt: skip
            results += whole.tasks
    store = Store(watching.answers)
    results = [
        with_confidence(result, task, asked_samples(result, task, split), vlm, store)
        for result, (task, split) in zip(results, tasks, strict=True)
    ]
    return _Answered(results=replace(whole, tasks=tuple(results)), costs=vlm.costs, computed={"model": vlm.computed})


def _rewarded(watching: Watching, answered: _Answered, seed: Results | None) -> _Answered:
    """With the verifier's rewards of the answers to tasks that ask for sentences about a picture, as the baselines' do.
    It is calibrated on the seed's answers (`seed`, None in the seed's own watch), in every watch alike."""
    from loops.baselines import asked_samples, described
    from loops.monitors.counting import with_rewards

    study, watch, results = _judging(watching), watching.watch, answered.results
    split = watch.split
    tasks = [study.setting.tasks[result.task] for result in results.tasks if result.task not in watch.guard]
    tasks = [task for task in tasks if isinstance(task, Ranked)]
    if not (tasks and study.verify.filters):
        return answered
    free_models()  # the model that answered goes before the verifier's comes
    verifier = open_verifier(study, described(seed or results, tasks[0], split), 0)
    open_ended = [results.task(task.name) for task in tasks]
    asked_of = [asked_samples(result, task, split) for result, task in zip(open_ended, tasks, strict=True)]
    rewarded = {result.task: result for result in with_rewards(open_ended, asked_of, verifier)}
    whole = tuple(rewarded.get(result.task, result) for result in results.tasks)
    return _Answered(
        results=replace(results, tasks=whole),
        costs=added(answered.costs, verifier.costs),
        computed={**answered.computed, **computed_by(verifier)},
    )


def _seen_before(folder: Path, watch: Watch) -> Seen:
    watched = read_readings(folder / READINGS)
    return _seen(watched.number, read_results(folder), watched.data, watch)


def _seen(number: int, results: Results, data: Mapping[str, float], watch: Watch) -> Seen:
    by_name = {result.task: result for result in results.tasks}
    return Seen(number=number, results=by_name, data=data, guarded=frozenset(watch.guard))


def _choice(seen: Seen, watch: Watch) -> Choice | None:
    name = choosing_task(seen, watch)
    if name is None:
        return None
    result = seen.results[name]
    metric = headline_of(result)
    return Choice(
        task=name, metric=metric.name, better=metric.better, percent=metric.percent, value=_headline(result),
        n=len(result.rows),
    )  # fmt: skip


def _headline(result: TaskResult) -> float | None:
    from harness.stats import estimate

    return estimate(result.rows, result.metrics, draws=1)[result.headline].value


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
