"""Two sets of results, task by task: what boards and `strop compare` both need and must do alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.results import Marked, Results, TaskResult
from harness.stats import Difference, frontier_metrics, plain_difference, pooled_difference, pooled_frontier
from harness.types import Metric
from leaderboards.doubts import doubts_of

FRONTIER_DRAWS = 2000  # each draws a curve for each side, not a figure


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPair:
    """One task on both sides. `obstacle` says why it cannot be compared; then there are no differences.

    `metrics` are those that both sides define alike, those of the frontier last where the rows are ranked. With several
    training seeds `a` and `b` are those of the first, and the differences are `harness.stats.PooledDifference`.
    """

    a: TaskResult
    b: TaskResult
    obstacle: str | None
    metrics: tuple[Metric, ...]
    differences: dict[str, Difference]


def pair_tasks(a: Sequence[Results], b: Sequence[Results], *, draws: int = 10_000, seed: int = 0) -> list[TaskPair]:
    """Every task that all of both sides hold, in A's order, B minus A; the sides are as long, a place a training
    seed."""
    shared = [task.task for task in a[0].tasks if all(task.task in names(side) for side in (*a, *b))]
    return [
        pair_seeds(
            [(left.task(name), right.task(name)) for left, right in zip(a, b, strict=True)], draws=draws, seed=seed
        )
        for name in shared
    ]


def names(results: Results) -> set[str]:
    """The tasks that a results folder holds."""
    return {task.task for task in results.tasks}


def pair_task(a: TaskResult, b: TaskResult, *, draws: int = 10_000, seed: int = 0) -> TaskPair:
    return pair_seeds([(a, b)], draws=draws, seed=seed)


def pair_seeds(pairs: Sequence[tuple[TaskResult, TaskResult]], *, draws: int = 10_000, seed: int = 0) -> TaskPair:
    """One task, a pair for each training seed."""
    a, b = pairs[0]
    sides = [side for pair in pairs for side in pair]
    reasons = [obstacle(*pair) for pair in pairs] + [obstacle(a, side) for side in sides]
    if reason := next((reason for reason in reasons if reason), None):
        return TaskPair(a=a, b=b, obstacle=reason, metrics=(), differences={})
    metrics = shared_metrics(*sides)
    rows: list[tuple[Sequence[Marked], Sequence[Marked]]] = [(left.rows, right.rows) for left, right in pairs]
    pooled = pooled_difference(rows, metrics, draws=draws, seed=seed)
    if axes := _frontier_axes(sides, metrics):
        pooled |= pooled_frontier(rows, *axes, draws=min(draws, FRONTIER_DRAWS), seed=seed)
        metrics = (*metrics, *frontier_metrics(axes[0]))
    doubts = doubts_of(pairs, metrics, pooled, draws=draws, seed=seed)
    pooled = {name: replace(difference, doubt=doubts.get(name, "")) for name, difference in pooled.items()}
    several = len(pairs) > 1
    differences = {name: difference if several else plain_difference(difference) for name, difference in pooled.items()}
    return TaskPair(a=a, b=b, obstacle=None, metrics=metrics, differences=differences)


def obstacle(a: TaskResult, b: TaskResult) -> str | None:
    """Why the figures of these two results of one task do not belong side by side; None where they do."""
    if unlike := _other_groups(a, b):
        return unlike
    for field in ("version", "profile", "split", "headline"):
        left, right = getattr(a, field), getattr(b, field)
        if left != right:
            return f"{a.task}: {field} {left} on one side, {right} on the other; score both alike to compare them"
    if a.info.get("built") != b.info.get("built"):
        return f"{a.task}: one side answered questions that were built here and the other side others; ask both alike"
    if not {row.id for row in a.rows} & {row.id for row in b.rows}:
        return f"{a.task}: no sample that both sides answered; score both on the same data to compare them"
    if a.headline not in {metric.name for metric in shared_metrics(a, b)}:
        return f"{a.task}: {a.headline} is not defined alike on both sides; score both with one version of Strop"
    return None


def _other_groups(a: TaskResult, b: TaskResult) -> str | None:
    """A message where the headlines of two sides are of different groups of questions, such as parts of POPE."""
    left, right = _parts_of_headline(a), _parts_of_headline(b)
    if left == right:
        return None
    words = [", ".join(sorted(groups)) for groups in (left, right)]
    return f"{a.task}: one side is about {words[0]} and the other about {words[1]}; score the same questions on both"


def _parts_of_headline(result: TaskResult) -> frozenset[str]:
    """The groups that the headline is of or a mean over; none where it is of all rows."""
    metrics = {metric.name: metric for metric in result.metrics}
    headline = metrics.get(result.headline, Metric(name=result.headline))
    parts = [headline, *(metrics[name] for name in headline.macro if name in metrics)]
    return frozenset(metric.group for metric in parts if metric.group is not None)


def other_data(a: TaskResult, b: TaskResult) -> str | None:
    """A warning where the same questions were marked by other right answers, or asked in other words; else None.

    A digest of data is of the samples that were asked, so that of fewer samples is another; of answer files it is that
    of the truth.
    """
    was_sampled = bool(a.sampling), bool(b.sampling)
    alike = was_sampled == (False, False) or (
        all(was_sampled) and {row.id for row in a.rows} == {row.id for row in b.rows}
    )
    if not (alike and a.data and b.data) or a.data == b.data:
        return None
    return (
        f"{a.task}: the data are not the same on both sides (digests {a.data[:12]} and {b.data[:12]}): right answers "
        "or questions may differ, and with them the figures; mark both by the same."
    )


def other_lengths(a: TaskResult, b: TaskResult) -> str | None:
    """A warning where answers might be longer on one side; else None."""
    longest = a.sampling.get("max_tokens"), b.sampling.get("max_tokens")
    if None in longest or longest[0] == longest[1]:
        return None
    return (
        f"{a.task}: answers might have {longest[0]} tokens on one side and {longest[1]} on the other (--max-tokens), "
        "which moves figures by itself; ask both alike."
    )


def same_answers(results: Results) -> list[str]:
    """A warning for tasks that mark the very same answers to the same samples: they are one finding, not several."""
    tasks_by_answers: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for task in results.tasks:
        tasks_by_answers.setdefault(tuple(sorted((row.id, row.answer) for row in task.rows)), []).append(task.task)
    return [
        f"{' and '.join(names)} mark the same {len(answers)} answers: what they show is one finding, not {len(names)}."
        for answers, names in tasks_by_answers.items()
        if len(names) > 1
    ]


def shared_metrics(first: TaskResult, *others: TaskResult) -> tuple[Metric, ...]:
    """The metrics that all sides define alike, with macro metrics only where all their parts are there."""
    kept = [metric for metric in first.metrics if all(metric in other.metrics for other in others)]
    while True:
        names = {metric.name for metric in kept}
        whole = [metric for metric in kept if names.issuperset(metric.macro)]
        if len(whole) == len(kept):
            return tuple(kept)
        kept = whole


def frontier_of(task: TaskResult) -> tuple[Metric, ...]:
    """The figures of the frontier that this task's results can be held against others' in; none where the rows are not
    ranked."""
    axes = _frontier_axes([task], task.metrics)
    return frontier_metrics(axes[0]) if axes else ()


def _frontier_axes(sides: Sequence[TaskResult], metrics: Sequence[Metric]) -> tuple[Metric, Metric] | None:
    """What the frontier's curve is of, and its recall, where all sides are ranked and name the same."""
    by_name = {metric.name: metric for metric in metrics}
    names = {side.frontier for side in sides}
    axes = names.pop() if len(names) == 1 else None
    return (by_name[axes[0]], by_name[axes[1]]) if axes and by_name.keys() >= set(axes) else None
