"""Options that several commands share: where data lie, and where other people's tasks do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tasks.plugins import TASK_PATH_VARIABLE
from tasks.sources import DATA_VARIABLE

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


def set_places(data: Path, task_path: Path | None) -> None:
    """Where this process looks for data (`tasks.sources.data_folder`) and for tasks (`tasks.plugins`)."""
    os.environ[DATA_VARIABLE] = str(data.expanduser())
    if task_path is not None:
        os.environ[TASK_PATH_VARIABLE] = str(task_path)
