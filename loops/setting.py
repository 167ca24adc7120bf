"""What a run is given from outside: tasks, training pools and where models lie. The loop imports no maker of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.types import Advance, Sample, Task

Bar = Callable[[str, int], Advance]
"""Given a description and a total, a progress bar's step function."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`tasks` by name; `pool(task, start, count)` are training samples of a task, never of its dev or test split;
    `shipped(name)` is where a shipped model lies, None for a name that is none."""

    tasks: Mapping[str, Task]
    pool: Callable[[str, int, int], Sequence[Sample]]
    shipped: Callable[[str], Path | None]
    bars: Callable[[], AbstractContextManager[Bar]]
