"""Answers less the sentences that somebody is least sure of: the model itself, or a verifier at answer time.

A model that leaves out what it is unsure of has learnt nothing about a picture. So an answer is also marked after each
of its sentences, the surest first: all these marks of all answers make a curve of precision against recall, and a
threshold on it is a model that says less, without any training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from harness.results import Marked, Step, TaskResult
from harness.sentences import split_sentences
from harness.thoughts import answer_of
from harness.types import Metric, Sample, Scorer

OWN = "own"
"""The ranking by the model's own log-probability of a sentence, summed over its tokens."""

VERIFIER = "verifier"
"""The ranking by a verifier's reward of each sentence alone."""


def steps_of(sample: Sample, answer: str, sureness: Sequence[float], score: Scorer) -> tuple[Step, ...]:
    """The marks of an answer's surest sentences: of none, of one, ..., of all of them, in the answer's order.

    `sureness` has a number a sentence of the answer (`harness.sentences`, without the thought before it), in any unit;
    of equals the earlier sentence comes first.
    """
    sentences = split_sentences(answer_of(answer).answer)
    order = sorted(range(len(sentences)), key=lambda index: (-sureness[index], index))
    steps = [Step(sentence=None, sureness=None, counts=_counted(sample, "", score))]
    for count, index in enumerate(order, start=1):
        whole = count == len(sentences)
        text = answer if whole else " ".join(sentences[kept] for kept in sorted(order[:count]))
        steps.append(Step(sentence=index, sureness=float(sureness[index]), counts=_counted(sample, text, score)))
    return tuple(steps)


def sureness_of(steps: Sequence[Step]) -> list[float]:
    """What `steps_of` was given: a number a sentence, in the order of the sentences."""
    by_sentence = sorted((step.sentence, step.sureness) for step in steps if step.sentence is not None)
    return [sureness for _, sureness in by_sentence if sureness is not None]


def at_words(result: TaskResult, ranking: str, words: float) -> TaskResult:
    """The answers less their least sure sentences, by one threshold for all, so that `words` a caption are left (as
    near as a threshold comes, never above what the answers have)."""
    metric = next(metric for metric in result.metrics if metric.name == "words")
    gains = [
        (step.sureness, _sum(step, metric) - _sum(before, metric))
        for row in result.rows
        for before, step in zip(row.ranked[ranking], row.ranked[ranking][1:], strict=False)
        if step.sureness is not None
    ]
    total = sum(_sum(row.ranked[ranking][0], metric) for row in result.rows)
    threshold, nearest = float("inf"), abs(total - words * len(result.rows))
    for sureness, equals in groupby(sorted(gains, reverse=True), key=itemgetter(0)):  # a threshold takes all of equals
        total += sum(added for _, added in equals)
        if (gap := abs(total - words * len(result.rows))) <= nearest:
            threshold, nearest = sureness, gap
    rows = tuple(replace(row, counts=_step_at(row, ranking, threshold).counts, ranked={}) for row in result.rows)
    return replace(result, rows=rows)


def _step_at(row: Marked, ranking: str, threshold: float) -> Step:
    steps = row.ranked[ranking]
    return [step for step in steps if step.sureness is None or step.sureness >= threshold][-1]


def _sum(step: Step, metric: Metric) -> float:
    return sum(weight * step.counts.get(name, 0.0) for name, weight in metric.terms.items())


def _counted(sample: Sample, text: str, score: Scorer) -> dict[str, float]:
    """The counts that are not zero: a results folder holds very many of them."""
    return {name: count for name, count in score(sample, text).counts.items() if count}
