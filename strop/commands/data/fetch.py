"""`strop data fetch`: fetches the files of a task from a mirror, verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import DataError, MissingError, UsageError
from harness.wording import counted
from strop.options import DataOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from tasks.data.fetch import Begin
    from tasks.data.sources import Source


def fetch(
    task: Annotated[str, typer.Argument(help="A benchmark, as `strop data list` names it.", show_default=False)],
    origin: Annotated[str, typer.Option("--from", help="Base URL of a mirror (http, https), or a folder.")],
    files: Annotated[
        list[str] | None, typer.Option("--file", help="Only this file, also one that is not needed; repeatable.")
    ] = None,
    sha256: Annotated[
        list[str] | None, typer.Option("--sha256", help="FILE=DIGEST to ask for instead of the known; repeatable.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Fetch the files that a task needs into the data folder, verified, and unpack those that are archives.

    What is there is kept, a broken download goes on where it stopped, and a second mirror may give what one lacks.

    **Examples**

    strop data fetch pope --from https://my.mirror/pope

    strop data fetch mathvista --from ~/downloads --file images.zip --sha256 images.zip=4f0c...
    """
    from strop.progress import byte_bars
    from tasks.data.sources import stand_ins
    from tasks.registry import sources_of

    sources = sources_of(task)
    digests = {source.file: source.sha256 for source in sources} | _digests(sha256 or [], sources)
    absent: dict[str, str] = {}
    for source in _chosen(files, sources):
        # a file that is named is meant; one that is needed may come in another form
        forms = (source,) if files else (source, *stand_ins(source, sources))
        try:
            with byte_bars() as bars:
                line = _fetch_form(forms, origin, data.expanduser(), digests, bars)
        except MissingError as error:
            absent[source.file] = str(error)
        else:
            typer.echo(line)  # after the bars, which take what is printed beside them to stderr
    if absent:
        raise MissingError(f"{next(iter(absent.values()))}; name another --from for {', '.join(absent)}")


def _fetch_form(
    forms: Sequence[Source], origin: str, data: Path, digests: Mapping[str, str | None], begin: Begin
) -> str:
    """Fetch a file in the first of its forms that `origin` has, unless one is here already; one line about it."""
    from tasks.data.fetch import is_archive, unpack
    from tasks.data.sources import folder_with

    present = next(((source, folder) for source in forms if (folder := folder_with(data, source))), None)
    if present is None:
        target, line = _fetch_first(forms, origin, data, digests, begin)
    else:
        source, folder = present
        target = folder / source.file
        _refuse_another_version(target, digests[source.file])
        line = f"{target}: already there"
    if is_archive(target) and target.is_file():
        line += f", {counted(unpack(target, begin), 'file')} unpacked"
    return line


def _fetch_first(
    forms: Sequence[Source], origin: str, data: Path, digests: Mapping[str, str | None], begin: Begin
) -> tuple[Path, str]:
    from tasks.data.fetch import fetch

    absent: list[MissingError] = []
    for source in forms:
        target, expected = data / source.task / source.file, digests[source.file]
        try:
            digest = fetch(origin, source.file, target, sha256=expected, begin=begin)
        except MissingError as error:
            absent.append(error)
        else:
            verified = "as expected" if expected else "(none is known to compare with)"
            return target, f"{target}: fetched, SHA-256 {digest} {verified}"
    raise absent[0]


def _refuse_another_version(target: Path, expected: str | None) -> None:
    """Raise `DataError` where a file that is there has another digest than the one asked for."""
    from harness.files import digest_of_file

    if expected is None or not target.is_file() or (digest := digest_of_file(target)) == expected:
        return
    raise DataError(
        f"{target} is there with the SHA-256 {digest} and not {expected}; move it away to fetch that one, or name the "
        "digest by --sha256 if this is the version you want"
    )


def _chosen(files: Sequence[str] | None, sources: Sequence[Source]) -> list[Source]:
    for name in files or ():
        _refuse_unknown_file(name, sources)
    return [source for source in sources if (source.file in files if files else source.needed)]


def _digests(words: Sequence[str], sources: Sequence[Source]) -> dict[str, str]:
    """File -> digest of words like FILE=DIGEST."""
    digests = {}
    for word in words:
        name, _, digest = word.rpartition("=")
        if len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef"):
            raise UsageError(f"--sha256 {word}: expected FILE=DIGEST with the 64 hex digits of a SHA-256")
        _refuse_unknown_file(name, sources)
        digests[name] = digest.lower()
    return digests


def _refuse_unknown_file(name: str, sources: Sequence[Source]) -> None:
    if name not in (source.file for source in sources):
        raise UsageError(
            f"{sources[0].task} has no file '{name}'; its files are {', '.join(source.file for source in sources)}"
        )
