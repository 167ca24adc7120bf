"""Where this process looks for data and for plug-ins."""

from __future__ import annotations

import os
from pathlib import Path

from harness.plugins import PLUGIN_PATH_VARIABLE
from tasks.data.sources import DATA_VARIABLE


def set_places(data: Path, plugin_path: Path | None) -> None:
    """Sets where this process looks for data (`tasks.data.sources`) and for plug-ins (`harness.plugins`)."""
    os.environ[DATA_VARIABLE] = str(data.expanduser())
    if plugin_path is not None:
        os.environ[PLUGIN_PATH_VARIABLE] = str(plugin_path)
