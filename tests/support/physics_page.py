"""The rows of docs/physics.md: figures of models, and their paired differences."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from harness.results import Marked
from harness.stats import difference, estimate
from tasks.physics.marks import physics_metrics

COLUMNS = ("accuracy", "exact", "recall")


def cells(rows: Sequence[Marked]) -> list[str]:
    """Accuracy, exact and recall of a model, in points, each with its interval."""
    figures = estimate(rows, [metric for metric in physics_metrics() if metric.name in COLUMNS], draws=1)
    return [_shown(figures[name].value, figures[name].low, figures[name].high) for name in COLUMNS]


def difference_cells(first: Sequence[Marked], second: Sequence[Marked]) -> list[str]:
    """The first minus the second, of the problems that both answered."""
    figures = difference(second, first, [metric for metric in physics_metrics() if metric.name in COLUMNS])
    return [_shown(figures[name].value, figures[name].low, figures[name].high, sign="+") for name in COLUMNS]


def rows_of(models: Mapping[str, Sequence[Marked]], ids: frozenset[str]) -> dict[str, list[str]]:
    """Heading -> cells, of each model and of each pair of neighbours, over the problems of these ids."""
    chosen = {model: [row for row in rows if row.id in ids] for model, rows in models.items()}
    names = list(chosen)
    table = {model: cells(rows) for model, rows in chosen.items()}
    for better, worse in itertools.pairwise(names):
        table[f"{better} − {worse}"] = difference_cells(chosen[better], chosen[worse])
    return table


def _shown(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    assert value is not None and low is not None and high is not None
    shown = (f"{100 * number:{sign}.1f}".replace("-", "−") for number in (value, low, high))
    return "{} \\[{}, {}\\]".format(*shown)
