"""Episodes: what a world that answers back asks, question after question (`harness.types.Interactive`).

Episodes run side by side: in each turn all that have not ended are asked their next question together, so that a model
decodes them in batches and a store keeps every single answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.errors import DataError
from harness.thoughts import answer_of
from harness.types import Advance, Happened, Sample

LONGEST = 1_000
"""Answers of an episode: a world that goes on after so many is taken for one that never ends."""

SILENCE = "-"
"""Stands for an answer without a text in what is marked, where every answer has its line."""

After = Callable[[Sample, Sequence[str]], Happened]
"""What the world is like after some answers, as `harness.types.Interactive` has it."""

Reply = Callable[[Sequence[Sample]], Sequence[str]]
"""Answers the questions of one turn, one of each episode that runs."""


@dataclass(kw_only=True, slots=True)
class Episode:
    """What was asked and answered from one start on. `answers[i]` is the answer to `questions[i]`."""

    start: Sample
    questions: list[Sample] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    succeeded: bool = False


def play(after: After, starts: Sequence[Sample], reply: Reply, advance: Advance | None = None) -> list[Episode]:
    """An episode from each start to its end; `advance` hears of every one that ended. Raises `DataError` for one that
    goes on after `LONGEST` answers, and what `after` and `reply` raise."""
    episodes = [Episode(start=start) for start in starts]
    running = episodes
    while running:
        waiting = []
        for episode in running:
            happened = after(episode.start, episode.answers)
            episode.succeeded = happened.succeeded
            if happened.question is not None:
                episode.questions.append(happened.question)
                waiting.append(episode)
        if advance:
            advance(len(running) - len(waiting))
        answers = reply([episode.questions[-1] for episode in waiting]) if waiting else []
        for episode, answer in zip(waiting, answers, strict=True):
            episode.answers.append(answer)
            if len(episode.answers) > LONGEST:
                raise DataError(
                    f"sample {episode.start.id}: its episode goes on after {LONGEST} answers; `after` must end it"
                )
        running = waiting
    return episodes


def text_of(answers: Sequence[str]) -> str:
    """The answers of an episode as the one text that is marked and filed: a line each, thoughts left out.

    Example:
        >>> text_of(["<think>There it is.</think>\\nRight.", "", "take"])
        'Right.\\n-\\ntake'
    """
    return "\n".join(" ".join(answer_of(answer).answer.split()) or SILENCE for answer in answers)


def answers_in(text: str) -> list[str]:
    """The answers in a text that `text_of` made; none in an empty one."""
    return text.split("\n") if text else []
