"""Tasks answered by a scripted model."""

from __future__ import annotations

from collections.abc import Callable

from harness.engine import evaluate
from harness.results import TaskResult
from harness.types import Sample, Task
from tests.support.scripted import Scripted


def answered(says: Callable[[Sample], str], task: Task, limit: int) -> TaskResult:
    """The marked answers of a scripted model to the first `limit` samples of a task."""
    (result,) = evaluate(Scripted(says), [task], split="test", limit=limit)
    return result
