"""Verify by gold: the task's own mark, the ceiling of a table and never a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from harness.types import Group, Verdict
from loops.kinds import Each, Study, Verifier, Verifying
from loops.verify.task import refuse_without_gold, task_input


class Oracle(Verifier):
    """The mark that the task of the pool gives an answer."""

    kind: Literal["oracle"] = "oracle"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L0"
    sees_gold: ClassVar[bool] = True
    widest: ClassVar[float] = 1.0

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input(), "task": task_input(study)}

    def refuse(self, study: Study) -> None:
        refuse_without_gold(study, self.kind)

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        from harness.profiles import scorer_of

        score = scorer_of(study.setting.tasks[study.source])
        return Each(judge=lambda sample, answer: Verdict(reward=score(sample, answer).value))
