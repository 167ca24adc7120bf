"""Strop's Python API: measure a vision-language model, compare it, hone it.

Each name is imported when it is first used; `import strop` itself loads nothing heavy.

Example:
    >>> import strop
    >>> evaluation = strop.evaluate("pictos-seed", "pictos_pope", limit=12)
    >>> evaluation.frame().columns.to_list()
    ['task', 'profile', 'split', 'metric', 'value', 'low', 'high', 'n', 'method', 'headline']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from strop.hidden import hidden_packages

if TYPE_CHECKING:
    from harness.types import Checkpoint, Details, Group, Metric, Sample, Score, Task, Verdict
    from strop.comparison import Comparison, compare
    from strop.evaluation import Evaluation, evaluate, find_tasks, read_evaluation
    from strop.models import load_apart, load_model
    from strop.running import Run, run
    from strop.task_answers import score

__all__ = [
    "Checkpoint",
    "Comparison",
    "Details",
    "Evaluation",
    "Group",
    "Metric",
    "Run",
    "Sample",
    "Score",
    "Task",
    "Verdict",
    "compare",
    "evaluate",
    "find_tasks",
    "load_apart",
    "load_model",
    "read_evaluation",
    "run",
    "score",
]

_MODULES = {
    "harness.types": ("Checkpoint", "Details", "Group", "Metric", "Sample", "Score", "Task", "Verdict"),
    "strop.comparison": ("Comparison", "compare"),
    "strop.evaluation": ("Evaluation", "evaluate", "find_tasks", "read_evaluation"),
    "strop.models": ("load_apart", "load_model"),
    "strop.running": ("Run", "run"),
    "strop.task_answers": ("score",),
}
"""The names that each module offers."""


def __getattr__(name: str) -> Any:
    module = next((module for module, names in _MODULES.items() if name in names), None)
    if module is None:
        raise AttributeError(f"module 'strop' has no attribute '{name}'")
    if line := hidden_packages():
        raise ImportError(line)
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
