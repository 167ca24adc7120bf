"""Where this process looks for data and for plug-ins."""

from __future__ import annotations

import itertools
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


def option_in(command: Sequence[str], *names: str) -> str | None:
    """The value of an option in a recorded command line, by any of its names; None where it has none."""
    words = list(command)
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(words[index + 1 :]), None)
    return None


def options_in(command: Sequence[str], name: str) -> list[str]:
    """All values of an option in a recorded command line, in their order."""
    words = [*command, ""]
    return [
        word.partition("=")[2] if "=" in word else behind
        for word, behind in itertools.pairwise(words)
        if word.partition("=")[0] == name
    ]


def set_include_path(path: str | Path | None) -> None:
    """Sets where this process looks for lm-eval tasks of the user's own (`harness.lm_eval_tasks`), if a folder is
    named."""
    if path is not None:
        os.environ[lm_eval_names.PATH_VARIABLE] = str(path)


def set_plugin_path(path: str | Path | None) -> None:
    """Sets where this process looks for plug-ins (`harness.plugins`), if a folder is named."""
    if path is not None:
        os.environ[PLUGIN_PATH_VARIABLE] = str(path)
