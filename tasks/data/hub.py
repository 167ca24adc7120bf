"""Benchmarks as the hub has them: parquet files at one revision, read through `datasets`.

Nothing is read from there unless the data root says so (`tasks.data.root`; STROP_HUB): the hub itself, or a folder in
which copies of its repositories lie as owner/name. A benchmark's `sources.py` pins the revision; only the files of the
split are fetched, and no code from there is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from harness.errors import DataError, MissingError, PictureError
from harness.pictures import decode_picture, open_picture
from harness.wording import first_line
from tasks.data.root import HUB_VARIABLE, DataRoot
from tasks.data.rows import Row, listed


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSource:
    """Where the hub has a split: repository, commit, the files below it, the column of pictures and the others."""

    id: str
    revision: str
    files: str
    picture: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.id}@{self.revision[:8]}"


@dataclass(frozen=True, slots=True)
class HubPicture:
    """A picture in a table of the hub, decoded when it is called. Two are equal that are one row of the same files."""

    source: str
    row: int
    table: Any = field(repr=False, compare=False)
    column: str = field(repr=False, compare=False)
    files: str = field(default="", repr=False)

    def __call__(self) -> Image:
        stored = self.table[self.row][self.column] or {}
        if stored.get("bytes"):
            return decode_picture(stored["bytes"], f"{self.source}: row {self.row}")
        if stored.get("path"):  # a table that names its pictures' files
            return open_picture(Path(stored["path"]))
        raise PictureError(f"{self.source}: row {self.row} holds no picture")


@dataclass(frozen=True, slots=True)
class HubTable:
    """The rows of a source, whose pictures stay encoded until they are called."""

    source: HubSource
    table: Any

    def rows(self) -> Iterator[tuple[Row, HubPicture | None]]:
        """Each row without its picture, and the picture where it has one."""
        column = self.source.picture
        has_picture = self.table.data.column(column).is_valid().to_pylist()
        for index, content in enumerate(self.table.remove_columns(column)):
            picture = HubPicture(self.source.name, index, self.table, column, self.source.files)
            yield Row(f"{self.source.name}: row {index}", content), picture if has_picture[index] else None


def read_hub(source: HubSource, data: DataRoot) -> HubTable:
    """The table of a source, fetched where it is not in the hub's own cache.

    Raises `MissingError` where the hub or the folder does not have it and `DataError` where its columns are others.
    """
    import datasets

    copy = data.hub / source.id if isinstance(data.hub, Path) else None
    if copy is not None and not any(copy.glob(source.files)):
        raise MissingError(f"{copy / source.files}: no such file; {HUB_VARIABLE} names a folder with copies of the hub")
    try:
        table = datasets.load_dataset(
            source.id if copy is None else str(copy),
            data_files={"test": source.files},
            split="test",
            revision=source.revision if copy is None else None,
            # the counts in a repository's card are those of all its files, and some cards are out of date
            verification_mode="no_checks",
        )
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = first_line(error)
        raise MissingError(
            f"{source.name} cannot be read from {copy or 'the hub'} ({reason}); without {HUB_VARIABLE} the data folder "
            "is read"
        ) from error
    missing = [name for name in (source.picture, *source.columns) if name not in table.column_names]
    if missing:
        raise DataError(f"{source.name} has no column {listed(missing)}; found {listed(table.column_names, 20)}")
    return HubTable(source, table.cast_column(source.picture, datasets.Image(decode=False)))


def questions_from(source: HubSource, data: DataRoot) -> dict[str, str]:
    """The entry of a result's `info` that says where the questions are read from."""
    return {"questions": source.name if data.hub else "data folder"}


def required_picture(row: Row, picture: HubPicture | None) -> tuple[HubPicture]:
    """The images of a question that has one; raises `MissingError` where the row has none."""
    if picture is None:
        raise MissingError(f"{row.location}: the row has no picture")
    return (picture,)
