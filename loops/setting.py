"""What a run is given from outside: tasks, training pools and where models lie. The loop imports no maker of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.types import Advance, Sample, Task

Bar = Callable[[str, int], Advance]
"""Given a description and a total, a progress bar's step function."""


class Pool(Protocol):
    """Training samples. `identity` changes with them; `has_gold` says whether a task can mark answers to them, and
    `apart` whether they are by their making no picture of any task's dev or test split."""

    @property
    def identity(self) -> str: ...

    @property
    def has_gold(self) -> bool: ...

    @property
    def apart(self) -> bool: ...

    def require(self, *, seed: int, rounds: int, count: int) -> None:
        """Raise `RecipeError` where the pool has not `count` samples for each round from 1 on."""

    def of_round(self, *, seed: int, number: int, count: int) -> Sequence[Sample]:
        """The samples of round `number`: of no other round of this training seed."""


@runtime_checkable
class Paired(Protocol):
    """A pool with two answers to each of its samples, by the sample's id: the one to prefer, the one to avoid."""

    @property
    def answers(self) -> Mapping[str, tuple[str, str]]: ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """`tasks` by name; `pool(source)` is the training pool of a task or of pictures of the user's own, and raises
    `UsageError` or `DataError` where there is none; `shipped(name)` is where a shipped model lies, None for a name that
    is none. `revisions` gives names of models on the hub with the commits that they mean in a run, and `replies` is the
    file in which it keeps what models tell its verifiers."""

    tasks: Mapping[str, Task]
    pool: Callable[[str], Pool]
    shipped: Callable[[str], Path | None]
    bars: Callable[[], AbstractContextManager[Bar]]
    revisions: dict[str, str] = field(default_factory=dict)
    replies: Path | None = None

    def pinned(self, name: str) -> str:
        """The name of a model with its commit, where `revisions` has one."""
        return self.revisions.get(name, name)
