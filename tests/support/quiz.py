"""A task of four questions for yes or no whose answers are read in two ways."""

from __future__ import annotations

from dataclasses import dataclass

from harness.types import Metric, Sample, Score, Scorer


def _lenient(sample: Sample, answer: str) -> Score:
    read = "no" if "no" in answer.lower() else "yes"
    return Score(value=float(read == sample.target), parsed=read,
                 counts={"asked": 1, "right": int(read == sample.target), "unread": 0})  # fmt: skip


def _strict(sample: Sample, answer: str) -> Score:
    read = answer.lower() if answer.lower() in ("yes", "no") else None
    return Score(value=float(read == sample.target), parsed=read,
                 counts={"asked": 1, "right": int(read == sample.target), "unread": int(read is None)})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Quiz:
    """Four questions, read in two ways."""

    name: str = "quiz"
    version: int = 1
    headline: str = "accuracy"
    max_tokens: int = 4
    metrics: tuple[Metric, ...] = (
        Metric(name="accuracy", terms={"right": 1}, over={"asked": 1}),
        Metric(name="unread", terms={"unread": 1}, over={"asked": 1}, better="lower"),
    )
    profile: str = "lenient"
    count: int = 4

    def samples(self, split: str) -> list[Sample]:
        return [Sample(id=f"q{n}", prompt=f"{n}?", images=(), target=("yes", "no")[n % 2], cluster=f"q{n}")
                for n in range(self.count)]  # fmt: skip

    def score(self, sample: Sample, answer: str) -> Score:
        return self.profiles[self.profile](sample, answer)

    @property
    def profiles(self) -> dict[str, Scorer]:
        return {"lenient": _lenient, "strict": _strict}

    def gold(self, sample: Sample) -> str:
        return str(sample.target)
