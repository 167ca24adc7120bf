"""Which published figures are the same measure as one that is taken here.

A benchmark's folder lists its own; a board holds both figures beside each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.results import TaskResult
from harness.wording import counted


def _no_obstacle(task: TaskResult) -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Yardstick:
    """A metric of a task and the published metric of a benchmark that is the same measure.

    `answers` are the numbers of answers that the published figure may be over, `profiles` those that read answers as
    it was read (either empty: any); `obstacle` says what else makes results something else than the benchmark, None
    where nothing does.
    """

    task: str
    metric: str
    benchmark: str
    published: str
    answers: tuple[int, ...] = ()
    profiles: tuple[str, ...] = ()
    obstacle: Callable[[TaskResult], str | None] = _no_obstacle

    def refusal(self, task: TaskResult, n: int) -> str | None:
        """Why these results, `n` answers in this metric, do not belong beside the benchmark's figures."""
        if self.answers and n not in self.answers:
            sizes = " or ".join(str(size) for size in self.answers)
            return f"{self.metric} is over {counted(n, 'answer')}, the published figures over {sizes}"
        if reason := self.obstacle(task):
            return reason
        if self.profiles and task.profile not in self.profiles:
            return f"its answers are read by {task.profile}, those of the published figures by {self.profiles[0]}"
        return None
