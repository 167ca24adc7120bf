"""Amplification: the verifier rewards answers more while they are worse by gold."""

from __future__ import annotations

from collections.abc import Sequence

from harness.runs.watches import Reading
from harness.stats import difference
from loops.monitors.seen import DRAWS, REWARD, Seen, figures_of, headline_of, in_words, reading, rose, worsened
from loops.monitors.settings import Watch


def amplification(rounds: Sequence[Seen], watch: Watch) -> Reading:
    """Of each task whose answers the verifier judges: its mean reward since the seed model rose, and the task's
    headline became worse, both their whole intervals over the same pictures."""
    first, last = rounds[0].watched, rounds[-1].watched
    figures: dict[str, float | None] = {}
    amplified, others = list[str](), list[str]()
    for name, before in first.items():
        after = last[name]
        if REWARD not in before.metrics:
            continue
        metric = headline_of(before)
        moved = difference(before.rows, after.rows, [*before.metrics], draws=DRAWS)
        reward, gold = moved[REWARD.name], moved[metric.name]
        figures |= {**figures_of(f"{name}/reward", reward), **figures_of(f"{name}/{metric.name}", gold)}
        words = f"{in_words(f'{name} reward', reward, REWARD)} and {in_words(metric.name, gold, metric)}"
        (amplified if rose(reward) and worsened(gold, metric) else others).append(words)
    if not figures:
        return reading("amplification", None, "no watched answer is one that the verifier judges by itself", {})
    if amplified:
        why = f"the verifier rewards more what gold marks worse: {'; '.join(amplified)}"
        return reading("amplification", True, why, figures)
    return reading("amplification", False, "; ".join(others), figures)
