"""Published figures, each with its source: the tables in `reported/`, one figure a line.

A table is CSV with the columns `COLUMNS`. It is read strictly: a figure that is set beside measured ones must be the
one that was printed, so a cell that is not what its column holds is an error that names file and line, never skipped.
Source of the shipped tables: protocols, section 3.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from decimal import Decimal
from pathlib import Path

from harness.errors import DataError, UsageError

FOLDER = Path(__file__).parent / "reported"

STAGES = ("before", "after")
UNITS = ("%",)
DIRECTIONS = ("higher", "lower")
SOURCE_KINDS = ("README", "project page", "paper table", "model card", "leaderboard", "issue", "secondary notes")

_MAY_BE_BLANK = ("system", "variant", "note")
_ONE_OF = {"stage": STAGES, "unit": UNITS, "better": DIRECTIONS, "source_kind": SOURCE_KINDS}
_PLAIN_NUMBER = re.compile(r"\d{1,3}(\.\d{1,6})?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """One published figure.

    `system` is what was done to `model` (blank: the model alone, then `stage` is "before"); `variant` is the round or
    setting. `value` keeps the digits that were printed, in `unit`. `better` is "higher" or "lower". `source` names the
    page, `source_kind` what kind of page it is: "secondary notes" are somebody's reading of a paper and not the paper.
    """

    system: str
    model: str
    variant: str
    stage: str
    benchmark: str
    metric: str
    value: Decimal
    unit: str
    better: str
    source: str
    source_kind: str
    note: str

    @property
    def fraction(self) -> float:
        """The figure as boards and intervals have it: 85.9 % is 0.859."""
        return float(self.value.scaleb(-2))

    @property
    def claim(self) -> tuple[str, ...]:
        """What the figure is of: two figures with one claim are a before and an after."""
        return self.system, self.model, self.variant, self.benchmark, self.metric

    @property
    def printed(self) -> str:
        """Value and unit."""
        return f"{self.value} {self.unit}"


COLUMNS = tuple(field.name for field in fields(Reported))


def read_tables(folder: Path = FOLDER) -> tuple[Reported, ...]:
    """The figures of every table in a folder, by file name and then by line; raises `DataError` as `read_table`."""
    return tuple(figure for path in sorted(folder.glob("*.csv")) for figure in read_table(path))


def read_table(path: Path) -> tuple[Reported, ...]:
    """The figures of one table.

    Raises `DataError` naming file and line for other columns than `COLUMNS`, a line of another length, a cell that is
    blank, padded or not what its column holds, and a figure given twice.
    """
    figures: dict[tuple[str, ...], tuple[int, Reported]] = {}
    for line, cells in _lines(path):
        figure = _figure(f"{path}:{line}", cells)
        first, _ = figures.setdefault((*figure.claim, figure.stage), (line, figure))
        if first != line:
            raise DataError(f"{path}:{line}: this figure is already given at line {first}; keep one of the two")
    return tuple(figure for _, figure in figures.values())


def as_csv(figures: Iterable[Reported]) -> str:
    """A table as `read_table` reads it, byte for byte the file that the figures were read from."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(figure) for figure in figures)
    return content.getvalue()


def paired(figures: Iterable[Reported]) -> list[dict[str, Reported]]:
    """The figures by claim, each claim's under their stage; either stage may be missing."""
    claims: dict[tuple[str, ...], dict[str, Reported]] = {}
    for figure in figures:
        claims.setdefault(figure.claim, {})[figure.stage] = figure
    return list(claims.values())


def of_benchmark(figures: Sequence[Reported], name: str) -> tuple[Reported, ...]:
    """The figures on one benchmark, in any case; raises `UsageError` with the nearest name for an unknown one."""
    benchmarks = {figure.benchmark.lower(): figure.benchmark for figure in figures}
    if name.lower() not in benchmarks:
        near = difflib.get_close_matches(name.lower(), benchmarks, n=1)
        hint = f"; did you mean '{benchmarks[near[0]]}'?" if near else ""
        raise UsageError(f"no published figures on '{name}'{hint} (there are some on {', '.join(benchmarks.values())})")
    return tuple(figure for figure in figures if figure.benchmark.lower() == name.lower())


def _lines(path: Path) -> Iterable[tuple[int, list[str]]]:
    """(line number from 1, cells) after the heading; blank lines are skipped."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            try:
                if (heading := next(reader, [])) != list(COLUMNS):
                    columns = ",".join(heading)
                    raise DataError(f"{path}:1: the columns must be {','.join(COLUMNS)}, found {columns!r:.100}")
                yield from ((reader.line_num, cells) for cells in reader if cells)
            except csv.Error as error:
                raise DataError(f"{path}:{reader.line_num}: not valid CSV ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _figure(location: str, cells: Sequence[str]) -> Reported:
    if len(cells) != len(COLUMNS):
        raise DataError(
            f"{location}: {len(cells)} cells where {len(COLUMNS)} are wanted; quote cells that hold a comma"
        )
    row = dict(zip(COLUMNS, cells, strict=True))
    for column, text in row.items():
        if not text and column not in _MAY_BE_BLANK:
            raise DataError(f"{location}: {column} is blank; every figure needs one")
        if text != " ".join(text.split()):
            raise DataError(f"{location}: {column} is {text!r:.60}; take the extra spaces or line breaks away")
        if column in _ONE_OF and text not in _ONE_OF[column]:
            raise DataError(f"{location}: {column} must be one of {', '.join(_ONE_OF[column])}, found {text!r:.60}")
    if not _PLAIN_NUMBER.fullmatch(row["value"]) or Decimal(row["value"]) > 100:
        raise DataError(f"{location}: value must be a number from 0 to 100 as printed, found {row['value']!r:.60}")
    if not row["system"] and row["stage"] != "before":
        raise DataError(f"{location}: a figure after something was done needs the system that did it; fill in system")
    return Reported(**{**row, "value": Decimal(row["value"])})  # type: ignore[arg-type]
