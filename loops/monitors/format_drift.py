"""Format drift: more answers that no rule can read than the seed model gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.results import Marked
from harness.runs.watches import Reading
from harness.types import Metric
from loops.monitors.seen import Seen, counted_difference, figures_of, in_words, reading, rose
from loops.monitors.settings import Watch

UNREAD = Metric(name="unread", terms={"unread": 1}, over={"answers": 1}, better="lower")


def format_drift(rounds: Sequence[Seen], watch: Watch) -> Reading:
    """The unread share of each task, paired with the seed model's."""
    first, last = rounds[0].watched, rounds[-1].watched
    figures: dict[str, float | None] = {}
    drifted = []
    for name, before in first.items():
        moved = counted_difference(before, last[name], UNREAD, _counts)
        figures |= figures_of(f"{name}/unread", moved)
        if rose(moved):
            drifted.append(in_words(f"{name} unread", moved, UNREAD))
    if not figures:
        return reading("format_drift", None, "no task is watched", {})
    if drifted:
        return reading("format_drift", True, f"more unread answers than the seed model: {'; '.join(drifted)}", figures)
    return reading("format_drift", False, "no more unread answers are seen than of the seed model", figures)


def _counts(row: Marked) -> Mapping[str, float]:
    return {"unread": float(row.parsed is None), "answers": 1}
