"""No verifier: every pair stays as it was collected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.autonomy import CONTROL
from harness.types import Group, Verdict
from loops.kinds import Each, Study, Verifier, Verifying


class NoVerifier(Verifier):
    """Has no opinion of any answer."""

    kind: Literal["none"] = "none"
    version: ClassVar[int] = 1
    level: ClassVar[str] = CONTROL
    abstains: ClassVar[bool] = True

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        return Each(judge=lambda sample, answer: Verdict(reward=None))
