"""Our tasks under lm-eval's own command line: files that name this module's attributes as the tasks' classes.

lm-eval knows the model `strop` once such a file was read by its path. Tasks read their data where STROP_DATA says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.files import write_text
from harness.plugins import PLUGIN_PATH_VARIABLE
from tasks.data.root import DataRoot
from tasks.registry import find_task, known_tasks

PLUGIN_FILE = "strop_plugins"
"""The Python file, beside the YAML files, by which plug-ins are found."""

PLUGINS = '''"""Written by `strop tasks --lm-eval`: where the plug-ins lie that the files beside it name."""

import os

os.environ.setdefault({variable!r}, {folder!r})

from tasks.in_lm_eval import __getattr__  # noqa: E402, F401
'''


def __getattr__(name: str) -> Callable[[], Any]:
    """What makes lm-eval's form of the task of that name."""
    if name.startswith("__") or name not in known_tasks():
        raise AttributeError(f"module {__name__} has no attribute '{name}'")
    from harness.lm_eval_door import lm_eval_task  # makes the model known; writing the files needs it not

    def make() -> Any:
        return lm_eval_task(find_task(name, DataRoot.from_environment(os.environ)))

    return make


def write_task_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """Writes a YAML file `strop_NAME.yaml` for each task, for `lm_eval run --include_path FOLDER --tasks strop_NAME`.

    With a plug-in folder set, a Python file beside them says where it lies. A name that no attribute can have, as a
    plug-in's may be, is left out.
    """
    plugins = os.environ.get(PLUGIN_PATH_VARIABLE)
    module = PLUGIN_FILE if plugins else __name__
    written = []
    if plugins:
        written.append(folder / f"{PLUGIN_FILE}.py")
        where = str(Path(plugins).expanduser().absolute())
        write_text(written[0], PLUGINS.format(variable=PLUGIN_PATH_VARIABLE, folder=where))
    for name in names:
        if name.isidentifier():
            written.append(folder / f"strop_{name}.yaml")
            write_text(written[-1], f"task: strop_{name}\nclass: !function {module}.{name}\n")
    return written
