"""What the verifier is worth without any training: as a filter of the seed's answers, and as the judge of several.

Whoever hones a model by a verifier could as well keep the verifier and use it when an answer is given. `filter` leaves
out the sentences that the verifier is least sure of (`harness.ranked`); `rerank` asks several times and takes the best.
The third such baseline, `quiet`, needs no verifier and no stage: the seed less what it is itself least sure of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.models.vlm import Vlm
from harness.ranked import steps_of
from harness.results import Results, TaskResult, mark
from harness.sentences import split_sentences
from harness.store import Store, ask
from harness.types import Advance, Group, Ranked, Sample, Sampling, Task
from loops.verify.verifiers import Verifier

VERIFIER = "verifier"
"""The ranking by the verifier's reward of each sentence alone."""

TEMPERATURE = 1.0

LEAST = -1e9  # the reward of what a verifier has no opinion of, below any that one gives; JSON knows no infinity


def filtered(seed: Results, tasks: Sequence[Task], split: str, verifier: Verifier) -> Results:
    """The seed's results on ranked tasks with the sentences of its answers ranked by the verifier."""
    return replace(seed, tasks=tuple(_filtered(seed.task(task.name), task, split, verifier) for task in ranked(tasks)))


def reranked(
    seed: Results,
    tasks: Sequence[Task],
    split: str,
    verifier: Verifier,
    model: Vlm,
    *,
    answers: int,
    store: Store,
    bar: Callable[[str, int], Advance],
) -> Results:
    """Results of the best of so many answers to each sample, drawn at temperature 1; of equals the first drawn."""

    def draw(task: Task, samples: Sequence[Sample]) -> list[list[str]]:
        sampling = Sampling(n=answers, temperature=TEMPERATURE, max_tokens=task.max_tokens)
        return ask(model, samples, sampling, store, bar(task.name, len(samples)))

    return replace(
        seed, tasks=tuple(_reranked(seed.task(task.name), task, split, verifier, draw) for task in ranked(tasks))
    )


def ranked(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that these baselines are of."""
    return [task for task in tasks if isinstance(task, Ranked)]


def described(seed: Results, task: Task, split: str) -> list[Group]:
    """The seed's own answers to a task, without gold: what a verifier is calibrated on that must be."""
    result = seed.task(task.name)
    return [
        Group(sample=sample.blind(), answers=(row.answer,))
        for sample, row in zip(_samples(result, task, split), result.rows, strict=True)
    ]


def _filtered(result: TaskResult, task: Task, split: str, verifier: Verifier) -> TaskResult:
    samples = _samples(result, task, split)
    groups = [
        Group(sample=sample.blind(), answers=tuple(split_sentences(row.answer)))
        for sample, row in zip(samples, result.rows, strict=True)
    ]
    verdicts = verifier.verify([group for group in groups if group.answers])
    judged = iter(verdicts)
    rows = []
    for sample, row, group in zip(samples, result.rows, groups, strict=True):
        rewards = [verdict.reward for verdict in next(judged)] if group.answers else []
        sureness = [LEAST if reward is None else reward for reward in rewards]
        rows.append(replace(row, ranked={VERIFIER: steps_of(sample, row.answer, sureness, task.score)}))
    return replace(result, rows=tuple(rows), frontier=None)


def _reranked(
    result: TaskResult,
    task: Task,
    split: str,
    verifier: Verifier,
    draw: Callable[[Task, Sequence[Sample]], list[list[str]]],
) -> TaskResult:
    samples = _samples(result, task, split)
    drawn = draw(task, samples)
    groups = [Group(sample=sample.blind(), answers=tuple(said)) for sample, said in zip(samples, drawn, strict=True)]
    rows = []
    for sample, group, verdicts in zip(samples, groups, verifier.verify(groups), strict=True):
        rewards = [LEAST if verdict.reward is None else verdict.reward for verdict in verdicts]
        best = group.answers[rewards.index(max(rewards))]
        rows.append(mark(sample, best, task.score(sample, best)))
    return replace(result, rows=tuple(rows), frontier=None)


def _samples(result: TaskResult, task: Task, split: str) -> list[Sample]:
    """The samples that the result's rows answer, in their order."""
    held = {sample.id: sample for sample in task.samples(split)}
    return [held[row.id] for row in result.rows]
