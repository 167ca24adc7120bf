"""What is selected to be trained on: survivors and all pairs of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.types import Group, Sample, Verdict
from loops.groups import Example, Pair, examples_of
from loops.kinds import Selection
from loops.recipe import Recipe
from loops.rounds.offline import mean_words
from loops.select.all_pairs import AllPairs, all_pairs, balanced
from loops.select.survivors import Survivors, survivors


def sample(name: str) -> Sample:
    return Sample(id=name, prompt="Describe it.", images=(), target=None, cluster=name)


def group(name: str, rewards: Mapping[str, float | None]) -> Group:
    verdicts = tuple(Verdict(reward=reward) for reward in rewards.values())
    return Group(sample=sample(name), answers=tuple(rewards), notes=tuple({} for _ in rewards), verdicts=verdicts)


GROUPS = (
    group("a", {"one cat": 0.2, "a cat": 0.9, "a dog": 0.5}),
    group("b", {"a cup": None, "": 3.0}),
    group("c", {"a hat": 0.4, "two hats": 0.4}),
)


def texts(selection: Selection) -> list[tuple[str, str]]:
    return [(row.answer, "good" if row.desirable else "bad") for row in examples_of(selection.rows)]


def test_the_best_answer_to_each_picture_survives_and_the_first_of_equals() -> None:
    selection = survivors(GROUPS, Survivors())
    assert texts(selection) == [("a cat", "good"), ("a hat", "good")]
    assert (selection.counts["unsure"], selection.counts["pictures"]) == (1, 2)


def test_with_a_least_reward_the_others_fail_and_are_to_be_avoided_where_that_is_wanted() -> None:
    selection = survivors(GROUPS, Survivors(least=0.5, each=2, others=True))
    assert texts(selection) == [("a cat", "good"), ("a dog", "good"), ("one cat", "bad"), ("a hat", "bad"),
                                ("two hats", "bad")]  # fmt: skip
    assert (selection.counts["failed"], selection.counts["avoided"]) == (1, 3)
    with pytest.raises(ValidationError, match=r"without select\.least nothing fails"):
        Survivors(others=True)


def test_keep_takes_the_groups_whose_best_answer_earned_most() -> None:
    assert texts(survivors(GROUPS, Survivors(keep=1 / 3))) == [("a cat", "good")]


def test_all_pairs_beyond_the_margin_are_taken_the_better_answer_chosen() -> None:
    selection = all_pairs(GROUPS, AllPairs(margin=0.3))
    assert [(row.chosen, row.rejected, row.reversed) for row in selection.rows if isinstance(row, Pair)] == [
        ("a cat", "one cat", True),
        ("a cat", "a dog", False),
    ]
    assert selection.counts["unsure"] == 2
    widest = all_pairs(GROUPS, AllPairs(each=1)).rows
    assert [(row.chosen, row.rejected) for row in widest if isinstance(row, Pair)] == [("a cat", "one cat")]


PAIRS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12)


@given(PAIRS)
def test_balanced_pairs_are_never_further_from_equal_length_and_within_a_pair_of_it(
    lengths: Sequence[tuple[int, int]],
) -> None:
    pairs = [
        Pair(sample=sample(str(number)), chosen="c " * chosen, rejected="r " * rejected, reversed=False)
        for number, (chosen, rejected) in enumerate(lengths)
    ]

    def gap(rows: Sequence[Pair]) -> int:
        return sum(len(row.chosen.split()) - len(row.rejected.split()) for row in rows)

    kept = balanced(pairs)
    assert [pair for pair in pairs if pair in kept] == kept
    assert abs(gap(kept)) <= abs(gap(pairs))
    steps = [abs(gap([pair])) for pair in kept if gap([pair]) * gap(kept) > 0]
    assert all(abs(gap(kept)) < step for step in steps)


def test_the_words_of_both_sides_are_told() -> None:
    pair = Pair(sample=sample("a"), chosen="a b c", rejected="a", reversed=False)
    example = Example(sample=sample("b"), answer="a b")
    assert mean_words([pair, example]) == {"chosen_words": 2.5, "rejected_words": 1.0}
    assert mean_words([example]) == {"chosen_words": 2.0}


def test_an_optimiser_of_pairs_refuses_single_answers() -> None:
    with pytest.raises(
        ValidationError, match=r"optimise\.kind dpo learns from pairs, and select\.kind survivors gives"
    ):
        Recipe.model_validate({"name": "x", "select": {"kind": "survivors"}})
    assert Recipe.model_validate({"name": "x", "select": {"kind": "survivors"}, "optimise": {"kind": "sft"}})
