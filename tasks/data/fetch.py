"""Other people's files brought into a folder: resumed, verified, unpacked without leaving it, and never half there.

The only module that imports httpx2. What is on its way to `name` lies beside it as `name.part`, and `name.part.tag`
holds what the server calls that version of it (ETag, or Last-Modified): without it the end of another version might be
put after the beginning of this one.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO, cast
from urllib.parse import quote

import httpx2

from harness.disks import reading, writing
from harness.errors import DataError, MissingError, UsageError
from harness.files import digest_of_file
from harness.types import Advance

Begin = Callable[[str, int | None], Advance]
"""Given a name and the bytes to come (None: not known), returns what is told of every piece."""

ARCHIVES = (".zip", ".tar.gz", ".tgz")

CHUNK = 1 << 20

SECONDS = 30.0
"""How long a server may say nothing."""


def fetch(origin: str, name: str, target: Path, *, sha256: str | None, begin: Begin) -> str:
    """Bring file `name` of `origin`, a base URL or a folder, to `target`; returns its SHA-256.

    `target` appears when all of it is there, its digest is `sha256` (None: any) and, if it is an archive, no entry
    leaves its folder. Else nothing is left, but for the `.part` of a cut connection, from which the next call goes on.
    Raises `UsageError` for an `origin` that is neither, `MissingError` where it does not have the file, and `DataError`
    for all else.
    """
    is_url = origin.startswith(("http://", "https://"))
    if not is_url and not Path(origin).is_dir():
        raise UsageError(f"{origin} is neither a folder nor an http(s) URL; name the base URL of a mirror, or a folder")
    partial = target.with_name(f"{target.name}.part")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if is_url:
            _download(f"{origin.rstrip('/')}/{quote(name)}", partial, begin)
        else:
            _copy(Path(origin) / name, partial, begin)
        try:
            digest = digest_of_file(partial)
            if sha256 not in (None, digest):
                raise DataError(
                    f"{name} of {origin} has the SHA-256 {digest} and not {sha256}; it was not kept: name another "
                    "mirror, or its digest if this is the version you want"
                )
            if is_archive(target):
                with _entries(partial, target.name):
                    pass
        except DataError:
            _drop(partial)
            raise
        partial.replace(target)
        _drop(partial)
    return digest


def is_archive(path: Path) -> bool:
    """Whether a file is to be unpacked, by its name."""
    return path.name.endswith(ARCHIVES)


def unpack(archive: Path, begin: Begin) -> int:
    """Unpack an archive into the folder it lies in; returns the number of files written.

    Nothing is written unless every entry is a file or a folder that stays there, and no other file is in the way: else
    `DataError`. Each file appears whole, and a file of the right size is kept: the next call goes on after a cut one.
    """
    with writing(archive.parent), _entries(archive, archive.name) as entries:
        missing = [entry for entry in entries if not _is_unpacked(entry)]
        advance = begin(f"unpacking {archive.name}", sum(entry.size for entry in missing))
        for entry in missing:
            entry.path.parent.mkdir(parents=True, exist_ok=True)
            partial = entry.path.with_name(f"{entry.path.name}.part")
            try:
                with entry.open() as source, partial.open("wb") as stream:
                    shutil.copyfileobj(source, stream, CHUNK)
                partial.replace(entry.path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            advance(entry.size)
        return len(missing)


# On the way -----------------------------------------------------------------------------------------------------------


def _copy(source: Path, target: Path, begin: Begin) -> None:
    if not source.is_file():
        raise MissingError(f"{source}: no such file")
    with reading(source):
        opened = source.open("rb")
    with opened as stream:
        _append(iter(partial(stream.read, CHUNK), b""), target, "wb", begin(source.name, source.stat().st_size))


def _download(url: str, partial: Path, begin: Begin) -> None:
    """Bring what is at a URL to `partial`: the rest where its beginning is there and is still of the same version."""
    begun = partial.stat().st_size if partial.is_file() and _tag(partial).is_file() else 0
    for start in dict.fromkeys((begun, 0)):
        # encoded on the way, other bytes would come than those that have the digest
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": _tag(partial).read_text(encoding="utf-8")}
        with (
            _connection_told(url, partial),
            httpx2.stream("GET", url, headers=headers, follow_redirects=True, timeout=SECONDS) as response,
        ):
            is_whole = response.status_code == httpx2.codes.OK
            if is_whole:
                _begin_anew(partial, _version(response))
            elif not (start and _is_the_rest(response, start, partial)):
                if start:
                    continue  # another version, or all of it was there: ask for the whole
                raise _refused(url, response)
            done = 0 if is_whole else start
            length = response.headers.get("content-length", "")
            advance = begin(url.rsplit("/", 1)[-1], done + int(length) if length.isdigit() else None)
            advance(done)
            _append(response.iter_raw(), partial, "ab", advance)
            return


def _append(pieces: Iterator[bytes], partial: Path, mode: str, advance: Advance) -> None:
    with partial.open(mode) as opened:
        stream = cast(IO[bytes], opened)
        for piece in pieces:
            stream.write(piece)
            advance(len(piece))
        stream.flush()
        os.fsync(stream.fileno())


def _begin_anew(partial: Path, version: str | None) -> None:
    _drop(partial)
    partial.touch()
    if version:
        _tag(partial).write_text(version, encoding="utf-8")


def _is_the_rest(response: httpx2.Response, start: int, partial: Path) -> bool:
    stored_tag = _tag(partial).read_text(encoding="utf-8")
    begins = response.headers.get("content-range", "").startswith(f"bytes {start}-")
    return (
        response.status_code == httpx2.codes.PARTIAL_CONTENT
        and begins
        and (_version(response) or stored_tag) == stored_tag
    )


def _version(response: httpx2.Response) -> str | None:
    return response.headers.get("etag") or response.headers.get("last-modified")


def _refused(url: str, response: httpx2.Response) -> DataError:
    status = f"{url}: {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code in (httpx2.codes.NOT_FOUND, httpx2.codes.GONE):
        return MissingError(status)
    return DataError(f"{status}; name another mirror, or try again later")


def _tag(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.tag")


def _drop(partial: Path) -> None:
    for path in (partial, _tag(partial)):
        path.unlink(missing_ok=True)


# Archives -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A file of an archive: where it belongs, its size in bytes, and how to read it."""

    path: Path
    size: int
    open: Callable[[], IO[bytes]]


