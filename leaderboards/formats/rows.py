"""A board as rows of plain values: one for each line of the board, task and metric, with its provenance.

Figures are fractions in full precision, None where there is none.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from harness.stats import PooledDifference
from leaderboards.render import Board, Cell, Row, Source, TaskView


def rows_of(board: Board) -> Iterator[dict[str, Any]]:
    """The rows in the board's order; `leaderboards.formats.parquet` has their columns and types."""
    for row in board.rows:
        for task in board.tasks:
            for metric in task.metrics:
                if cell := row.cells.get((task.label, metric.name)):
                    yield {**_who(row), **_what(task, cell), **_figures(cell), **_source(row.source, task.label)}


def _who(row: Row) -> dict[str, Any]:
    kept = {name: getattr(row, name) for name in ("run", "round", "pooled", "model", "level", "verifier")}
    return {**kept, "seeds": list(row.seeds)}


def _what(task: TaskView, cell: Cell) -> dict[str, Any]:
    metric = cell.metric
    kept = {name: getattr(task, name) for name in ("task", "version", "profile", "split")}
    about = {"metric": metric.name, "better": metric.better, "percent": metric.percent}
    return {**kept, **about, "headline": metric.name == task.headline.name}


def _figures(cell: Cell) -> dict[str, Any]:
    estimate, difference = cell.estimate, cell.difference
    figures: dict[str, Any] = {"p_holm": cell.holm}
    if difference:
        figures |= {
            "n": difference.n,
            "value": difference.b,
            "seed_value": difference.a,
            "p": difference.p,
            "difference": difference.value,
            "difference_low": difference.low,
            "difference_high": difference.high,
        }
    if isinstance(difference, PooledDifference):
        figures |= {"fixed_low": difference.fixed_low, "fixed_high": difference.fixed_high, "ratio": difference.ratio}
    if estimate:
        figures |= {"n": estimate.n, "value": estimate.value, "low": estimate.low, "high": estimate.high}
    return figures


def _source(source: Source | None, label: str) -> dict[str, Any]:
    if source is None:
        return {}
    provenance = source.provenance
    command, hardware = provenance.get("command"), provenance.get("hardware")
    return {
        "weights": source.weights,
        "parent": source.parent or None,
        "recipe": source.recipe or None,
        "data": source.data.get(label) or None,
        **{name: provenance.get(name) for name in ("commit", "dirty", "python")},
        "packages": {name: str(version) for name, version in (provenance.get("versions") or {}).items() if version},
        "hardware": json.dumps(hardware) if hardware else None,
        "command": shlex.join(command) if isinstance(command, list) else command,
    }
