"""A model and a judge whose answers are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.types import AnswerStream, Sample, Sampling


class Scripted:
    """Answers each question by a function of (prompt, scene); `samples` are the samples that reached it."""

    digest, settings = "scripted", "none"

    def __init__(self, says: Callable[[Sample], str]) -> None:
        self.says, self.samples = says, list[Sample]()

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        self.samples += samples
        yield from enumerate([self.says(sample)] for sample in samples)


@dataclass
class ScriptedJudge:
    """Gives these replies in order (None: no reply); `samples` are the questions that reached it."""

    replies: list[str | None]
    id: str = "scripted"
    samples: list[Sample] = field(default_factory=list)

    def stream(self, questions: Sequence[Sample]) -> AnswerStream:
        self.samples += questions
        replies, self.replies = self.replies[: len(questions)], self.replies[len(questions) :]
        yield from ((number, [reply]) for number, reply in enumerate(replies) if reply is not None)
