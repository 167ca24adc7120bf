"""Options that several commands share: where data lie, where other people's tasks do, and where results may go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.disks import refuse_unwritable_file, refuse_unwritable_folder
from tasks.data.sources import DATA_VARIABLE
from tasks.plugins import TASK_PATH_VARIABLE

DataOption = Annotated[
    Path, typer.Option("--data", envvar=DATA_VARIABLE, help="The data folder, with one folder a task.")
]
TaskPathOption = Annotated[
    Path | None,
    typer.Option("--task-path", envvar=TASK_PATH_VARIABLE, help="Folder of Python files with TASKS; they are run."),
]


def names_in(text: str) -> list[str]:
    """The names of tasks that a text holds, separated by commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def writable_folder(folder: Path | None) -> Path | None:
    """The callback of an option that names a folder for results: one that cannot be written is told before the work."""
    if folder is not None:
        refuse_unwritable_folder(folder)
    return folder


def writable_file(path: Path | None) -> Path | None:
    """The same for a file."""
    if path is not None:
        refuse_unwritable_file(path)
    return path


def set_places(data: Path, task_path: Path | None) -> None:
    """Where this process looks for data (`tasks.data.sources.data_folder`) and for tasks (`tasks.plugins`)."""
    os.environ[DATA_VARIABLE] = str(data.expanduser())
    if task_path is not None:
        os.environ[TASK_PATH_VARIABLE] = str(task_path)
