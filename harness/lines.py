"""Files of JSON lines that are appended to for days: each line has a check, and a damaged one does not cost the others.

A damaged line is told, copied into a file beside (its name ends in `DAMAGED`), and blanked out where it was: nothing is
deleted, and no offset moves under another process that appends. Lines of before the check was added have none, and
count as they are.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.disks import reading
from harness.errors import DataError
from harness.files import json_text, parsed, utf8

DAMAGED = ".damaged"

_CHECK = re.compile(rb', "check": (\d+)\}\s*$')


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A whole line of a file: its number from 1, where it starts, its bytes, and what it holds; of a damaged one
    `reason` says what is wrong with it."""

    number: int
    start: int
    content: bytes
    entry: Mapping[str, Any]
    reason: str = ""


def checked_line(entry: Mapping[str, Any]) -> bytes:
    """An object as a line with the CRC-32 of its JSON, which finds every change of up to 32 bits in a row."""
    content = utf8(json_text(entry))
    return content[:-1] + b', "check": %d}\n' % zlib.crc32(content)


def whole_lines(stream: BinaryIO, fields: Sequence[str]) -> Iterator[Line]:
    """The lines of a stream that end, damaged ones among them, each an object that has these fields; what was set aside
    before is passed over."""
    start = 0
    for number, content in enumerate(stream, start=1):
        if not content.endswith(b"\n"):
            return
        if content.strip():
            yield line_of(content, fields, number, start)
        start += len(content)


def read_lines(path: Path, fields: Sequence[str]) -> list[dict[str, Any]]:
    """What the whole lines hold, for those who only read; raises `DataError` naming a damaged one."""
    with reading(path), path.open("rb") as stream:
        lines = list(whole_lines(stream, fields))
    for line in lines:
        if line.reason:
            raise DataError(
                f"{path}:{line.number}: {line.reason}; the command that wrote it sets the line aside and does again "
                "what it was about"
            )
    return [dict(line.entry) for line in lines]


def drop_half_line(path: Path) -> None:
    """Cut off the last line where it does not end: its writer was killed."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def set_aside(path: Path, damaged: Sequence[Line]) -> None:
    """Move damaged lines into the file beside, and tell of each; where the disk refuses they stay, and are told."""
    log, aside = logging.getLogger(__name__), path.with_name(path.name + DAMAGED)
    try:
        _move(path, aside, damaged)
    except OSError as error:
        log.warning("%s: damaged lines stay where they are (%s)", path, error.strerror or error)
        aside = path
    for line in damaged:
        log.warning("%s:%d: %s; the line is in %s, what it held is done again", path, line.number, line.reason, aside)


def _move(path: Path, aside: Path, damaged: Sequence[Line]) -> None:
    with path.open("r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # others may append meanwhile, or set the same lines aside
        unmoved = [line for line in damaged if os.pread(stream.fileno(), len(line.content), line.start) == line.content]
        with aside.open("ab") as copies:
            copies.writelines(line.content for line in unmoved)
            copies.flush()
            os.fsync(copies.fileno())
        for line in unmoved:
            os.pwrite(stream.fileno(), b" " * (len(line.content) - 1), line.start)
        os.fsync(stream.fileno())


def line_of(content: bytes, fields: Sequence[str], number: int = 1, start: int = 0) -> Line:
    """A line by its bytes, or a JSON document of an object without a check."""
    reason, entry = "", {}
    match = _CHECK.search(content)
    if match and zlib.crc32(content[: match.start()] + b"}") != int(match[1]):
        reason = "the line is not as it was written"
    else:
        try:
            entry = _entry(content, fields)
        except ValueError as error:
            reason = str(error)
    return Line(number=number, start=start, content=content, entry=entry, reason=reason)


def _entry(content: bytes, fields: Sequence[str]) -> dict[str, Any]:
    try:
        entry = parsed(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("not valid JSON") from error
    if not isinstance(entry, dict):
        raise ValueError(f"expected an object, found {type(entry).__name__}")
    if missing := [name for name in fields if name not in entry]:
        raise ValueError(f"the line has no {missing[0]}")
    entry.pop("check", None)
    return entry
