"""Rows of somebody else's files, read so that every complaint names the file, the line, the field and the remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.wording import counted
from tasks.data.containers import RepeatedKey, content_of, parsed, rows_of
from tasks.reading.tool_rows import VLMEVALKIT, with_answers

_WHOLE = re.compile(r"(\d+)\.0+")


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a file and the place it came from, e.g. ``answers.jsonl:12``.

    `expected` says, where it is known, which file has such rows: a missing field mostly means another file. `tool`
    names the harness that wrote the row, if one did: then the answer stands under each of `tool_rows.ANSWER_FIELDS`.
    """

    location: str
    content: Mapping[str, Any]
    expected: str = ""
    tool: str = ""

    def text(self, name: str) -> str:
        """A field that must be a string; raises `DataError` where it is missing or something else."""
        value = self._field(name)
        if not isinstance(value, str):
            raise self.wrong(name, "a string")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A field that must be a list of strings with at least one in it."""
        value = self._field(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.wrong(name, "a list of strings")
        return tuple(value)

    def integer(self, name: str) -> int:
        """A field that must be a whole number; 7.0 is one, see `identifier`."""
        value = self._field(name)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(name, "an integer")
        return value

    def one_of(self, name: str, allowed: Sequence[str]) -> str:
        """A field that must be one of these strings."""
        value = self.text(name)
        if value not in allowed:
            raise self.wrong(name, f"one of {', '.join(allowed)}")
        return value

    def inner(self, name: str) -> Row:
        """A field that must be an object, as a row of its own."""
        return as_row(f"{self.location}: {name}", self._field(name), self.expected)

    def identifier(self, name: str) -> str:
        """A field that must be an integer or a string that is not blank, as text: 7 and "7" name the same thing, and
        so does 7.0, which tables make of 7 where a column has gaps."""
        value = self._field(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
            raise self.wrong(name, "an integer or a string")
        whole = _WHOLE.fullmatch(str(value))
        return whole[1] if whole else str(value)

    def wrong(self, name: str, expected: str) -> DataError:
        """The error that says what a field holds and what it should."""
        shown = json.dumps(self._field(name), ensure_ascii=False, default=str)
        return DataError(f"{self.location}: field '{name}' must be {expected}, found {shown[:60]}")

    def _field(self, name: str) -> Any:
        if name not in self.content:
            fields = listed(list(self.content), 12) or "no field"
            column = "; VLMEvalKit's index is no id: add a column of it" if self.tool == VLMEVALKIT else ""
            raise DataError(
                f"{self.location}: field '{name}' is missing; found {fields}{column}{_to_name(self.expected)}"
            )
        return self.content[name]


def read_rows(path: Path, expected: str = "") -> Iterator[Row]:
    """The rows of a file in any container of `tasks.data.containers`, `expected` as in `Row`.

    Raises `DataError` for a file of another kind, broken JSON, a row that is no object, an empty file.
    """
    empty = True
    for location, content, tool in with_answers(rows_of(path, expected)):
        empty = False
        yield as_row(location, content, expected, tool)
    if empty:
        raise DataError(f"{path} is empty; expected one JSON object a line")


def read_document(path: Path, expected: str) -> Any:
    """A file that is one JSON document, gzipped or not; `expected` says in the message which file to name instead.

    Raises `DataError` where it is missing, cut off, no JSON, or gives a key of an object twice: one of the two values
    would be dropped without a word.
    """
    content = content_of(path, expected)
    try:
        return parsed(content)
    except RepeatedKey as error:
        raise DataError(f"{path}: the key '{error}' is given twice in one object; keep one") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}){_to_name(expected)}") from error


def is_document(path: Path, expected: str) -> bool:
    """Whether a file is one JSON document, rather than a row a line; raises `DataError` where it cannot be read."""
    try:
        parsed(content_of(path, expected))
    except RepeatedKey:
        return True
    except (ValueError, RecursionError):
        return False
    return True


def refuse_repeats(identified: Iterable[tuple[str, str]], field: str) -> None:
    """Raise `DataError` for the second of two (place, id) with one id."""
    first: dict[str, str] = {}
    for location, identifier in identified:
        if identifier in first:
            raise DataError(f"{location}: {field} {identifier} was already given at {first[identifier]}")
        first[identifier] = location


def refuse_unknown(identified: Iterable[tuple[str, str]], field: str, identifiers: Set[str], questions: Path) -> None:
    """Raise `DataError` for the first of (place, id) that answers no question."""
    for location, identifier in identified:
        if identifier not in identifiers:
            raise DataError(f"{location}: {field} {identifier} is no question of {questions}; another set's answers?")


def refuse_unanswered(answers: Path, unanswered: Sequence[str], answered: int, partial: bool) -> None:
    """Raise `DataError` where questions have no answer, unless that was asked for and there is at least one answer."""
    if unanswered and (not partial or not answered):
        remedy = "" if partial else "; complete the file, or ask for the answered part only (--partial)"
        questions = counted(len(unanswered), "question")
        raise DataError(f"{answers} has no answer to {questions}: {listed(unanswered)}{remedy}")


def as_row(location: str, content: Any, expected: str = "", tool: str = "") -> Row:
    """A parsed JSON value as a row; raises `DataError` where it is not an object."""
    if not isinstance(content, dict):
        raise DataError(f"{location}: expected an object, found {type(content).__name__}{_to_name(expected)}")
    return Row(location, content, expected, tool)


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first few names and how many more there are, for a message."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def is_list_of(kind: type, value: Any) -> bool:
    """Whether a JSON value is a list of `kind` and nothing else; true and false are no integers here."""
    return isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)


def _to_name(expected: str) -> str:
    return f"; the file to name is {expected}" if expected else ""
