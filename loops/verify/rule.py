"""Verify by a rule against the right answer: the task's own mark, a bound on it, or the exact words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Group, Sample, Verdict
from loops.kinds import Each, Study, Verifier, Verifying
from loops.verify.task import normalised, refuse_without_gold, task_input


class Rule(Verifier):
    """A rule of the pool's task, against its right answers; of a box the task's mark is its IoU with the right one."""

    kind: Literal["rule"] = "rule"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L2"
    sees_gold: ClassVar[bool] = True
    widest: ClassVar[float] = 1.0

    mark: Literal["task", "exact"] = Field(
        default="task", description="the task's own mark; or 1 for the very words of its right answer, else 0"
    )
    threshold: float | None = Field(
        default=None, gt=0, le=1, description="marks from here on are worth 1, others 0, such as an IoU of 0.5"
    )

    @model_validator(mode="after")
    def _exact_needs_no_threshold(self) -> Self:
        if self.mark == "exact" and self.threshold is not None:
            raise ValueError("field 'verify.threshold': an exact answer is worth 1 or 0; leave it out, or mark=task")
        return self

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input(), "task": task_input(study)}

    def refuse(self, study: Study) -> None:
        refuse_without_gold(study, self.kind)

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        from harness.profiles import scorer_of

        task = study.setting.tasks[study.source]
        score = scorer_of(task)

        def judge(sample: Sample, answer: str) -> Verdict:
            if self.mark == "exact":
                right = normalised(sample, task.gold(sample))
                return Verdict(reward=float(normalised(sample, answer) == right), why=f"right: {right}")
            mark = score(sample, answer)
            reward = mark.value if self.threshold is None else float(mark.value >= self.threshold)
            return Verdict(reward=reward, why="not read" if mark.parsed is None else "")

        return Each(judge=judge)
