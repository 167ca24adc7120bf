"""Faults at a chosen operation on files: the process is killed there, half a line is left, or the disk is full.

It is installed in a process that `strop chaos` starts, and in no other. The operations below a folder are counted, over
that process and those that it forks: an opening to write, a renaming, a removal, a link, a new folder, a flush to the
disk. The fault comes before the operation, so that every state that a kill can leave of files is one that it leaves.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["kill", "torn line", "full disk"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

_PATHS: Mapping[str, tuple[int, int | None]] = {
    "open": (0, None),
    "os.rename": (0, 2),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
    "os.mkdir": (0, 2),
    "os.link": (1, 3),
    "os.truncate": (0, None),
    "shutil.copyfile": (1, None),
}
"""Audit events (PEP 578): where among its arguments the path stands, and the descriptor of the folder it is in."""

_FILLING = ("open", "os.mkdir", "os.link", "shutil.copyfile", "fsync")
"""What a full disk refuses: renaming and removing take no room."""

_SLOTS = struct.Struct("qq")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens at operation number `at`, counted from 1. A torn line is a kill in the middle of the last write: of
    what was appended and not flushed, `share` of the bytes are there."""

    kind: Kind
    at: int
    share: float = 0.5


class Shared:
    """Two numbers in a file, common to a process and what it forks: the operations counted, and the process at work
    below the first one (0: none)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(bytes(_SLOTS.size))
        with path.open("r+b") as stream:
            self._memory = mmap.mmap(stream.fileno(), _SLOTS.size)

    @property
    def operations(self) -> int:
        return int(_SLOTS.unpack_from(self._memory)[0])

    @property
    def below(self) -> int:
        return int(_SLOTS.unpack_from(self._memory)[1])

    def count(self) -> int:
        """Count an operation; returns its number."""
        number = self.operations + 1
        _SLOTS.pack_into(self._memory, 0, number, self.below)
        return number

    def name_below(self, process: int) -> None:
        _SLOTS.pack_into(self._memory, 0, self.operations, process)


class _Points:
    def __init__(self, folder: Path, shared: Shared, fault: Fault | None) -> None:
        self.folder, self.shared, self.fault = f"{folder}{os.sep}", shared, fault
        self.appended: tuple[str, int] | None = None  # the file that was opened last to append, and its size then
        self.is_full = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook."""
        if event not in _PATHS:
            return
        if event == "open" and (isinstance(arguments[0], int) or not (arguments[2] or 0) & _WRITING):
            return
        index, base = _PATHS[event]
        self.step(event, _absolute(arguments[index], arguments[base] if base is not None else -1))
        if event == "open" and arguments[2] & os.O_APPEND:
            self.appended = self._size(arguments[0])

    def step(self, event: str, path: str) -> None:
        """One operation; the fault, where this is its turn."""
        if not path.startswith(self.folder):
            return
        number = self.shared.count()
        if self.fault and number == self.fault.at:
            if self.fault.kind == "full disk":
                self.is_full = True
            else:
                self._die(self.fault)
        if self.is_full and event in _FILLING:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _die(self, fault: Fault) -> None:
        if fault.kind == "torn line" and self.appended:
            path, before = self.appended
            grown = Path(path).stat().st_size - before
            if grown > 1:
                os.truncate(path, before + max(1, int(grown * fault.share)))
        os.kill(os.getpid(), signal.SIGKILL)

    def _size(self, path: Any) -> tuple[str, int] | None:
        text = _absolute(path, -1)
        if not text.startswith(self.folder):
            return None
        return text, Path(text).stat().st_size if Path(text).exists() else 0


def install(folder: Path, shared: Shared, fault: Fault | None) -> None:
    """Count the operations below a folder from here on, in this process and those that it forks; the fault comes at its
    number."""
    points, flush = _Points(folder.resolve(), shared, fault), os.fsync

    def fsync(handle: int) -> None:
        points.step("fsync", _absolute(handle, -1))
        flush(handle)
        points.appended = None

    os.fsync = fsync  # type: ignore[assignment]  # ours is called with a number
    sys.addaudithook(points.hear)


def _absolute(path: Any, base: Any) -> str:
    """Where a path leads that may be one of an open folder, or the number of an open file; empty for what is none."""
    try:
        if isinstance(path, int):
            return str(Path(f"/proc/self/fd/{path}").readlink())
        text = os.fsdecode(path)
        if isinstance(base, int) and base >= 0 and not text.startswith(os.sep):
            text = f"{Path(f'/proc/self/fd/{base}').readlink()}{os.sep}{text}"
        return str(Path(text).absolute())
    except (OSError, TypeError, ValueError):
        return ""
