"""The rows of a file, whatever contains them: JSON lines, a JSON list, CSV, TSV, .xlsx or Parquet, gzipped or not.

What a file is, its content says; its name is not asked. A file of another kind is refused in one line that says what it
is and what to name instead. Cells of CSV, TSV and spreadsheets are text, and none is taken for "nothing is here": an
answer "NA", "None" or "1.0" stays one.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import tables
from harness.errors import DataError

ROWS = "JSON lines, a JSON list, CSV, TSV, .xlsx or Parquet"

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_PARQUET = b"PAR1"
_SHEET = "xl/workbook.xml"

_UNPACK = "unpack it and name the file in it"
_EXPORT = f"write its rows as {ROWS}"
_FOREIGN: Sequence[tuple[bytes, str, str]] = (
    (b"\xd0\xcf\x11\xe0", "a spreadsheet in Excel's old format", "save it as .xlsx or CSV"),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"ARROW1", "an Arrow file", _EXPORT),
    (b"SQLite format 3", "an SQLite database", _EXPORT),
    (b"\x93NUMPY", "a NumPy array", _EXPORT),
    (b"%PDF", "a PDF", _EXPORT),
    (b"\x89PNG", "a picture", _EXPORT),
    (b"\xff\xd8\xff", "a picture", _EXPORT),
    (b"version https://git-lfs", "Git LFS's pointer to a file, not the file", "fetch the file itself (git lfs pull)"),
    (b"<!doctype html", "a web page, not the file that it shows", "download the raw file"),
    (b"<html", "a web page, not the file that it shows", "download the raw file"),
    (b"<?xml", "XML", _EXPORT),
)
"""What a file begins with (markup: in small letters), what it is, and what to do."""
_PICKLE = re.compile(rb"\x80[\x02-\x05]")

_LONE_SURROGATE = re.compile(
    r"(?P<whole>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u])|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_SEPARATORS = "\t,;"
_BLANK = re.compile(r"\s*")
_LARGEST_CELL = 2**31 - 1  # a picture in base64 stands in one

LARGEST = 2**30
"""Bytes that a packed file may have when it is unpacked: beyond them it is made to fill memory."""
_LAYERS = 3  # of gzip: some archives are packed once more by the site that serves them, and some unpack to themselves


def rows_of(path: Path, expected: str = "") -> Iterator[tuple[str, Any]]:
    """(place, row) of each row of a file, in order; a place is "FILE:LINE", "FILE: row N" of a table (its head is row
    1) or "FILE: [N]" of a JSON list (from 0).

    A row of a table is an object; one of JSON may be any value. `expected` says in messages which file to name instead.
    Raises `DataError` where the file is missing, empty, of another kind or malformed.
    """
    content = content_of(path, expected)
    if content.startswith(_PARQUET):
        yield from _table(path, tables.parquet_rows(path, content))
    elif content.startswith(_ZIP):
        cells = tables.sheet_cells(path, content)
        yield from ((f"{path}: row {number}", row) for number, row in _under_head(path, cells))
    else:
        text = _decoded(path, content)
        begins = text.lstrip()[:1]
        separator = None if begins in ("{", "[") else _separator(text)
        yield from _json_rows(path, text) if separator is None else _separated(path, text, separator)


def content_of(path: Path, expected: str = "") -> bytes:
    """`unpacked`; raises `DataError` as well where the file is of a kind that holds no rows and no JSON."""
    content = unpacked(path, expected)
    _refuse_foreign(path, content)
    return content


def parsed(content: bytes) -> Any:
    """The value of one JSON document in UTF-8, 16 or 32.

    Raises `ValueError` where it is none, holds a number of thousands of digits or gives a key of an object twice, since
    one of the two values would be dropped without a word (then a `RepeatedKey`), and `RecursionError` where it is
    nested without end.
    """
    return _DECODER.decode(_with_whole_letters(_text(content)))


class RepeatedKey(ValueError):
    """A key that one object of JSON has twice."""


def is_pickle(content: bytes) -> bool:
    """Whether these bytes begin as a pickle of Python 3 does (and of Python 2's binary kind)."""
    return bool(_PICKLE.match(content))


def unpacked(path: Path, expected: str = "") -> bytes:
    """A file's bytes, without the gzip around them; raises `DataError` where it cannot be read."""
    try:
        content = path.read_bytes()
        for _ in range(_LAYERS):
            if content.startswith(_GZIP):
                content = _gunzipped(path, content)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file" + (f"; name {expected}" if expected else "")) from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder; name {expected or 'a file'}" + (" in it" if expected else "")) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if content.startswith(_GZIP):
        raise DataError(f"{path} is gzip in gzip, more than {_LAYERS} times; {_UNPACK}")
    return content


def _gunzipped(path: Path, packed: bytes) -> bytes:
    with gzip.open(io.BytesIO(packed)) as stream:
        content = stream.read(LARGEST + 1)
    _refuse_a_bomb(path, len(content))
    return content


def _refuse_a_bomb(path: Path, size: int) -> None:
    if size > LARGEST:
        raise DataError(f"{path} unpacks to more than {LARGEST:,} bytes; {_UNPACK}, or write fewer rows into it")


def _refuse_foreign(path: Path, content: bytes) -> None:
    markup = content[:64].lstrip().lower()
    for start, kind, remedy in _FOREIGN:
        if (markup if start.startswith(b"<") else content).startswith(start):
            raise DataError(f"{path} is {kind}; {remedy}")
    if content[257:262] == b"ustar":
        raise DataError(f"{path} is a tar archive; {_UNPACK}")
    if is_pickle(content):
        raise DataError(f"{path} is a Python pickle, which is never opened since it can hold code; {_EXPORT}")
    if content.startswith(_ZIP):
        sizes = _sizes(content)
        if _SHEET not in sizes:
            raise DataError(f"{path} is a zip archive; {_UNPACK}")
        _refuse_a_bomb(path, sum(sizes.values()))