@contextmanager
def _entries(archive: Path, name: str) -> Iterator[list[_Entry]]:
    """The files of an archive that would be unpacked beside it; raises `DataError` if any entry must not be."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as pack:
                yield _zip_entries(pack, archive.parent, name)
        else:
            with tarfile.open(archive) as pack:
                yield _tar_entries(pack, archive.parent, name)
    except _BROKEN as error:
        raise DataError(f"{name} does not open as an archive ({error}); fetch it anew") from error


_BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError)


def _zip_entries(pack: zipfile.ZipFile, folder: Path, name: str) -> list[_Entry]:
    entries = []
    for info in pack.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0: packed where there are no kinds
        if info.flag_bits & 1:
            raise DataError(f"{name} is encrypted; unpack it by hand")
        path = _inside(folder, info.filename, info.is_dir() or kind in (0, stat.S_IFREG), name)
        if not info.is_dir():
            entries.append(_Entry(path=path, size=info.file_size, open=partial(pack.open, info)))
    return entries


def _tar_entries(pack: tarfile.TarFile, folder: Path, name: str) -> list[_Entry]:
    entries = []
    for member in pack.getmembers():
        path = _inside(folder, member.name, member.isfile() or member.isdir(), name)
        if member.isfile():
            opened = cast(Callable[[], IO[bytes]], partial(pack.extractfile, member))
            entries.append(_Entry(path=path, size=member.size, open=opened))
    return entries


def _inside(folder: Path, entry: str, plain: bool, name: str) -> Path:
    """The path of an entry; raises `DataError` where it is neither file nor folder, or lies outside, links followed."""
    if not plain:
        raise DataError(f"{name}: its entry '{entry}' is a link or a device; nothing was unpacked: name another mirror")
    spoken = PureWindowsPath(entry)  # the stricter reading: both slashes part, and drives are known
    strays = spoken.anchor or ".." in spoken.parts or "\0" in entry
    if strays or not (folder / entry).resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{name}: its entry '{entry}' leaves the folder; nothing was unpacked: name another mirror")
    return folder / entry


def _is_unpacked(entry: _Entry) -> bool:
    if not entry.path.exists():
        return False
    if not entry.path.is_file() or entry.path.stat().st_size != entry.size:
        raise DataError(f"{entry.path} is in the way of an archive's file of {entry.size} bytes; move it away")
    return True


# What went wrong ------------------------------------------------------------------------------------------------------


@contextmanager
def _connection_told(url: str, partial: Path) -> Iterator[None]:
    """Raise `DataError` where a connection fails; what ends it, a stop too, is told what is kept."""

    def kept() -> str:
        size = partial.stat().st_size if partial.is_file() and _tag(partial).is_file() else 0
        return f"{size} bytes are kept, and the same command goes on from there" if size else ""

    try:
        yield
    except KeyboardInterrupt as stop:
        if kept():
            stop.add_note(kept())
        raise
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        remedy = kept() or "is the address right, and does the server run?"
        raise DataError(f"{url}: {str(error) or type(error).__name__}; {remedy}") from error
