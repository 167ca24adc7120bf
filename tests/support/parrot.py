"""A model that repeats what it is asked, and questions for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from PIL import Image

from harness.types import AnswerStream, Sample, Sampling


@dataclasses.dataclass
class Parrot:
    """Repeats what it is asked; `dies_at` is how many answers it gives until it ends with `end`."""

    digest: str = "d1"
    settings: str = "s1"
    dies_at: int | None = None
    end: BaseException = dataclasses.field(default_factory=KeyboardInterrupt)
    ids: list[str] = dataclasses.field(default_factory=list)
    calls: int = 0

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        self.calls += 1
        for number, sample in enumerate(samples):
            if len(self.ids) == self.dies_at:
                raise self.end
            self.ids.append(sample.id)
            yield number, [f"{sample.prompt} {draw}" for draw in range(sampling.n)]


def grey(level: int) -> Image.Image:
    return Image.new("L", (2, 2), level)


def grey_1() -> Image.Image:
    return grey(1)


def grey_2() -> Image.Image:
    return grey(2)


CAT = Sample(id="cat", prompt="A cat?", images=(grey_1,), target=None, cluster="1")
DOG = Sample(id="dog", prompt="A dog?", images=(grey_1,), target=None, cluster="1")


def numbered(count: int) -> list[Sample]:
    return [dataclasses.replace(CAT, id=str(number), prompt=f"{number}?") for number in range(count)]
