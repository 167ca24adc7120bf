"""Accuracy of questions with one right answer, over all of them and over the cells of a breakdown.

A question lies in as many cells as fit it (with a picture, with a text, two skills), so cells are counted by name in
`Score.counts` and not by `Metric.group`, which is one for each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.types import Metric, Score


def cell_score(right: bool, parsed: Any, cells: Iterable[str]) -> Score:
    """The mark of one answer, 1 or 0, counted as a whole and in each cell; `parsed` None where nothing was read."""
    counts = {}
    for prefix in ("", *(f"{cell}/" for cell in cells)):
        counts[f"{prefix}asked"] = 1
        counts[f"{prefix}right"] = int(right)
        counts[f"{prefix}unread"] = int(parsed is None)
    return Score(value=float(right), parsed=parsed, counts=counts)


def cell_metrics(cells: Iterable[str]) -> tuple[Metric, ...]:
    """`accuracy` (right / asked, the unread included) and `unread` (unread / asked), then both for each cell."""
    return tuple(metric for prefix in ("", *(f"{cell}/" for cell in cells)) for metric in _two(prefix))


def _two(prefix: str) -> tuple[Metric, Metric]:
    denominator = {f"{prefix}asked": 1}
    return (
        Metric(name=f"{prefix}accuracy", terms={f"{prefix}right": 1}, over=denominator),
        Metric(name=f"{prefix}unread", terms={f"{prefix}unread": 1}, over=denominator, better="lower"),
    )
