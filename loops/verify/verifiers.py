"""Verifiers: what a candidate answer is worth, judged from picture and text alone.

A verifier with `sees_gold` False is given samples without targets. The oracle sees gold: it is the ceiling of a table,
never a method. `none` has no opinion, `random` a worthless one and `shorter` one without eyes: the controls that a
verifier must beat.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.errors import RecipeError
from harness.models.encoder import Encoder
from harness.pictures import open_picture
from harness.sentences import split_sentences
from harness.types import Advance, Group, Task, Verdict

BATCH = 256


class Verifier(Protocol):
    """`verify` gives each group as many verdicts as it has answers."""

    @property
    def name(self) -> str: ...

    @property
    def sees_gold(self) -> bool: ...

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A contrastive encoder scores each sentence against the picture (its text tower reads 77 tokens at most).

    `aggregate`: `mean` or `min` of the sentences' scores, or `sum` of how much more likely than not each is true,
    ``sigmoid(score) - 1/2``: a right sentence earns, a wrong one costs, so neither silence nor length pays by itself.
    A sentence said again counts as wrong. `sum` needs an encoder trained with a sigmoid loss.
    """

    encoder: Encoder
    aggregate: str
    name: str = "clip"
    sees_gold: bool = False

    def __post_init__(self) -> None:
        if self.aggregate == "sum" and not self.encoder.calibrated:
            raise RecipeError(
                "verify.aggregate 'sum' needs an encoder with a logit bias (SigLIP); use 'mean' or 'min' with this one"
            )

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
        why = " ".join(f"{score:+.1f}" for score in scores)
        if self.aggregate == "sum":
            repeats = sum(count - 1 for count in Counter(sentences).values())
            earned = sum(1 / (1 + math.exp(-known[sentence])) - 0.5 for sentence in set(sentences))
            return Verdict(reward=earned - 0.5 * repeats, why=why)
        return Verdict(reward=min(scores) if self.aggregate == "min" else sum(scores) / len(scores), why=why)


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """The task's own mark, from gold: the ceiling."""

    task: Task
    name: str = "oracle"
    sees_gold: bool = True

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        found = [
            tuple(Verdict(reward=self.task.score(group.sample, answer).value) for answer in group.answers)
            for group in groups
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

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        if advance:
            advance(len(groups))
        return [tuple(Verdict(reward=-float(len(answer.split()))) for answer in group.answers) for group in groups]


@dataclass(frozen=True, kw_only=True)
class NoVerifier:
    """No opinion: every pair stays as it was collected."""

    name: str = "none"
    sees_gold: bool = False

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        if advance:
            advance(len(groups))
        return [tuple(Verdict(reward=None) for _ in group.answers) for group in groups]
