"""Where this process looks for data and for other people's tasks."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.data.sources import DATA_VARIABLE
from tasks.plugins import TASK_PATH_VARIABLE


def set_places(data: Path, task_path: Path | None) -> None:
    """Sets where this process looks for data (`tasks.data.sources.data_folder`) and for tasks (`tasks.plugins`)."""
    os.environ[DATA_VARIABLE] = str(data.expanduser())
    if task_path is not None:
        os.environ[TASK_PATH_VARIABLE] = str(task_path)
