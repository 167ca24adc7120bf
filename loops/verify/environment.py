"""Verify by the world that answers back: what it says happened, and nothing of what would have been right.

Of an answer that was given within episodes (collector `episodes`) the reward is what became of them: the mean, over
those that gave it there, of ``discount ** (answers - 1)`` for one that succeeded with so many answers from there on,
and of 0 for one that did not. So success counts, and a shorter way to it counts more.

Of a single answer, such as `grpo` draws, it is what the world says of that one step: by how many the answers have
become fewer that are needed to succeed (`harness.types.Happened.to_go`), 1 for a step on a shortest way, 0 for one that
is wasted, less for one away from it. These are differences of a potential, which leave the best way the best one (Ng,
Harada & Russell, ICML 1999). In a world that does not tell how far it is, 1 where the answer ends the episode well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, ClassVar, Literal

from pydantic import Field

from harness.autonomy import EXTERNAL
from harness.episodes import After
from harness.types import Advance, Group, Sample, Verdict
from harness.wording import counted
from loops.groups import ENDS
from loops.kinds import Study, Verifier, Verifying
from loops.verify.task import task_input, world_of


class Environment(Verifier):
    """What the world of the pool's task says happened."""

    kind: Literal["environment"] = "environment"
    version: ClassVar[int] = 1
    level: ClassVar[str] = EXTERNAL

    discount: float = Field(
        default=0.9, gt=0, le=1, description="what a success is worth for each answer that it takes more, of episodes"
    )

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input(), "task": task_input(study)}

    def refuse(self, study: Study) -> None:
        world_of(study, f"verify.kind {self.kind}")

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        return ByWorld(after=world_of(study, f"verify.kind {self.kind}"), discount=self.discount)


@dataclass(frozen=True, kw_only=True)
class ByWorld:
    """The world at work."""

    after: After
    discount: float
    facts: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts = []
        for group in groups:
            notes = group.notes or ({},) * len(group.answers)
            verdicts.append(
                tuple(
                    self._of_ends(note[ENDS]) if ENDS in note else self._of_step(group.sample, answer)
                    for answer, note in zip(group.answers, notes, strict=True)
                )
            )
            if advance:
                advance(1)
        return verdicts

    def _of_ends(self, ends: Sequence[int | None]) -> Verdict:
        """`ends` as `loops.groups.ENDS` has them."""
        worth = [0.0 if end is None else self.discount ** (end - 1) for end in ends]
        lengths = [end for end in ends if end is not None]
        after = f" in {', '.join(map(str, lengths))}" if lengths else ""
        return Verdict(reward=fmean(worth), why=f"{len(lengths)} of {counted(len(ends), 'episode')} succeeded{after}")

    def _of_step(self, sample: Sample, answer: str) -> Verdict:
        before, then = self.after(sample, ()), self.after(sample, [answer])
        if before.to_go is None or then.to_go is None:
            return Verdict(reward=float(then.succeeded), why="succeeds" if then.succeeded else "does not succeed")
        return Verdict(reward=before.to_go - then.to_go, why=f"{before.to_go:g} to go before, {then.to_go:g} then")
