"""Stages as values, and the three things that are done with them: they are run, planned, or looked up in a ledger.

A run is a generator of stages: it yields a `Stage`, is sent what became of it (`Done`), and yields the next, which may
depend on that. What a run does and what a plan of it says therefore come from the same code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import StropError
from harness.files import digest_of_json
from harness.wording import counted
from loops.ledger import Done, Ledger, Outcome

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One step of a run: its name in the run's folder, all that its result depends on, and what fills its folder."""

    name: str
    inputs: Mapping[str, Any]
    work: Callable[[Path], Outcome]


Stages = Generator[Stage, Done, T]
"""Stages one after the other, and in the end a result."""


def fold(stages: Stages[T], do: Callable[[Stage], Done]) -> T:
    """Send each stage's outcome to the next; returns the result of the whole."""
    done: Done | None = None
    while True:
        try:
            stage = next(stages) if done is None else stages.send(done)
        except StopIteration as end:
            result: T = end.value
            return result
        done = do(stage)


def remembered(stages: Stages[T], done: dict[str, Done]) -> Stages[T]:
    """The same stages; what became of each is put into `done` by its name."""
    outcome: Done | None = None
    while True:
        try:
            stage = next(stages) if outcome is None else stages.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        outcome = done[stage.name] = yield stage


def run_stages(stages: Stages[T], ledger: Ledger) -> tuple[T, int]:
    """The result, and how many stages were done now rather than before. An error of a stage says which one it is, and
    that those before it are kept."""
    fresh = 0

    def do(stage: Stage) -> Done:
        nonlocal fresh
        try:
            done = ledger.stage(stage.name, stage.inputs, stage.work)
        except StropError as error:
            kept = counted(len(ledger.lines), "stage")
            goes_on = f"; {kept} before it kept, the same command or a mended recipe goes on from there"
            error.args = (f"{error} (at {stage.name}{goes_on if ledger.lines else ''})",)
            raise
        fresh += done.fresh
        return done

    result = fold(stages, do)
    return result, fresh


def plan_stages(stages: Stages[Any]) -> dict[str, str]:
    """The names of the stages, each with a digest of its inputs, in which such digests stand for what stages write."""
    keys: dict[str, str] = {}

    def plan(stage: Stage) -> Done:
        keys[stage.name] = digest_of_json([stage.name.rpartition("/")[2], stage.inputs])
        return Done(folder=Path(stage.name), digest=keys[stage.name], facts={}, fresh=False, planned=True)

    fold(stages, plan)
    return keys


class _Unreached(Exception):
    """The first stage that a ledger does not have."""


def all_stages_stand(stages: Stages[Any], ledger: Ledger) -> bool:
    """Whether every stage in the ledger is one of these, with the same inputs; none is done."""
    standing: set[str] = set()

    def look_up(stage: Stage) -> Done:
        line, folder = ledger.lines.get(stage.name), ledger.root / stage.name
        if not (line and line["inputs"] == digest_of_json(stage.inputs) and folder.is_dir()):
            raise _Unreached
        standing.add(stage.name)
        return Done(folder=folder, digest=line["outputs"], facts=line["facts"], fresh=False)

    with contextlib.suppress(_Unreached):
        fold(stages, look_up)
    return standing == ledger.lines.keys()
