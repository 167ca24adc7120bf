"""Other people's data: which files a benchmark needs, whose they are, under which licence, and where they lie.

None of them is part of Strop, and IC's set is made of them. They lie in the data folder, one folder a task; the file
`sources.py` of a benchmark lists its own, and `strop data` shows and fetches them. Digests are those of the commit that
`origin` names. A table that somebody had to turn into JSON has none, since two people's JSON of it differ in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.files import digest_of_file


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file of somebody else's, or made of such files.

    `file` is its path below the task's folder, `about` what is in it, `origin` the repository or hub id it comes from,
    `sha256` its digest where there is one known. Marking stops without a file that is `needed`, unless there is one
    that says it may stand `instead_of` it. An archive leaves `unpacked`, a glob pattern below the task's folder. A copy
    that lies in the folder of a task of `shared_with` will do.
    """

    task: str
    file: str
    about: str
    origin: str
    licence: str
    sha256: str | None = None
    needed: bool = False
    instead_of: str | None = None
    unpacked: str | None = None
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """What the data folder has of a source: `sha256` is that of the file, None where only its contents are left. `path`
    is below the task's folder, or below that of the task whose copy serves.

    `state` is "missing", "unpacked" (contents without the archive), "as published" (the digest is the known one),
    "another version" (it is not) or "here" (no digest is known).
    """

    source: Source
    path: Path
    sha256: str | None
    state: str


LLAVA_EVALUATION = "haotian-liu/LLaVA 32cebc38 (pull request 1199), playground/data/eval/"
"""Where LLaVA's authors keep the questions that they ask of benchmarks."""


def stored_file(data: Path, source: Source) -> StoredFile:
    """What `data` has of a source. The file is read to the end for its digest."""
    folder = folder_with(data, source)
    path = (folder or data / source.task) / source.file
    if not path.is_file():
        return StoredFile(source=source, path=path, sha256=None, state="unpacked" if folder else "missing")
    digest = digest_of_file(path)
    state = "here" if source.sha256 is None else "as published" if digest == source.sha256 else "another version"
    return StoredFile(source=source, path=path, sha256=digest, state=state)


def stand_ins(source: Source, sources: Iterable[Source]) -> tuple[Source, ...]:
    """Those of `sources` that may stand in for one, the closest first."""
    return tuple(other for other in sources if other.task == source.task and other.instead_of == source.file)


def folder_with(data: Path, source: Source) -> Path | None:
    """The folder that has the file, or what it was unpacked into: the task's, else one whose copy serves, else None."""
    for task in (source.task, *source.shared_with):
        folder = data / task
        if (folder / source.file).is_file() or (source.unpacked is not None and any(folder.glob(source.unpacked))):
            return folder
    return None
