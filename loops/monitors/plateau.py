"""Plateau: the last two rounds brought no gain, and one of the margin would have been seen four times in five."""

from __future__ import annotations

from collections.abc import Sequence

from harness.runs.watches import Reading
from loops.monitors.seen import (
    Seen,
    choosing_task,
    figures_of,
    headline_difference,
    headline_of,
    improved,
    in_words,
    reading,
)
from loops.monitors.settings import Watch

ROUNDS = 2


def plateau(rounds: Sequence[Seen], watch: Watch) -> Reading:
    """The choosing task's headline, this round against two rounds before: absence of a gain is told only where the
    detectable difference (80 % power at two-sided 5 %, `harness.stats.Difference.detectable`) is within the margin."""
    name = choosing_task(rounds[-1], watch)
    if name is None:
        return reading("plateau", None, "no task is watched", {})
    if len(rounds) <= ROUNDS:
        return reading("plateau", None, f"told from round {ROUNDS} on", {})
    before, after = rounds[-1 - ROUNDS].results[name], rounds[-1].results[name]
    metric, moved = headline_of(after), headline_difference(before, after)
    figures = {**figures_of(f"{name}/{metric.name}", moved), "detectable": moved.detectable}
    words = in_words(f"{name} {metric.name}", moved, metric)
    if improved(moved, metric):
        return reading("plateau", False, f"the last {ROUNDS} rounds brought a gain: {words}", figures)
    if moved.detectable is None:  # no draw differs from another, which says nothing of what would be seen
        return reading("plateau", None, f"{words}: too little differs to say what would be seen", figures)
    scale, unit = (100, " points") if metric.percent else (1, "")
    power = f"{moved.detectable * scale:.1f}{unit} would be seen four times in five"
    if moved.detectable * scale > watch.margin:
        why = f"{words}: {power}, not {watch.margin:g}; raise watch.limit or watch.margin"
        return reading("plateau", None, why, figures)
    return reading("plateau", True, f"no gain over the last {ROUNDS} rounds: {words}; {power}", figures)
