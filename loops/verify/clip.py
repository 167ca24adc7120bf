"""Verifiers: what a candidate answer is worth, judged from picture and text alone.

A verifier with `sees_gold` False is given samples without targets. The oracle sees gold: it is the ceiling of a table,
never a method. `none` has no opinion, `random` a worthless one and `shorter` one without eyes: the controls that a
verifier must beat.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from harness.models.encoder import Encoder
from harness.pictures import open_picture
from harness.profiles import scorer_of
from harness.sentences import split_sentences
from harness.types import Advance, Group, Task, Verdict
from loops.verify.zero import BATCH, Zero


class Verifier(Protocol):
    """`verify` gives each group as many verdicts as it has answers; `facts` is what it has to tell of itself."""

    @property
    def name(self) -> str: ...

    @property
    def sees_gold(self) -> bool: ...

    @property
    def facts(self) -> Mapping[str, float]: ...

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A contrastive encoder scores each sentence against the picture (its text tower reads 77 tokens at most).

    `aggregate`: `mean` or `min` of the sentences' scores, or `sum` of how much more likely than not each is true,
    ``sigmoid(score - zero) - 1/2``: a right sentence earns, a wrong one costs, so neither silence nor length pays by
    itself. A sentence said again counts as wrong. Where the zero lies is `loops.verify.zero`'s to say.
    """

    encoder: Encoder
    aggregate: str
    zero: Zero = field(default_factory=Zero)
    name: str = "clip"
    sees_gold: bool = False

    @property
    def facts(self) -> Mapping[str, float]:
        return self.zero.facts if self.aggregate == "sum" else {}

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts: list[tuple[Verdict, ...]] = []
        for start in range(0, len(groups), BATCH):
            some = groups[start : start + BATCH]
            pictures = [open_picture(group.sample.images[0]) for group in some]
            said = [[split_sentences(answer) for answer in group.answers] for group in some]
            flat = [sorted({sentence for answer in answers for sentence in answer}) for answers in said]
            scores = self.encoder.match(pictures, flat)
            for answers, sentences, values in zip(said, flat, scores, strict=True):
                known = dict(zip(sentences, values, strict=True))
                verdicts.append(tuple(self._verdict(answer, known) for answer in answers))
            if advance:
                advance(len(some))
        return verdicts

    def _verdict(self, sentences: Sequence[str], known: dict[str, float]) -> Verdict:
        if not sentences:
            return Verdict(reward=None, why="says nothing")
        scores = [known[sentence] for sentence in sentences]
        if self.aggregate == "sum":
            beyond = {sentence: known[sentence] - self.zero.value for sentence in sentences}
            repeats = sum(count - 1 for count in Counter(sentences).values())
            # fsum: the same sentences earn the same in any order
            earned = math.fsum(1 / (1 + math.exp(-score)) - 0.5 for score in beyond.values())
            why = " ".join(f"{beyond[sentence]:+.1f}" for sentence in sentences)
            return Verdict(reward=earned - 0.5 * repeats, why=why)
        why = " ".join(f"{score:+.1f}" for score in scores)
        return Verdict(reward=min(scores) if self.aggregate == "min" else sum(scores) / len(scores), why=why)


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """The task's own mark, from gold: the ceiling."""

    task: Task
    name: str = "oracle"
    sees_gold: bool = True
    facts: Mapping[str, float] = field(default_factory=dict)

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        score = scorer_of(self.task)
        found = [
            tuple(Verdict(reward=score(group.sample, answer).value) for answer in group.answers) for group in groups
        ]
        if advance:
            advance(len(groups))
        return found


@dataclass(frozen=True, kw_only=True)
class Random:
    """A coin for each answer: a verifier that knows nothing."""

    seed: int
    name: str = "random"
    sees_gold: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        rng = np.random.default_rng((self.seed, 13))
        found = [tuple(Verdict(reward=float(rng.random())) for _ in group.answers) for group in groups]
        if advance:
            advance(len(groups))
        return found


@dataclass(frozen=True, kw_only=True)
class Shorter:
    """Prefers the answer of fewer words and sees no picture: what a method earns beyond it is not earned by brevity."""

    name: str = "shorter"
    sees_gold: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        if advance:
            advance(len(groups))
        return [tuple(Verdict(reward=-float(len(answer.split()))) for answer in group.answers) for group in groups]


@dataclass(frozen=True, kw_only=True)
class NoVerifier:
    """No opinion: every pair stays as it was collected."""

    name: str = "none"
    sees_gold: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        if advance:
            advance(len(groups))
        return [tuple(Verdict(reward=None) for _ in group.answers) for group in groups]
