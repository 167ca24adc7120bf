"""Verify the form of an answer, without gold or picture: that it can be read, or has the shape that was asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from harness.errors import RecipeError
from harness.types import Group, Sample, Verdict
from loops.kinds import Each, Study, Verifier, Verifying
from loops.verify.task import reader_of, task_input


class Format(Verifier):
    """1 for an answer of the right form, 0 for another."""

    kind: Literal["format"] = "format"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L2"
    widest: ClassVar[float] = 1.0

    pattern: str | None = Field(
        default=None,
        description="a regular expression (Python's, the dot matches line ends) of the whole text, with its thought; "
        "without one, the task's reader must read the answer",
    )

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"field 'verify.pattern' is no regular expression ({error})") from error
        return pattern

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input(), **({} if self.pattern else {"task": task_input(study)})}

    def refuse(self, study: Study) -> None:
        if self.pattern is None and reader_of(study) is None:
            raise RecipeError(
                f"verify.kind format: source {study.source} has no reader of answers without gold; set verify.pattern"
            )

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        pattern = None if self.pattern is None else re.compile(self.pattern, re.DOTALL)
        read = reader_of(study)

        def judge(sample: Sample, answer: str) -> Verdict:
            if pattern is not None:
                return Verdict(reward=float(pattern.fullmatch(answer) is not None))
            reading = read(sample, answer) if read else None
            return Verdict(reward=float(reading is not None), why="not read" if reading is None else "")

        return Each(judge=judge)
