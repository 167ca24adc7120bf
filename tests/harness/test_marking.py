"""Every command marks answers by one function: under the task's own profile, another, or all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from harness.errors import UsageError
from harness.marking import Answered, mark_answers, mark_by_profiles, mark_with_readings
from harness.types import Sample, Score, Scorer
from tests.support.quiz import Quiz

ANSWERS = ("Yes", "No", "Certainly", "I know not")


def _answered(task: Quiz, reference: str | None = None) -> Answered:
    return Answered(task=task, samples=tuple(task.samples("test")), answers=ANSWERS, reference=reference)


@dataclass(frozen=True, kw_only=True)
class Counting(Quiz):
    """Counts how often each profile marks an answer."""

    calls: Counter[tuple[str, str]]

    @property
    def profiles(self) -> dict[str, Scorer]:
        def counting(name: str, score: Scorer) -> Scorer:
            def marked(sample: Sample, answer: str) -> Score:
                self.calls[name, answer] += 1
                return score(sample, answer)

            return marked

        return {name: counting(name, score) for name, score in Quiz().profiles.items()}


def test_answers_are_marked_by_the_tasks_own_profile_or_the_one_named() -> None:
    task = Quiz()
    own = mark_answers(task, task.samples("test"), ANSWERS)
    strict = mark_answers(task, task.samples("test"), ANSWERS, profile="strict")
    assert (own.profile, [row.value for row in own.rows]) == ("lenient", [1, 1, 1, 1])
    assert (strict.profile, [row.parsed for row in strict.rows]) == ("strict", ["yes", "no", None, None])
    with pytest.raises(UsageError, match="quiz has no profile 'official'; it has lenient, strict"):
        mark_answers(task, task.samples("test"), ANSWERS, profile="official")


def test_an_answer_is_marked_once_under_each_profile() -> None:
    task = Counting(calls=Counter())
    result = mark_with_readings(task, task.samples("test"), ANSWERS)
    assert result.info["headline_by_profile"] == {"lenient": 1.0, "strict": 0.5}
    assert {key: count for key, count in task.calls.items() if key[1] in ANSWERS} == {
        (profile, answer): 1 for profile in ("lenient", "strict") for answer in ANSWERS
    }


def test_all_profiles_come_with_the_answers_that_they_read_differently() -> None:
    results = mark_by_profiles(dict.fromkeys(("lenient", "strict"), _answered(Quiz())))
    assert [result.profile for result in results] == ["lenient", "strict"]
    for result in results:
        assert [row["id"] for row in result.info["disagreements"]] == ["q2", "q3"]


def test_beside_one_profile_the_headline_of_another_is_told_where_published_figures_have_one() -> None:
    (strict,) = mark_by_profiles({"strict": _answered(Quiz(), reference="lenient")})
    assert strict.info["headline_by_profile"] == {"strict": 0.5, "lenient": 1.0}
    (lenient,) = mark_by_profiles({"lenient": _answered(Quiz(), reference="lenient")})
    assert lenient.info["headline_by_profile"] == {"lenient": 1.0, "strict": 0.5}
    (alone,) = mark_by_profiles({"strict": _answered(Quiz())})
    assert "headline_by_profile" not in alone.info
