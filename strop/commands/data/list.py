"""`strop data list`: which files the tasks need, and which of them are here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from strop.options import DataOption, JsonOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from tasks.data.sources import StoredFile


def list_data(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """List the files of other people's that the tasks need: what is here, whose it is, under which licence.

    **Example**

    strop data list
    """
    from tasks.data.sources import stored_file
    from tasks.registry import all_sources

    folder = data.expanduser()
    files = [stored_file(folder, source) for source in all_sources()]
    if as_json:
        tasks = {
            task: [_as_json(file) for file in files if file.source.task == task]
            for task in dict.fromkeys(file.source.task for file in files)
        }
        typer.echo(json.dumps({"data": str(folder), "tasks": tasks}, ensure_ascii=False))
        return
    typer.echo(f"data folder {folder}")
    for file in files:
        typer.echo(_as_text(file, files))


def _as_json(file: StoredFile) -> Mapping[str, object]:
    source = asdict(file.source)
    del source["task"]
    source["expected_sha256"] = source.pop("sha256")
    path = str(file.path) if file.sha256 is not None else None
    return source | {"state": file.state, "path": path, "sha256": file.sha256}


def _as_text(file: StoredFile, files: Sequence[StoredFile]) -> str:
    """Five lines at most: the file and its state, what it is, whose it is, its licence, its digests."""
    source = file.source
    about = source.about + (f", instead of {source.instead_of}" if source.instead_of else "")
    digests = [f"SHA-256 {file.sha256}"] if file.sha256 else []
    if source.sha256 not in (None, file.sha256):
        digests.append(f"SHA-256 as published {source.sha256}")
    lines = (
        *(f"{source.task}/{source.file}: {_state(file, files)}", about, f"from {source.origin}"),
        f"licence: {source.licence}",
    )
    return "\n    ".join((*lines, *digests))


def _state(file: StoredFile, files: Sequence[StoredFile]) -> str:
    """The state in words; of a file that is missing, which other may stand in for it."""
    source = file.source
    if file.state == "missing" and source.needed:
        others = [
            other.source.file
            for other in files
            if other.state != "missing" and (other.source.task, other.source.instead_of) == (source.task, source.file)
        ]
        return f"missing, but there is {others[0]}" if others else "MISSING, and needed"
    if file.state != "missing" and not file.path.match(f"{source.task}/{source.file}"):
        return f"{file.state} in {file.path.parent}"
    return file.state
