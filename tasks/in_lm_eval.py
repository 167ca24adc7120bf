"""Our tasks under lm-eval's own command line: what the YAML files of `tasks/lm_eval` name as their class.

lm-eval knows the model `strop` once this module was imported, which it is where such a file is named by its path.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from harness.lm_eval_door import lm_eval_task
from tasks.data.root import DataRoot
from tasks.registry import TASKS, find_task


def __getattr__(name: str) -> Callable[[], Any]:
    """What makes lm-eval's form of the task of that name."""
    if name not in TASKS:
        raise AttributeError(f"module {__name__} has no attribute '{name}'")
    return partial(_make, name)


def _make(name: str) -> Any:
    return lm_eval_task(find_task(name, DataRoot.from_environment(os.environ)))
