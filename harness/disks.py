"""What disks and folders refuse, told in one line: the path, the reason, the remedy."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import DataError

_FULL = "make room, or name another place"
_IN_THE_WAY = "move what is in the way, or name another place"
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or name another place",
    errno.EACCES: "have its permissions changed, or name another place",
    errno.EPERM: "have its permissions changed, or name another place",
    errno.EROFS: "name a place on a disk that can be written",
    errno.ENAMETOOLONG: "name a shorter one",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: "move it away, or name another place",
    errno.ENOTEMPTY: _IN_THE_WAY,
    errno.ELOOP: "mend the links, or name another place",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine has too many files open",
}
_ELSE = "mend it, or name another place"

_PROBE = b"\n" * 4096


def trouble(error: OSError, path: Path | None = None, deed: str = "used") -> str:
    """An operating system's error as a line: what it is about (the file that it names, `path` where that is a temporary
    one of ours or none), what could not be done with it, why, and the remedy. An error of something else keeps its own
    words."""
    shown = path
    if isinstance(error.filename, str) and not (path and _is_temporary(Path(error.filename), path)):
        shown = Path(error.filename)
    if shown is None and error.errno not in _REMEDIES:
        return str(error) or type(error).__name__
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.EEXIST and shown is not None:
        reason = "a file is there" if shown.exists() else "a link that leads nowhere is there"
    remedy = _REMEDIES.get(error.errno or 0, _ELSE)
    return f"{shown or 'the output'} cannot be {deed if shown else 'written'} ({reason}); {remedy}"


def _is_temporary(named: Path, path: Path) -> bool:
    """Whether a file is, or lies in, what begins with a dot beside `path`."""
    return named.is_relative_to(path.parent) and any(
        component.startswith(".") for component in named.relative_to(path.parent).parts
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What keeps `path` from being written within it is a `DataError`."""
    try:
        yield
    except OSError as error:
        raise DataError(trouble(error, path, "written")) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What keeps `path` from being read within it is a `DataError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder; name a file") from error
    except OSError as error:
        raise DataError(trouble(error, path, "read")) from error


def refuse_unwritable_folder(folder: Path) -> None:
    """Raise `DataError` where no file can be made in a folder that is there or is to be; nothing is left behind.

    Called before work whose result goes there, so that it is not done in vain.
    """
    with writing(folder):
        if folder.is_file():
            raise DataError(f"{folder} is a file; name a folder")
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".strop.") as stream:
                stream.write(_PROBE)
        finally:
            for path in new:
                with contextlib.suppress(OSError):
                    path.rmdir()


def refuse_unwritable_file(path: Path) -> None:
    """The same for a file; one that is there is opened and left as it is."""
    with writing(path):
        try:
            path.lstat()  # the file system may find the name too long
        except (FileNotFoundError, NotADirectoryError):
            refuse_unwritable_folder(path.parent)
        else:
            path.open("ab").close()
