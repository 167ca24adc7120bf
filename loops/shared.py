"""Finished stages that several runs share: done by the first run that needs one, taken over by the others.

A stage lies under its kind and the digest of its inputs, with the ledger line of the run that did it. Files are hard
links to that run's where the file system has them, so that sharing takes no space.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.disks import writing
from harness.files import digest_of_bytes, digest_of_file, write_bytes
from harness.lines import DAMAGED, checked_line, line_of
from harness.runs.names import SHARED_FILES, SHARED_LINE

LINE_FIELDS = ("outputs", "facts", "cost")
"""What the line of a shared stage has at least."""


@contextmanager
def locked(stage: Path) -> Iterator[Path]:
    """One shared stage, for one process at a time: another that needs it waits, and then takes it."""
    stage.parent.mkdir(parents=True, exist_ok=True)
    with stage.with_name(f".{stage.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield stage


def take(stage: Path, folder: Path) -> dict[str, Any] | None:
    """Fill the folder with the stage that lies there, and give its ledger line; None where none lies whole."""
    if not (stage / SHARED_LINE).is_file():
        return None
    line, files = line_of((stage / SHARED_LINE).read_bytes(), LINE_FIELDS), stage / SHARED_FILES
    if not line.reason and files.is_dir() and digest_of_folder(files) == line.entry["outputs"]:
        _link_all(files, folder)
        return dict(line.entry)
    set_folder_aside(stage)
    return None


def keep(stage: Path, folder: Path, line: dict[str, Any]) -> None:
    """Put a finished stage there, whole or not at all."""
    partial = stage.with_name(f".{stage.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _link_all(folder, partial / SHARED_FILES)
    write_bytes(partial / SHARED_LINE, checked_line(line))
    shutil.rmtree(stage, ignore_errors=True)
    partial.rename(stage)


def digest_of_folder(folder: Path) -> str:
    """SHA-256 over the relative names and the bytes of all files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    words = [word for path in files for word in (str(path.relative_to(folder)), digest_of_file(path))]
    return digest_of_bytes(*(word.encode() for word in words))


def set_folder_aside(folder: Path) -> None:
    """Rename the folder of a stage that is not as the stage left it, and tell of it."""
    number = 1 + len(list(folder.parent.glob(f".{folder.name}{DAMAGED}-*")))
    aside = folder.with_name(f".{folder.name}{DAMAGED}-{number}")
    with writing(aside):
        folder.rename(aside)
    logging.getLogger(__name__).warning(
        "%s is not as its ledger says, or the ledger not as it was; it is set aside as %s, and the stage done again",
        folder, aside,
    )  # fmt: skip


def _link_all(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