def _sizes(archive: bytes) -> dict[str, int]:
    """Name -> bytes of each file in an archive, none where it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return {entry.filename: entry.file_size for entry in opened.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError):  # damaged, of another version, no names
        return {}


def _decoded(path: Path, content: bytes) -> str:
    try:
        return _text(content)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); expected {ROWS}, as UTF-8"
        ) from error


def _text(content: bytes) -> str:
    return content.decode(json.detect_encoding(content))  # UTF-8, 16 or 32, by the first bytes


def _with_whole_letters(text: str) -> str:
    r"""JSON text without halves of pairs of \u escapes: one is left of an answer that was cut within an emoji, is no
    letter and could be written to no file. In its place, and as long, stands the sign of replacement."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _LONE_SURROGATE.sub(lambda match: match["whole"] or "\\ufffd", text)


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """The values of JSON text, one after another; of a list that is alone, its items."""
    values = _json_values(path, text)
    first = next(values, None)
    if first is None:
        return
    second = next(values, None)
    items = _items(first[1]) if second is None else None
    if items is not None:
        yield from ((f"{path}: {position}", item) for position, item in items)
        return
    yield f"{path}:{first[0]}", first[1]
    if second is not None:
        yield f"{path}:{second[0]}", second[1]
    yield from ((f"{path}:{line}", value) for line, value in values)


def _items(document: Any) -> list[tuple[str, Any]] | None:
    """The rows of one JSON document: of a list, or of the object in which lmms-eval wrote them until 0.2."""
    if isinstance(document, list):
        return [(f"[{index}]", item) for index, item in enumerate(document)]
    if isinstance(document, dict) and isinstance(document.get("logs"), list):
        return [(f"logs[{index}]", item) for index, item in enumerate(document["logs"])]
    return None


def _json_values(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """(line that it begins on, value) of JSON values that stand one after another: JSON lines, or indented objects."""
    position, line = 0, 1
    text = _with_whole_letters(text)
    while True:
        start = _end_of_blanks(text, position)
        line += text.count("\n", position, start)
        if start == len(text):
            return
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:  # numbers of thousands of digits, and endless brackets, too
            cut = error if isinstance(error, json.JSONDecodeError) else None
            # a cut list is told where it is cut; a cut line swallows what follows, and is told where it begins
            at = cut.lineno if cut and text[start] == "[" else line
            reason = cut.msg if cut else error
            if isinstance(error, RepeatedKey):
                reason = f"the key '{error}' is given twice in one object"
            elif cut and (foreign := _no_json(text, cut.pos)):
                reason = foreign
            raise DataError(f"{path}:{at}: not valid JSON ({reason}); one JSON value a line is expected") from error
        yield line, value
        line += text.count("\n", start, position)


def _no_json(text: str, position: int) -> str:
    """What stands at a place of a text instead of JSON, where that can be told; else nothing."""
    rest, before = text[position : position + 80].lstrip(), text[:position].rstrip()[-1:]
    if rest[:1] in ("]", "}") and before == ",":
        return f"a comma stands before the {rest[0]}"
    if rest[:1] == "," and before in ("]", "}"):
        return "a comma stands behind a value: rows of JSON lines have none between them"
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments"
    if rest[:1] == "'":
        return "texts in single quotes, as Python prints them: JSON has double ones"
    return ""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise RepeatedKey(next(key for index, key in enumerate(keys) if key in keys[:index]))
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats)


def _end_of_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _separator(text: str) -> str | None:
    """What separates the cells of a table's head; None where there are no two cells."""
    head = text.lstrip().split("\n", 1)[0]
    best = max(_SEPARATORS, key=head.count)
    return best if head.count(best) else None


def _separated(path: Path, text: str, separator: str) -> Iterator[tuple[str, Any]]:
    cells = _lines_of_cells(path, text, separator)
    yield from ((f"{path}:{line}", row) for line, row in _under_head(path, cells))


def _under_head(path: Path, rows: Sequence[tuple[int, list[str]]]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of each line of cells but the first, which has the names of the columns; one without is no column."""
    if not rows:
        return
    head = _head(path, rows[0][1])
    for line, cells in rows[1:]:
        if len(cells) != len(head):
            raise DataError(f"{path}:{line}: {len(cells)} cells under a head of {len(head)}; quote what holds one")
        yield line, {name: cell for name, cell in zip(head, cells, strict=True) if name}


def _lines_of_cells(path: Path, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """(line that it begins on, cells) of each row that is not blank."""
    rows = []
    former = csv.field_size_limit(_LARGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        line = 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{line}: neither JSON nor a table ({error}); expected {ROWS}") from error
    finally:
        csv.field_size_limit(former)
    return rows


def _head(path: Path, cells: Sequence[str]) -> list[str]:
    head = [cell.strip() for cell in cells]
    twice = next((name for index, name in enumerate(head) if name and name in head[:index]), None)
    if twice is not None:
        raise DataError(f"{path}:1: the column '{twice}' is there twice; keep one")
    return head


def _table(path: Path, rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for number, row in enumerate(rows, start=2):
        if any(value not in ("", None) for value in row.values()):
            yield f"{path}: row {number}", row
