"""Verify by agreement: what the model says again and again of a picture is likelier to be there.

The answers to one picture are read by the task's own reader where it has one, else compared word for word. Two short
answers agree or do not; two descriptions agree by F1 over the objects that they name, two boxes by their overlap. An
answer earns the mean of its agreement with the others of its group, or with what the majority says. EvoLMM (GRPO with
either as the reward) reports that the majority gains about nothing and the continuous share does
(docs/log/0017-composed-captions.md has what agreement knows of captions).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any, ClassVar, Literal

from pydantic import Field

from harness.types import Advance, Group, Verdict
from loops.kinds import Study, Verifier, Verifying
from loops.verify.task import Reader, Reading, normalised, reader_of, task_input


class Consistency(Verifier):
    """How much an answer agrees with the others to the same picture. Opens no picture."""

    kind: Literal["consistency"] = "consistency"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L4"
    widest: ClassVar[float] = 1.0

    reward: Literal["share", "majority"] = Field(
        default="share", description="mean agreement with the other answers; or agreement with the majority's"
    )

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input(), "task": task_input(study)}

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        return ByAgreement(read=reader_of(study) or normalised, reward=self.reward)


class ByAgreement:
    """Judges whole groups; an answer that cannot be read agrees with nothing and has no opinion of it, nor has one that
    is alone. `majority`: the commonest reading; none where two are as common. Of descriptions, what more than half of
    them name."""

    def __init__(self, read: Reader, reward: str = "share") -> None:
        self.read, self.reward = read, reward
        self.costs: dict[str, float] = {}
        self._counts = {"unread": 0, "without_majority": 0}

    @property
    def facts(self) -> dict[str, float]:
        return {name: count for name, count in self._counts.items() if name == "unread" or self.reward == "majority"}

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts = []
        for group in groups:
            readings = [self.read(group.sample, answer) for answer in group.answers]
            self._counts["unread"] += sum(reading is None for reading in readings)
            verdicts.append(self._by_majority(readings) if self.reward == "majority" else _by_share(readings))
            if advance:
                advance(1)
        return verdicts

    def _by_majority(self, readings: Sequence[Reading | None]) -> tuple[Verdict, ...]:
        majority = majority_of([reading for reading in readings if reading is not None])
        if majority is None:
            self._counts["without_majority"] += 1
            return tuple(Verdict(reward=None, why="no majority") for _ in readings)
        return tuple(
            Verdict(reward=None, why="not read") if reading is None else Verdict(reward=agreement(reading, majority))
            for reading in readings
        )


def _by_share(readings: Sequence[Reading | None]) -> tuple[Verdict, ...]:
    verdicts = []
    for index, reading in enumerate(readings):
        others = [other for place, other in enumerate(readings) if place != index and other is not None]
        if reading is None or not others:
            verdicts.append(Verdict(reward=None, why="not read" if reading is None else "nothing to agree with"))
            continue
        agreements = [agreement(reading, other) for other in others]
        verdicts.append(Verdict(reward=fmean(agreements), why=f"of {len(others)} others"))
    return tuple(verdicts)


def majority_of(readings: Sequence[Reading]) -> Reading | None:
    """What most of several answers to one question say; None where nothing is said most.

    Example:
        >>> majority_of(["yes", "no", "yes"]), majority_of(["yes", "no"])
        ('yes', None)
        >>> sorted(majority_of([frozenset({"cat", "dog"}), frozenset({"cat"}), frozenset({"cup"})]))
        ['cat']
    """
    if len(readings) < 2:
        return None
    sets = [reading for reading in readings if isinstance(reading, frozenset)]
    if len(sets) == len(readings):
        counts = Counter(name for reading in sets for name in reading)
        return frozenset(name for name, count in counts.items() if 2 * count > len(sets))
    (first, most), *others = Counter(readings).most_common(2)
    return None if others and others[0][1] == most else first


def agreement(a: Reading, b: Reading) -> float:
    """0 to 1: of sets F1, of boxes intersection over union, of all others whether they are equal.

    Example:
        >>> agreement("yes", "no"), round(agreement(frozenset({"cat", "dog"}), frozenset({"cat"})), 3)
        (0.0, 0.667)
    """
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b) == 4:
        return _overlap(a, b)
    return float(a == b)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Of two boxes (x, y, width, height)."""
    sides = [max(0.0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    shared = sides[0] * sides[1]
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
