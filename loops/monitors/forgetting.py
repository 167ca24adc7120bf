"""Forgetting: a task's headline is worse than the seed model's, its whole interval."""

from __future__ import annotations

from collections.abc import Sequence

from harness.runs.watches import Reading
from loops.monitors.seen import Seen, figures_of, headline_difference, headline_of, in_words, reading, worsened
from loops.monitors.settings import Watch


def forgetting(rounds: Sequence[Seen], watch: Watch) -> Reading:
    """Every watched task and every guard, lm-eval's among them, paired with the seed model."""
    first, last = rounds[0], rounds[-1]
    figures: dict[str, float | None] = {}
    lost, kept = list[str](), list[str]()
    for name, before in first.results.items():
        after, metric = last.results[name], headline_of(before)
        moved = headline_difference(before, after)
        figures |= figures_of(f"{name}/{metric.name}", moved)
        words = in_words(f"{name} {metric.name}", moved, metric)
        (lost if worsened(moved, metric) else kept).append(words)
    if not figures:
        return reading("forgetting", None, "no task is watched", {})
    if lost:
        return reading("forgetting", True, f"worse than the seed model: {'; '.join(lost)}", figures)
    return reading("forgetting", False, f"no task is seen to be worse than the seed model: {'; '.join(kept)}", figures)
