"""The stages of a run that measure: an evaluation of each checkpoint, and the baselines without training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.runs.names import BASELINES, EVAL, FILTER, RERANK, WORDY, stage_name
from harness.types import Checkpoint, Task
from loops.judging import open_verifier
from loops.kinds import Study, computed_by
from loops.ledger import Done, Outcome, added
from loops.recipe import Evaluate
from loops.stages import Stage

BASELINES_VERSION = 1
"""Raised when the baselines' code would give another result from the same inputs."""


def evaluation(
    study: Study, measured: Evaluate, number: int, checkpoint: Checkpoint, adapter: Path | None, answers: Path
) -> Stage:
    """The evaluation of a round's checkpoint; of the seed as round 0, under its own name."""
    tasks = [study.setting.tasks[name] for name in measured.tasks]
    name = study.model if number == 0 else f"{study.name} round {number}"

    def work(folder: Path) -> Outcome:
        from harness.measure import measure

        vlm = study.load_model(checkpoint.path, name=name, adapter=adapter)
        with study.setting.bars() as bars:
            figures = measure(
                vlm,
                tasks,
                folder,
                split=measured.split,
                limit=measured.limit,
                max_tokens=measured.longest,
                max_thought_tokens=measured.max_thought_tokens,
                parent=checkpoint.parent,
                store=answers,
                progress=lambda task, total: bars(f"round {number} eval {task}", total),
            )
        headlines = {task.name: figures[task.name][task.headline]["value"] for task in tasks}
        return Outcome(facts=headlines, cost=vlm.costs, computed={"model": vlm.computed})

    inputs = {
        "checkpoint": checkpoint.digest,
        "parent": checkpoint.parent,
        "model": name,  # as the results are named
        "tasks": [[task.name, task.version] for task in tasks],
        "split": measured.split,
        "limit": measured.limit,
        **({} if measured.max_tokens is None else {"max_tokens": measured.longest}),
        **({} if measured.max_thought_tokens is None else {"max_thought_tokens": measured.max_thought_tokens}),
        **study.asking,
    }
    return Stage(name=stage_name(number, EVAL), inputs=inputs, work=work)


def wordy(study: Study, measured: Evaluate, seed: Checkpoint, adapter: Path | None, answers: Path) -> Iterator[Stage]:
    """The seed that says more, the end of its answers made less likely, on the ranked tasks: what a checkpoint that
    says more than the seed is to be held against. No stage where it is not to be measured."""
    from loops.baselines import ranked

    names = tuple(task.name for task in ranked([study.setting.tasks[name] for name in measured.tasks]))
    if measured.wordy and study.rounds and names:
        longer = replace(study, options=replace(study.options, end_bias=-measured.wordy))
        kept = {task: tokens for task, tokens in measured.longest.items() if task in names}
        asked_longer = measured.model_copy(update={"tasks": names, "max_tokens": kept or None})
        yield replace(evaluation(longer, asked_longer, 0, seed, adapter, answers), name=stage_name(0, WORDY))


def baseline_tasks(study: Study, measured: Evaluate) -> list[Task]:
    """The tasks on which the verifier's worth without training is measured: none where it is not to be."""
    from loops.baselines import ranked

    if not (study.verify.filters and study.rounds and (measured.filter or measured.rerank)):
        return []
    return ranked([study.setting.tasks[name] for name in measured.tasks])


def baselines(
    study: Study,
    measured: Evaluate,
    tasks: Sequence[Task],
    seed: Checkpoint,
    adapter: Path | None,
    before: Done,
    answers: Path,
) -> Stage:
    """What the verifier is worth without training: as a filter of the seed's answers, and as the judge of several.
    `before` is the seed's evaluation."""
    study = replace(study, policy=seed)

    def work(folder: Path) -> Outcome:
        from harness.measure import write_measured
        from harness.results import read_results
        from harness.store import Store
        from loops.baselines import described, filtered, reranked

        results = read_results(before.folder)
        verifier = open_verifier(study, described(results, tasks[0], measured.split), 0)
        costs, computed = dict[str, float](), dict(computed_by(verifier))
        if measured.filter:
            write_measured(folder / FILTER, filtered(results, tasks, measured.split, verifier))
        if measured.rerank:
            vlm = study.load_model(seed.path, adapter=adapter)
            with study.setting.bars() as bars:
                best = reranked(
                    results,
                    tasks,
                    measured.split,
                    verifier,
                    vlm,
                    answers=measured.rerank,
                    store=Store(answers),
                    bar=lambda task, total: bars(f"best of {measured.rerank} {task}", total),
                )
            write_measured(folder / RERANK, best)
            costs.update(vlm.costs)
            computed["model"] = vlm.computed
        return Outcome(facts={"rerank": measured.rerank}, cost=added(costs, verifier.costs), computed=computed)

    inputs: dict[str, Any] = {
        "version": BASELINES_VERSION,
        "measured": before.digest,
        "verify": study.verify.inputs(study, 0),
        "filter": measured.filter,
        "rerank": measured.rerank,
        **study.asking,
    }
    return Stage(name=stage_name(0, BASELINES), inputs=inputs, work=work)
