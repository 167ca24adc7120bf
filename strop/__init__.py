"""Strop's Python API: measure a vision-language model, compare it, hone it.

Each name is imported when it is first used; `import strop` itself loads nothing heavy.

Example:
    >>> import strop
    >>> sorted(set(dir(strop)) & {"Sample", "Verdict"})
    ['Sample', 'Verdict']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from strop.hidden import hidden_packages

if TYPE_CHECKING:
    from harness.types import Checkpoint as Checkpoint
    from harness.types import Details as Details
    from harness.types import Group as Group
    from harness.types import Metric as Metric
    from harness.types import Sample as Sample
    from harness.types import Score as Score
    from harness.types import Task as Task
    from harness.types import Verdict as Verdict

__all__ = ["Checkpoint", "Details", "Group", "Metric", "Sample", "Score", "Task", "Verdict"]

_MODULES = dict.fromkeys(__all__, "harness.types")
"""The module of each name."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'strop' has no attribute '{name}'")
    if line := hidden_packages():
        raise ImportError(line)
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
