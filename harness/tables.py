"""Spreadsheets and Parquet files as rows, and records as a pandas frame. The only module that imports pandas and
openpyxl."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.errors import DataError
from harness.wording import first_line

if TYPE_CHECKING:
    from pandas import DataFrame

    Frame: TypeAlias = DataFrame

# What the libraries stumble over where bytes of a file are not what they should be: XML errors are SyntaxErrors, an
# attribute that no element has is a TypeError, a method of packing that is none a RuntimeError.
_MALFORMED = (
    *(AttributeError, EOFError, IndexError, KeyError, OSError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


def sheet_cells(path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    """(number, cells as text) of each row of an .xlsx file that is not blank, all as wide as the first of them or
    wider where they have more; of the first sheet that has rows.

    An empty cell is "", a whole number has no decimal point. Raises `DataError` where it cannot be read, and where
    another sheet has rows under the same head: which is meant could not be told.
    """
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl's, of styles and extensions that no row depends on
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            sheets = {sheet.title: _sheet(sheet) for sheet in book.worksheets}
    except _MALFORMED as error:
        raise DataError(f"{path}: a spreadsheet that cannot be read ({first_line(error)}); save it anew") from error
    filled = {title: rows for title, rows in sheets.items() if rows}
    first = next(iter(filled.values()), [])
    alike = [title for title, rows in filled.items() if rows[0][1] == first[0][1]]
    if len(alike) > 1:
        raise DataError(f"{path}: the sheets {', '.join(alike)} have the same columns; keep the one that is meant")
    return first


def _sheet(sheet: Any) -> list[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what a file says of its size is not to be trusted
    rows: list[tuple[int, list[str]]] = []
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells = ["" if value is None else _as_text(value) for value in values]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            width = len(rows[0][1]) if rows else 0
            rows.append((number, cells + [""] * (width - len(cells))))
    return rows


def parquet_rows(path: Path, content: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file: text, numbers, lists and objects as they are, None where there is nothing."""
    import pandas as pd

    try:
        rows = pd.read_parquet(io.BytesIO(content), dtype_backend="pyarrow").to_dict("records")
    except _MALFORMED as error:
        raise DataError(f"{path}: Parquet that cannot be read ({first_line(error)}); write it anew") from error
    return [{str(name): _plain(cell) for name, cell in row.items()} for row in rows]


def _as_text(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _plain(cell: Any) -> Any:
    import pandas as pd

    return None if cell is pd.NA else cell


def frame_of(records: Iterable[Mapping[str, Any]], columns: Iterable[str] | None = None) -> Frame:
    """Records as a pandas frame, a row each; `columns` are their order, and those of a frame without rows.

    Example:
        >>> frame_of([{"metric": "accuracy", "value": 0.5}])
             metric  value
        0  accuracy    0.5
    """
    import pandas as pd

    return pd.DataFrame(list(records), columns=list(columns) if columns is not None else None)
