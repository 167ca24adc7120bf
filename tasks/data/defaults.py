"""Files of answers, questions and truth that were not named: where they lie in the data folder."""

from __future__ import annotations

from pathlib import Path

from harness.errors import DataError
from tasks.data.root import DATA_VARIABLE


def default_file(option: str, folder: Path, *names: str) -> Path:
    """The first of these files of a task's folder that is there; raises `DataError` that names the option to give."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(
        f"{option} was not given and {folder / names[0]} does not exist; name the file, or put it into {folder} "
        f"(--data or {DATA_VARIABLE} say which folder that is in); `strop data list` says where it comes from"
    )


def optional_file(path: Path) -> Path | None:
    """The file, None where it is not there."""
    return path if path.exists() else None
