"""Two backends held against each other: each sample that differs is listed, and noise is told from more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from harness.errors import DataError
from harness.results import Results, TaskResult
from leaderboards.parity import Backend, compare_backends
from tests.support.worlds import yes_no


def _backend(task: TaskResult, values: Mapping[str, float] | None = None) -> Backend:
    results = Results(model="m", digest="d" * 64, parent=None, tasks=(task,), provenance={})
    return Backend(results=results, log_probabilities={task.task: values or {}}, tokenise=str.split)


def _answered(marks: Sequence[int]) -> TaskResult:
    """A quiz whose right answers are "It is a yes" and whose wrong ones are "It is no"."""
    task = yes_no(marks)
    return replace(
        task, rows=tuple(replace(row, answer="It is a yes" if row.value else "It is no") for row in task.rows)
    )


def test_equal_answers_are_equal_and_their_log_probabilities_lie_so_far_apart() -> None:
    task = _answered([1, 0, 1])
    report = compare_backends(
        _backend(task, {"q0": -1.0, "q1": -2.0, "q2": -3.0}), _backend(task, {"q0": -1.5, "q1": -2.0})
    )
    assert report["equal"]
    (entry,) = report["tasks"]
    assert (entry["n"], entry["answers_equal"], entry["marks_equal"]) == (3, 3, 3)
    assert (entry["verdict"], entry["differing"]) == ("equal marks", [])
    assert entry["log_probabilities"] == {"n": 2, "mean_apart": 0.25, "largest_apart": 0.5, "largest_at": "q0"}


def test_a_sample_that_differs_is_listed_with_the_place_where_its_answers_part() -> None:
    report = compare_backends(_backend(_answered([1, 0, 1])), _backend(_answered([1, 1, 1])))
    (row,) = report["tasks"][0]["differing"]
    assert row == {
        "id": "q1", "character": 6, "token": 2, "tokens": ["no", "a"], "a": "It is no", "b": "It is a yes",
        "mark_a": 0, "mark_b": 1, "marks_equal": False,
    }  # fmt: skip
    assert not report["equal"]
    assert report["tasks"][0]["log_probabilities"] is None, "nobody knows them"


@pytest.mark.parametrize(
    ("worse", "verdict"),
    [([0] + [1] * 99, "no more than noise"), ([0] * 30 + [1] * 70, "more than noise")],
)
def test_a_difference_in_score_is_more_than_noise_or_no_more(worse: list[int], verdict: str) -> None:
    (entry,) = compare_backends(_backend(_answered([1] * 100)), _backend(_answered(worse)))["tasks"]
    assert entry["verdict"] == verdict
    difference = entry["difference"]
    assert difference["value"] == pytest.approx(-worse.count(0) / 100)
    assert difference["low"] <= difference["value"] <= difference["high"]


def test_of_three_pictures_nothing_can_be_told() -> None:
    (entry,) = compare_backends(_backend(_answered([1] * 3)), _backend(_answered([0] * 3)))["tasks"]
    assert entry["verdict"] == "too few pictures to tell"


def test_sides_without_a_common_task_are_an_error() -> None:
    with pytest.raises(DataError, match=r"^nothing to compare: they have no task in common; ask both the same tasks$"):
        compare_backends(_backend(_answered([1])), _backend(replace(_answered([1]), task="other")))
