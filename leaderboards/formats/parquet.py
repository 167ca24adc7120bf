"""A board as one Parquet file: a row for each line of the board, task and metric, with its provenance.

The only importer of pyarrow. Figures are fractions in full precision, null where there is none.
"""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from harness.files import write_bytes
from leaderboards.formats.kinds import Figures, Format
from leaderboards.formats.rows import rows_of
from leaderboards.render import Board

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
    table = pa.Table.from_pylist(list(rows_of(board)), schema=pa.schema(list(_TYPES.items())))
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    return stream.getvalue()


def _write(figures: Figures, out: Path) -> list[Path]:
    path = out / "board.parquet"
    write_bytes(path, parquet_bytes(figures.board))
    return [path]


PARQUET = Format(name="parquet", write=_write)
