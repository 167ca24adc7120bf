"""A board as one Parquet file: a row for each line of the board, task and metric, with its provenance.

The only importer of pyarrow. Figures are fractions in full precision, null where there is none.
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from harness.stats import PooledDifference
from leaderboards.render import Board, Cell, Row, Source, TaskView

_TYPES: dict[str, pa.DataType] = {
    "run": pa.string(),
    "seeds": pa.list_(pa.string()),
    "round": pa.int32(),
    "pooled": pa.bool_(),
    "model": pa.string(),
    "level": pa.string(),
    "verifier": pa.string(),
    "task": pa.string(),
    "version": pa.int32(),
    "profile": pa.string(),
    "split": pa.string(),
    "metric": pa.string(),
    "headline": pa.bool_(),
    "better": pa.string(),
    "percent": pa.bool_(),
    "n": pa.int64(),
    **dict.fromkeys(("value", "low", "high"), pa.float64()),
    **dict.fromkeys(("seed_value", "difference", "difference_low", "difference_high"), pa.float64()),
    **dict.fromkeys(("fixed_low", "fixed_high", "ratio", "p", "p_holm"), pa.float64()),
    **dict.fromkeys(("weights", "parent", "recipe", "data", "commit"), pa.string()),
    "dirty": pa.bool_(),
    "python": pa.string(),
    "packages": pa.map_(pa.string(), pa.string()),
    "hardware": pa.string(),
    "command": pa.string(),
}


def parquet_bytes(board: Board) -> bytes:
    """The file's content; the same board gives the same bytes."""
    table = pa.Table.from_pylist(list(_rows(board)), schema=pa.schema(list(_TYPES.items())))
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return stream.getvalue()


def _rows(board: Board) -> Iterator[dict[str, Any]]:
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
