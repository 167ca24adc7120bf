"""Opening a verifier and asking it: one that may not see gold is given nothing that holds any.

Not the samples' targets, and not the tasks and the pool of its study, which could give them: of a task it is handed the
reader and the world that answers back alone (`harness.types.Readable`, `Interactive`), of the pool samples without
targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from harness.errors import RunError
from harness.types import Advance, Group, Happened, Interactive, Metric, Readable, Sample, Task
from loops.kinds import Study, Verifying
from loops.setting import Pool


def open_verifier(study: Study, groups: Sequence[Group], draw: int) -> Verifying:
    """The study's verifier at work, told of no gold unless it may see it; `groups` and `draw` as
    `loops.kinds.Verifier.open` has them."""
    kind = study.verify
    return kind.open(study if kind.is_shown_gold else blind_study(study), blind_groups(groups), draw)


def judge_groups(
    study: Study, groups: Sequence[Group], draw: int, begin: Callable[[int], Advance]
) -> tuple[list[Group], Verifying]:
    """The groups with the verdicts of the study's verifier, and what is left of that for its facts and costs. `begin`
    is given how many groups are judged."""
    verifier = open_verifier(study, groups, draw)
    return judged_by(verifier, study, groups, begin(len(groups))), verifier


def judged_by(
    verifier: Verifying, study: Study, groups: Sequence[Group], advance: Advance | None = None
) -> list[Group]:
    """The groups with the verdicts of the study's verifier, which was opened before."""
    shown = groups if study.verify.is_shown_gold else blind_groups(groups)
    verdicts = verifier.verify(shown, advance)
    return [dataclasses.replace(group, verdicts=its) for group, its in zip(shown, verdicts, strict=True)]


def blind_groups(groups: Sequence[Group]) -> list[Group]:
    """The same groups, of samples without targets."""
    return [dataclasses.replace(group, sample=group.sample.blind()) for group in groups]


def blind_study(study: Study) -> Study:
    """The study with tasks and pool that give no gold: asked for it, they raise `RunError`."""
    pool = study.setting.pool
    setting = dataclasses.replace(
        study.setting,
        tasks=_BlindTasks(study.setting.tasks, study.verify.kind),
        pool=lambda source: _BlindPool(pool(source)),
    )
    return dataclasses.replace(study, setting=setting)


class _BlindTasks(Mapping[str, Task]):
    def __init__(self, tasks: Mapping[str, Task], kind: str) -> None:
        self._tasks, self._kind = tasks, kind

    def __getitem__(self, name: str) -> Task:
        task = self._tasks[name]
        kinds = {
            (False, False): _BlindTask,
            (True, False): _BlindReadable,
            (False, True): _BlindWorld,
            (True, True): _BlindReadableWorld,
        }
        return kinds[isinstance(task, Readable), isinstance(task, Interactive)](task, self._kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


class _BlindTask:
    """A task without what it knows of right answers."""

    def __init__(self, task: Task, kind: str) -> None:
        self.name: str = task.name
        self.version: int = task.version
        self.metrics: tuple[Metric, ...] = task.metrics
        self.headline: str = task.headline
        self.max_tokens: int = task.max_tokens
        self._kind = kind

    def _refuse(self) -> NoReturn:
        raise RunError(
            f"verify.kind {self._kind}: asks task {self.name} for right answers, which it may not see; declare "
            "sees_gold = True, and its level is that of a rule or of labels"
        )

    def samples(self, split: str) -> Sequence[Sample]:
        self._refuse()

    def score(self, sample: Sample, answer: str) -> NoReturn:
        self._refuse()

    def gold(self, sample: Sample) -> str:
        self._refuse()


class _BlindReadable(_BlindTask):
    def __init__(self, task: Any, kind: str) -> None:
        super().__init__(task, kind)
        self._read = task.read

    def read(self, sample: Sample, answer: str) -> str | float | tuple[float, ...] | frozenset[str] | None:
        reading: str | float | tuple[float, ...] | frozenset[str] | None = self._read(sample.blind(), answer)
        return reading


class _BlindWorld(_BlindTask):
    def __init__(self, task: Any, kind: str) -> None:
        super().__init__(task, kind)
        self._after = task.after

    def after(self, start: Sample, answers: Sequence[str]) -> Happened:
        happened: Happened = self._after(start.blind(), answers)
        return happened


class _BlindReadableWorld(_BlindReadable, _BlindWorld):
    pass


@dataclass(frozen=True, slots=True)
class _BlindPool:
    """A pool whose samples have no targets."""

    pool: Pool

    @property
    def identity(self) -> str:
        return self.pool.identity

    @property
    def has_gold(self) -> bool:
        return False

    @property
    def apart(self) -> bool:
        return self.pool.apart

    def require(self, *, seed: int, rounds: int, count: int) -> None:
        self.pool.require(seed=seed, rounds=rounds, count=count)

    def of_round(self, *, seed: int, number: int, count: int) -> Sequence[Sample]:
        return [sample.blind() for sample in self.pool.of_round(seed=seed, number=number, count=count)]
