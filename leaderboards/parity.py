"""Two backends of a model held against each other, sample by sample: equal answers, equal marks, equal probabilities.

What differs between backends (another precision, another server) is mostly rounding, which changes the answers that
were nearly tied. Each of them is listed; whether they move the figure is said by the same paired interval that compares
two models. Everything is plain values (`strop parity --json`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from harness.errors import DataError
from harness.results import Marked, Results
from harness.stats import SIGNIFICANT, Corrected, corrected
from harness.stats.differences import paired
from harness.stats.families import DRAWS
from harness.types import Metric
from leaderboards.paired import TaskPair, other_data, other_lengths, pair_tasks

SAME = "equal marks"
NOISE = "no more than noise"
MORE_THAN_NOISE = "more than noise"
TOO_FEW = "too few pictures to tell"
"""Where p could not have been below 0.05 after Holm's correction, whatever the answers."""
UNTOLD = "cannot be told"
"""Where a figure is 0/0."""

Tokenise = Callable[[str], Sequence[str]]
"""The tokens of a text, as texts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """What a backend answered. `log_probabilities[task][id]` is that of the answer to a sample (natural logarithm,
    summed over its tokens, the one that ends it left out), of the samples where it is known; `tokenise` is None where
    the backend shows no tokenizer."""

    results: Results
    log_probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    tokenise: Tokenise | None = None


def compare_backends(a: Backend, b: Backend, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """What two backends answered alike, task by task, and the samples that they did not.

    `difference` is that of the headline, B minus A as a fraction, with its 95 % interval over pictures and its p, which
    Holm's correction for the number of tasks makes `p_holm`; `verdict` says whether it is more than noise.
    `log_probabilities` is over the samples with equal answers of which both know them, None where there are none.
    Raises `DataError` where the two share no task that can be compared.
    """
    pairs = pair_tasks([a.results], [b.results], draws=draws, seed=seed)
    comparable = [pair for pair in pairs if not pair.obstacle]
    if not comparable:
        reasons = "; ".join(str(pair.obstacle) for pair in pairs) or "they have no task in common"
        raise DataError(f"nothing to compare: {reasons}; ask both the same tasks")
    results = corrected({pair.a.task: pair.differences[pair.a.headline] for pair in comparable})
    tasks = [_task(a, b, pair, results.get(pair.a.task)) for pair in comparable]
    remarks = [remark(pair.a, pair.b) for pair in comparable for remark in (other_data, other_lengths)]
    return {
        "equal": all(not task["differing"] for task in tasks),
        "tasks": tasks,
        "not_compared": [pair.obstacle for pair in pairs if pair.obstacle],
        "notes": [words for words in remarks if words],
    }


def _difference(pair: TaskPair, result: Corrected | None) -> dict[str, Any]:
    """The headline's difference as plain values, what it is shown as, and what only one side answered."""
    headline = pair.a.headline
    (metric,) = (metric for metric in pair.metrics if metric.name == headline)
    difference = pair.differences[headline]
    return {
        "headline": headline,
        "difference": {
            **{name: getattr(difference, name) for name in ("a", "b", "value", "low", "high", "p", "detectable")},
            "p_holm": result.p if result else None,
            "better": metric.better,
            "percent": metric.percent,
        },
        "only_a": list(difference.only_a),
        "only_b": list(difference.only_b),
    }


def _verdict(same_marks: bool, result: Corrected | None) -> str:
    if same_marks:
        return SAME
    if result is None:
        return UNTOLD
    if result.p < SIGNIFICANT:
        return MORE_THAN_NOISE
    return NOISE if result.testable else TOO_FEW


def shown_as(task: Mapping[str, Any]) -> Metric:
    """The metric as which the figures of a task's `difference` are shown."""
    difference = task["difference"]
    return Metric(name=task["headline"], better=difference["better"], percent=difference["percent"])


def _task(a: Backend, b: Backend, pair: TaskPair, result: Corrected | None) -> dict[str, Any]:
    name, shared = pair.a.task, paired(pair.a.rows, pair.b.rows)
    rows = list(zip(shared.a, shared.b, strict=True))
    tokenise = a.tokenise or b.tokenise
    values = [backend.log_probabilities.get(name, {}) for backend in (a, b)]
    apart = {
        left.id: values[1][left.id] - values[0][left.id]
        for left, right in rows
        if left.answer == right.answer and all(left.id in side for side in values)
    }
    same_marks = sum(_same_mark(left, right) for left, right in rows)
    return {
        "task": name,
        "n": len(rows),
        "answers_equal": sum(left.answer == right.answer for left, right in rows),
        "marks_equal": same_marks,
        "verdict": _verdict(same_marks == len(rows), result),
        **_difference(pair, result),
        "log_probabilities": _apart(apart) if apart else None,
        "differing": [_differing(left, right, tokenise) for left, right in rows if left.answer != right.answer],
    }


def _apart(differences: Mapping[str, float]) -> dict[str, Any]:
    """How far log-probabilities of equal answers lie apart, in nats an answer: the mean and the largest, with its
    sample."""
    farthest = max(differences, key=lambda name: abs(differences[name]))
    return {
        "n": len(differences),
        "mean_apart": sum(map(abs, differences.values())) / len(differences),
        "largest_apart": abs(differences[farthest]),
        "largest_at": farthest,
    }


def _differing(a: Marked, b: Marked, tokenise: Tokenise | None) -> dict[str, Any]:
    """Where two answers to a sample part ways; places count from 0."""
    places: dict[str, Any] = {"character": first_difference(a.answer, b.answer)}
    if tokenise is not None:
        tokens = [tokenise(row.answer) for row in (a, b)]
        number = first_difference(*tokens)
        places |= {"token": number, "tokens": [side[number] if number < len(side) else "" for side in tokens]}
    return {
        "id": a.id,
        **places,
        "a": a.answer,
        "b": b.answer,
        "mark_a": a.value,
        "mark_b": b.value,
        "marks_equal": _same_mark(a, b),
    }


def first_difference(a: Sequence[str], b: Sequence[str]) -> int:
    """The first place at which two sequences differ; of equal ones, their length.

    Example:
        >>> first_difference("a dog", "a dot"), first_difference("a dog", "a dog and a cat")
        (4, 5)
    """
    return next((number for number, (left, right) in enumerate(zip_longest(a, b)) if left != right), len(a))


def _same_mark(a: Marked, b: Marked) -> bool:
    return (a.value, a.parsed, a.counts) == (b.value, b.parsed, b.counts)
