"""A model for collectors, whose answers are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.models.mixing import Mix
from harness.types import Advance, Answer, Sample, Sampling


class Speaker:
    """Answers as `says` has it of (sample, sampling, number of the draw); keeps what it was asked, pass by pass."""

    def __init__(self, says: Callable[[Sample, Sampling, int], str]) -> None:
        self.says = says
        self.passes: list[tuple[list[Sample], Sampling]] = []

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        self.passes.append((list(samples), sampling))
        if advance:
            advance(len(samples))
        return [[Answer(text=self.says(sample, sampling, draw)) for draw in range(sampling.n)] for sample in samples]
