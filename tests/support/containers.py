"""The same rows in every container in which people hand over rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd


def json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _separated(rows: Sequence[Mapping[str, Any]], separator: str, quoting: Any = csv.QUOTE_ALL) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, quoting=quoting)
    writer.writerow(rows[0])
    writer.writerows([list(row.values()) for row in rows])
    return stream.getvalue().encode()


def spreadsheet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_excel(stream, index=False)
    return stream.getvalue()


def _parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


def _pandas_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """As pandas writes a column of ids that had gaps: 7 is 7.0; and with a column for its index, which has no name."""
    return pd.DataFrame(rows).astype({"question_id": float}).to_csv().encode()


CONTAINERS: dict[str, Callable[[Sequence[Mapping[str, Any]]], bytes]] = {
    "JSON lines": json_lines,
    "JSON lines with a BOM": lambda rows: b"\xef\xbb\xbf" + json_lines(rows),
    "JSON lines of Windows": lambda rows: json_lines(rows).replace(b"\n", b"\r\n"),
    "JSON lines in UTF-16": lambda rows: json_lines(rows).decode().encode("utf-16"),
    "JSON lines, gzipped": lambda rows: gzip.compress(json_lines(rows)),
    "objects indented one after another": lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows).encode(),
    "a JSON list": lambda rows: json.dumps(rows).encode(),
    "a JSON list indented": lambda rows: json.dumps(rows, indent=4).encode(),
    "a JSON list, BOM and gzip": lambda rows: gzip.compress(b"\xef\xbb\xbf" + json.dumps(rows, indent=1).encode()),
    "CSV": lambda rows: _separated(rows, ","),
    "CSV with few quotes": lambda rows: _separated(rows, ",", csv.QUOTE_MINIMAL),
    "CSV of Excel in Europe": lambda rows: b"\xef\xbb\xbf" + _separated(rows, ";"),
    "CSV of pandas": _pandas_csv,
    "TSV": lambda rows: _separated(rows, "\t"),
    "TSV, gzipped": lambda rows: gzip.compress(_separated(rows, "\t")),
    "a spreadsheet": spreadsheet,
    "Parquet": _parquet,
}
