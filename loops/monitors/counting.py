"""Two figures that a watched answer has beside its mark: what the verifier gives it, and how sure the model is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from string import ascii_uppercase

from harness.profiles import scorer_of
from harness.results import TaskResult
from harness.store import Likely, Store, ask_likelihoods
from harness.thoughts import answer_of
from harness.types import Group, Readable, Sample, Task
from loops.kinds import Verifying
from loops.monitors.seen import CONFIDENCE, OVERCONFIDENCE, REWARD, RIGHT

YES_NO = ("Yes", "No")

_LETTERED = re.compile(r"^\s*\(?([A-Z])[.):]", re.MULTILINE)


def with_rewards(
    results: Sequence[TaskResult], samples: Sequence[Sequence[Sample]], verifier: Verifying
) -> list[TaskResult]:
    """The results with the verifier's reward of each answer, which is judged by its picture alone and once where tasks
    mark the same one; an answer that it has no opinion of has none. `samples` are each result's, in its rows' order."""
    groups = {
        (sample.images, sample.prompt, row.answer): Group(
            sample=sample.blind(), answers=(answer_of(row.answer).answer,)
        )
        for result, asked_of in zip(results, samples, strict=True)
        for sample, row in zip(asked_of, result.rows, strict=True)
    }
    rewards = {
        key: verdict.reward for key, (verdict,) in zip(groups, verifier.verify(list(groups.values())), strict=True)
    }
    rewarded = []
    for result, asked_of in zip(results, samples, strict=True):
        rows = []
        for sample, row in zip(asked_of, result.rows, strict=True):
            reward = rewards[sample.images, sample.prompt, row.answer]
            counts = {} if reward is None else {"watch/reward": reward, "watch/judged": 1}
            rows.append(replace(row, counts={**row.counts, **counts}))
        rewarded.append(replace(result, rows=tuple(rows), metrics=(*result.metrics, REWARD)))
    return rewarded


def with_confidence(
    result: TaskResult, task: Task, samples: Sequence[Sample], model: Likely, store: Store
) -> TaskResult:
    """The result with the confidence of each question that is decided between a few answers; itself where none is."""
    options = [options_of(task, sample) for sample in samples]
    if not any(options):
        return result
    questions = [replace(sample, target=None) for sample, its in zip(samples, options, strict=True) for _ in its]
    values = iter(ask_likelihoods(model, questions, [option for its in options for option in its], store))
    score, rows = scorer_of(task), []
    for row, sample, its in zip(result.rows, samples, options, strict=True):
        if its:
            likelihoods = [next(values)[0] for _ in its]
            highest = max(likelihoods)
            right = score(sample, its[likelihoods.index(highest)]).value >= 0.5
            sure = 1 / sum(math.exp(value - highest) for value in likelihoods)
            row = replace(row, counts={**row.counts, CONFIDENCE: sure, RIGHT: int(right), "watch/sure": 1})
        rows.append(row)
    return replace(result, rows=tuple(rows), metrics=(*result.metrics, OVERCONFIDENCE))


def options_of(task: Task, sample: Sample) -> tuple[str, ...]:
    """The answers that a question is decided between: yes and no, or the letters of the options in its prompt; none of
    any other question, by what the task reads from a right answer."""
    reading = task.read(sample, task.gold(sample)) if isinstance(task, Readable) else None
    if reading in ("yes", "no"):
        return YES_NO
    lettered = set(_LETTERED.findall(sample.prompt))
    letters = tuple(takewhile(lettered.__contains__, ascii_uppercase))
    return letters if reading in letters else ()
