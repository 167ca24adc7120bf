"""Verify by agreement: what the model says again and again of a picture is likelier to be there.

The answers to one picture are read by the task's own reader where it has one, else compared word for word. Two short
answers agree or do not; two descriptions agree by F1 over the objects that they name, two boxes by their overlap. An
answer earns the mean of its agreement with the others of its group, or with what the majority says, or with what
another model, a peer, answers to the same question. EvoLMM (GRPO with either of the first two as the reward) reports
that the majority gains about nothing and the continuous share does (docs/log/0017-composed-captions.md has what
agreement knows of captions).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.autonomy import EXTERNAL, SELF_VERIFIED
from harness.store import Store, ask
from harness.types import Advance, Group, Sampling, Verdict
from loops.kinds import Study, Trial, Verifier, Verifying
from loops.verify.models import SELF, gold_of, is_judged, judge_digest, load_judge, replies_of
from loops.verify.task import Reader, Reading, normalised, reader_of, task_input

if TYPE_CHECKING:
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner

PEER_TOKENS = 80
"""A peer's answers are as long as the collector's may be; so long where that says nothing."""


class Consistency(Verifier):
    """How much an answer agrees with the others to the same picture, which needs no look at it; or with a peer's."""

    kind: Literal["consistency"] = "consistency"
    version: ClassVar[int] = 1
    level: ClassVar[str] = SELF_VERIFIED
    widest: ClassVar[float] = 1.0

    reward: Literal["share", "majority"] = Field(
        default="share", description="mean agreement with the other answers; or agreement with the majority's"
    )

    peer: str | None = Field(
        default=None, min_length=1,
        description="a shipped model, a folder or a hub id, whose greedy answer is what to agree with",
    )  # fmt: skip

    @model_validator(mode="after")
    def _a_peer_is_another_and_has_one_answer(self) -> Self:
        if self.peer == SELF:
            raise ValueError("field 'verify.peer': names another model; leave it out, and answers are held together")
        if self.peer and self.reward == "majority":
            raise ValueError("field 'verify.reward': a peer gives one answer; leave the field out")
        return self

    @property
    def judging_level(self) -> str:
        return EXTERNAL if self.peer else self.level

    @property
    def models(self) -> tuple[str, ...]:
        return (self.peer,) if self.peer else ()

    def learnt_from(self, study: Study) -> Sequence[str]:
        return gold_of(study, self.peer) if self.peer else ()

    def has_own_weights(self, study: Study) -> bool:
        return self.peer is not None and is_judged(study, self.peer)

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        asked = {"peer": judge_digest(study, self.peer), **study.asking} if self.peer else {}
        return {**self.as_input("peer"), **asked, "task": task_input(study)}

    def trials(self, study: Study) -> Mapping[str, Trial]:
        peer = self.peer
        if peer is None:
            return {}

        def load() -> str:
            load_judge(study, peer)
            return f"{peer} loads"

        return {"peer": Trial(depends=[peer, study.options.keywords], run=load)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return planner.of(self.peer).asking(Sampling(max_tokens=planner.answer)) if self.peer else None

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        read = reader_of(study) or normalised
        if self.peer is None:
            return ByAgreement(read=read, reward=self.reward)
        longest = int(getattr(study.collect, "max_tokens", PEER_TOKENS))
        return ByPeer(
            read=read,
            model=load_judge(study, self.peer),
            sampling=Sampling(max_tokens=longest),
            store=replies_of(study),
        )


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


class ByPeer:
    """Judges each answer by how far it agrees with the peer's; no opinion where either cannot be read."""

    def __init__(self, *, read: Reader, model: Vlm, sampling: Sampling, store: Store) -> None:
        self.read, self.model, self.sampling, self.store = read, model, sampling, store
        self.facts: dict[str, float] = {"unread": 0, "peer_unread": 0}

    @property
    def costs(self) -> Mapping[str, float]:
        return self.model.costs

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]:
        return {"peer": self.model.computed}

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        replies = ask(self.model, [group.sample for group in groups], self.sampling, self.store, advance)
        return [self._judged(group, reply) for group, (reply,) in zip(groups, replies, strict=True)]

    def _judged(self, group: Group, reply: str) -> tuple[Verdict, ...]:
        right = self.read(group.sample, reply)
        readings = [self.read(group.sample, answer) for answer in group.answers]
        self.facts["unread"] += sum(reading is None for reading in readings)
        self.facts["peer_unread"] += right is None
        return tuple(
            Verdict(reward=None, why="not read")
            if right is None or reading is None
            else Verdict(reward=agreement(reading, right), why=f"the peer: {reply[:40]}")
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
