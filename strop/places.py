"""Where this process looks for data and for plug-ins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness import lm_eval_names
from harness.plugins import PLUGIN_PATH_VARIABLE
from tasks.data.root import DataRoot


def data_root(folder: str | Path | None = None) -> DataRoot:
    """Where tasks read their data: `folder`, or the one that STROP_DATA names; STROP_HUB switches to the hub."""
    root = DataRoot.from_environment(os.environ)
    return root if folder is None else replace(root, folder=Path(folder))


def data_words(command: Sequence[str]) -> list[str]:
    """The option `--data` of a recorded command line, empty where it has none."""
    words = list(command)
    for index, word in enumerate(words):
        if word.startswith("--data="):
            return ["--data", word.removeprefix("--data=")]
        if word == "--data":
            return words[index : index + 2]
    return []


def set_include_path(path: str | Path | None) -> None:
    """Sets where this process looks for lm-eval tasks of the user's own (`harness.lm_eval_tasks`), if a folder is
    named."""
    if path is not None:
        os.environ[lm_eval_names.PATH_VARIABLE] = str(path)


def set_plugin_path(path: str | Path | None) -> None:
    """Sets where this process looks for plug-ins (`harness.plugins`), if a folder is named."""
    if path is not None:
        os.environ[PLUGIN_PATH_VARIABLE] = str(path)
