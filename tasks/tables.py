"""Spreadsheets and Parquet files as rows. The only module that imports pandas (which reads .xlsx by openpyxl)."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

from harness.errors import DataError

# What the libraries stumble over where bytes of a file are not what they should be: XML errors are SyntaxErrors, an
# attribute that no element has is a TypeError, a method of packing that is none a RuntimeError.
_MALFORMED = (
    *(AttributeError, IndexError, KeyError, OSError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)


def sheet_rows(path: Path, content: bytes) -> list[dict[str, Any]]:
    """The rows of the first sheet of an .xlsx file under the names in its first row; every cell is text.

    An empty cell is "", a whole number has no decimal point. Raises `DataError` where it cannot be read.
    """
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl's, of styles and extensions that no row depends on
            frame = pd.read_excel(
                io.BytesIO(content), dtype=object, keep_default_na=False, na_filter=False, engine="openpyxl"
            )
    except _MALFORMED as error:
        raise DataError(f"{path}: a spreadsheet that cannot be read ({_first_line(error)}); save it anew") from error
    return [{str(name): _as_text(cell) for name, cell in row.items()} for row in frame.to_dict("records")]


def parquet_rows(path: Path, content: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file: text, numbers, lists and objects as they are, None where there is nothing."""
    import pandas as pd

    try:
        rows = pd.read_parquet(io.BytesIO(content), dtype_backend="pyarrow").to_dict("records")
    except _MALFORMED as error:
        raise DataError(f"{path}: Parquet that cannot be read ({_first_line(error)}); write it anew") from error
    return [{str(name): _plain(cell) for name, cell in row.items()} for row in rows]


def _as_text(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _plain(cell: Any) -> Any:
    import pandas as pd

    return None if cell is pd.NA else cell


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
