"""In a world that answers back an answer leads to the next question: episodes run side by side, and resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.engine import evaluate
from harness.episodes import LONGEST, play
from harness.errors import DataError
from harness.results import TaskResult
from harness.store import Store
from harness.task_faults import try_task
from harness.types import AnswerStream, Happened, Sample, Sampling
from tests.support.own_task import lamp
from tests.support.scripted import Scripted

LAMP = lamp()
STARTS: Sequence[Sample] = LAMP.samples("test")


@dataclass(frozen=True, kw_only=True)
class Changed(type(LAMP)):  # type: ignore[misc]
    """The lamp, with its first starts alone or in a world that is broken."""

    starts: int = 5
    broken: Callable[..., Any] | None = None

    def samples(self, split: str) -> Sequence[Sample]:
        return STARTS[: self.starts]

    def after(self, start: Sample, answers: Sequence[str]) -> Any:
        return self.broken(start, answers) if self.broken else super().after(start, answers)


class Stopped(Scripted):
    """Says brighter; keeps how many questions came at once, and is stopped when it has given `most` answers."""

    def __init__(self, most: int = 99) -> None:
        super().__init__(lambda sample: "brighter")
        self.turns, self.most = list[int](), most

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        self.turns.append(len(samples))
        for index, sample in enumerate(samples):
            if len(self.samples) == self.most:
                raise KeyboardInterrupt
            self.samples.append(sample)
            yield index, [self.says(sample)]


def _evaluated(model: Scripted, store: Store | None = None, task: Any = LAMP) -> TaskResult:
    (result,) = evaluate(model, [task], split="test", store=store)
    return result


def test_every_answer_leads_to_the_next_question_until_the_episode_ends() -> None:
    rows = _evaluated(Stopped()).rows
    assert [row.answer.split("\n") for row in rows] == [["brighter"] * count for count in (5, 4, 3, 2, 1)]
    assert [row.value for row in rows] == [1.0] * 5


def test_an_episode_is_filed_as_a_line_an_answer() -> None:
    """Without thoughts, which are no answers, and with a line for silence."""
    says = {0: "<think>brighter</think>Not\nthis.", 1: ""}
    rows = _evaluated(Scripted(lambda sample: says.get(sample.images[0], "brighter"))).rows  # type: ignore[call-overload]
    lines = [row.answer.split("\n") for row in rows[:3]]
    assert lines == [["Not this."] * 7, ["-"] * 7, ["brighter"] * 3]
    assert [row.value for row in rows] == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_all_that_run_are_asked_at_once_and_progress_hears_of_every_end() -> None:
    turns, ended = list[list[Any]](), list[int]()

    def reply(questions: Sequence[Sample]) -> list[str]:
        turns.append([question.images[0] for question in questions])
        return ["brighter"] * len(questions)

    episodes = play(LAMP.after, STARTS, reply, ended.append)
    assert turns == [[0, 1, 2, 3, 4], [1, 2, 3, 4], [2, 3, 4], [3, 4], [4]]
    assert ended == [0, 1, 1, 1, 1, 1]
    assert [question.id for question in episodes[2].questions] == ["test-2/0", "test-2/1", "test-2/2"]


def test_a_state_is_asked_once_whoever_comes_to_it_and_without_gold() -> None:
    model = Stopped()
    _evaluated(model)
    assert model.turns == [5], "all later questions are among those of the first turn"
    assert {sample.target for sample in model.samples} == {None}


@pytest.mark.parametrize("most", [0, 1, 4])
def test_an_evaluation_that_was_stopped_within_an_episode_asks_nothing_twice(tmp_path: Path, most: int) -> None:
    whole, first, second = Stopped(), Stopped(most), Stopped()
    task, path = Changed(starts=1), tmp_path / "answers.jsonl"
    expected = _evaluated(whole, task=task)
    with pytest.raises(KeyboardInterrupt):
        _evaluated(first, Store(path), task)
    assert _evaluated(second, Store(path), task) == expected
    assert [sample.images for sample in [*first.samples, *second.samples]] == [(level,) for level in range(5)]


def _no_end(start: Sample, answers: Sequence[str]) -> Happened:
    return Happened(question=start, succeeded=False)


def test_an_episode_without_an_end_is_named() -> None:
    with pytest.raises(DataError, match=f"^sample test-0: its episode goes on after {LONGEST} answers; `after` must"):
        play(_no_end, STARTS[:1], lambda questions: ["brighter"] * len(questions))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda start, answers: 1 / 0, r"after fails on the answers \[\] \(ZeroDivisionError: division by zero\)"),
        (lambda start, answers: None, "after gives None and no Happened"),
        (
            lambda start, answers: Happened(question=replace(start, id=""), succeeded=False),
            "the question after 0 answers its id is empty",
        ),
        (
            lambda start, answers: Happened(question=None, succeeded=True),
            "the episode has ended before anything is asked",
        ),
        (_no_end, r"the right answers 'brighter.*' do not end it well"),
    ],
)
def test_a_world_that_is_broken_is_named_before_a_model_is_asked(broken: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"^task lamp, sample test-0: {message}"):
        try_task(Changed(broken=broken), STARTS, LAMP.metrics)
