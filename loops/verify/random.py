"""Verify by coin: a verifier that knows nothing, which any other must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from harness.autonomy import CONTROL
from harness.types import Group, Verdict
from loops.kinds import Each, Study, Verifier, Verifying


class Random(Verifier):
    """A number between 0 and 1 for each answer."""

    kind: Literal["random"] = "random"
    version: ClassVar[int] = 1
    level: ClassVar[str] = CONTROL
    widest: ClassVar[float] = 1.0
    overrules: ClassVar[bool] = True

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input(), "seed": draw}

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        rng = np.random.default_rng((draw, 13))
        return Each(judge=lambda sample, answer: Verdict(reward=float(rng.random())))
