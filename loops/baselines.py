"""Baselines without training: the verifier as a filter of the seed's answers, and as the judge of several.

A verifier can be used at inference instead of in training. `filter` leaves
out the sentences that the verifier is least sure of (`harness.ranked`); `rerank` asks several times and takes the best.
The third such baseline, `quiet`, needs no verifier and no stage: the seed less what it is itself least sure of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.profiles import scorer_of
from harness.ranked import VERIFIER, steps_of
from harness.results import Results, TaskResult, mark
from harness.sentences import split_sentences
from harness.store import Store, ask
from harness.thoughts import answer_of
from harness.types import Advance, Group, Picture, Ranked, Sample, Sampling, Task
from loops.kinds import Verifying

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

TEMPERATURE = 1.0

LEAST = -1e9  # stands for no opinion, below any reward; JSON has no infinity


def filtered(seed: Results, tasks: Sequence[Task], split: str, verifier: Verifying) -> Results:
    """The seed's results on ranked tasks with the sentences of its answers ranked by the verifier."""
    judge = _judging(verifier)
    return replace(seed, tasks=tuple(_filtered(seed.task(task.name), task, split, judge) for task in ranked(tasks)))


def reranked(
    seed: Results,
    tasks: Sequence[Task],
    split: str,
    verifier: Verifying,
    model: Vlm,
    *,
    answers: int,
    store: Store,
    bar: Callable[[str, int], Advance],
) -> Results:
    """Results of the best of so many answers to each sample, drawn at temperature 1; of equals the first drawn."""

    judge = _judging(verifier)

    def draw(task: Task, samples: Sequence[Sample]) -> list[list[str]]:
        greedy = seed.task(task.name).sampling
        sampling = Sampling(
            n=answers, temperature=TEMPERATURE, max_tokens=greedy.get("max_tokens", task.max_tokens),
            max_thought_tokens=greedy.get("max_thought_tokens"),
        )  # fmt: skip
        return ask(model, samples, sampling, store, bar(task.name, len(samples)))

    return replace(
        seed, tasks=tuple(_reranked(seed.task(task.name), task, split, judge, draw) for task in ranked(tasks))
    )


def ranked(tasks: Sequence[Task]) -> list[Task]:
    """The tasks that these baselines are of."""
    return [task for task in tasks if isinstance(task, Ranked)]


def described(seed: Results, task: Task, split: str) -> list[Group]:
    """The seed's own answers to a task, without gold: what a verifier is calibrated on that must be."""
    result = seed.task(task.name)
    return [
        Group(sample=sample.blind(), answers=(answer_of(row.answer).answer,))
        for sample, row in zip(asked_samples(result, task, split), result.rows, strict=True)
    ]


_Question = tuple[str, tuple[Picture, ...], str, tuple[str, ...]]
"""A sample's id, pictures and prompt, and the answers to it."""

_Judge = Callable[[Sequence[Group]], list[list[float]]]
"""The rewards of each group's answers."""


def _judging(verifier: Verifying) -> _Judge:
    """The verifier, which is asked once about the same answers to the same sample: tasks may mark them alike."""
    rewards: dict[_Question, list[float]] = {}

    def key(group: Group) -> _Question:
        return group.sample.id, group.sample.images, group.sample.prompt, group.answers

    def judge(groups: Sequence[Group]) -> list[list[float]]:
        new = {key(group): group for group in groups if group.answers and key(group) not in rewards}
        for name, verdicts in zip(new, verifier.verify(list(new.values())), strict=True):
            rewards[name] = [LEAST if verdict.reward is None else verdict.reward for verdict in verdicts]
        return [rewards[key(group)] if group.answers else [] for group in groups]

    return judge


def _filtered(result: TaskResult, task: Task, split: str, judge: _Judge) -> TaskResult:
    samples = asked_samples(result, task, split)
    groups = [
        Group(sample=sample.blind(), answers=tuple(split_sentences(answer_of(row.answer).answer)))
        for sample, row in zip(samples, result.rows, strict=True)
    ]
    score = scorer_of(task)
    rows = [
        replace(row, ranked={VERIFIER: steps_of(sample, row.answer, sureness, score)})
        for sample, row, sureness in zip(samples, result.rows, judge(groups), strict=True)
    ]
    return replace(result, rows=tuple(rows), frontier=None)


def _reranked(
    result: TaskResult,
    task: Task,
    split: str,
    judge: _Judge,
    draw: Callable[[Task, Sequence[Sample]], list[list[str]]],
) -> TaskResult:
    samples = asked_samples(result, task, split)
    drawn = draw(task, samples)
    groups = [
        Group(sample=sample.blind(), answers=tuple(answer_of(text).answer for text in texts))
        for sample, texts in zip(samples, drawn, strict=True)
    ]
    score = scorer_of(task)
    rows = []
    for sample, texts, rewards in zip(samples, drawn, judge(groups), strict=True):
        best = texts[rewards.index(max(rewards))]
        rows.append(mark(sample, best, score(sample, best)))
    return replace(result, rows=tuple(rows), frontier=None)


def asked_samples(result: TaskResult, task: Task, split: str) -> list[Sample]:
    """The samples that the result's rows answer, in their order."""
    by_id = {sample.id: sample for sample in task.samples(split)}
    return [by_id[row.id] for row in result.rows]
