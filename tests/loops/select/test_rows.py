"""What is selected to be trained on: survivors and all pairs of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.types import Group, Sample, Verdict
from loops.groups import Example, Pair, examples_of, texts_of
from loops.kinds import Selection
from loops.recipe import Recipe
from loops.rounds.offline import likeness, mean_words
from loops.select.all_pairs import AllPairs, all_pairs
from loops.select.pairs import BestAgainstWorst, select
from loops.select.survivors import Survivors, survivors
from loops.select.thinning import balanced


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


def asked(name: str, picture: str, rewards: Mapping[str, float | None], prompt: str = "Describe it.") -> Group:
    """A group about a picture of which other things may be asked too."""
    judged = group(name, rewards)
    return replace(judged, sample=replace(judged.sample, cluster=picture, prompt=prompt))


REPEATED = (
    asked("1", "park", {"yes": 0.9, "no": 0.1}, "Is there a cat?"),
    asked("2", "park", {"yes": 0.8, "no": 0.1}, "Is there a cat?"),
    asked("3", "park", {"yes": 0.1, "no": 0.7}, "Is there a dog?"),
    asked("4", "beach", {"yes": 0.5, "no": 0.1}, "Is there a cat?"),
)


@pytest.mark.parametrize(
    ("deduplicate", "ids", "repeated"),
    [("none", ["1", "2", "3", "4"], 0), ("picture", ["1", "3", "4"], 1), ("text", ["1", "3"], 2)],
)
def test_equal_answers_are_one_row_of_a_question_or_of_all_pictures_or_stay(
    deduplicate: Any, ids: list[str], repeated: int
) -> None:
    for selection in (
        select(REPEATED, BestAgainstWorst(deduplicate=deduplicate)),
        all_pairs(REPEATED, AllPairs(deduplicate=deduplicate)),
        survivors(REPEATED, Survivors(deduplicate=deduplicate)),
    ):
        assert [row.sample.id for row in selection.rows] == ids
        assert (selection.counts["repeated"], selection.counts["crowded"]) == (repeated, 0)


def test_a_picture_has_no_more_rows_than_it_may_the_surest_of_them_in_their_order() -> None:
    for selection in (
        select(REPEATED, BestAgainstWorst(per_picture=2)),
        all_pairs(REPEATED, AllPairs(per_picture=2)),
        survivors(REPEATED, Survivors(per_picture=2)),
    ):
        assert [row.sample.id for row in selection.rows] == ["1", "2", "4"]
        assert selection.counts["crowded"] == 1
    avoided = survivors(REPEATED, Survivors(least=1.0, others=True, per_picture=1)).rows
    assert [(row.sample.id, *texts_of(row)) for row in avoided] == [("1", "no"), ("4", "no")]


def test_keep_takes_of_all_pairs_those_whose_rewards_differ_most() -> None:
    selection = all_pairs(GROUPS, AllPairs(keep=2 / 3))
    assert [(row.chosen, row.rejected) for row in selection.rows if isinstance(row, Pair)] == [
        ("a cat", "one cat"),
        ("a cat", "a dog"),
    ]
    assert selection.counts["beyond"] == 1


def test_pairs_are_balanced_in_length_by_whatever_they_are_selected() -> None:
    longer, shorter = {"a b c": 1.0, "a": 0.0}, {"a": 1.0, "a b c": 0.0}
    groups = [group(str(number), longer) for number in range(3)] + [group("3", shorter)]
    for selection in (select(groups, BestAgainstWorst(balance=True)), all_pairs(groups, AllPairs(balance=True))):
        assert mean_words(selection.rows) == {"chosen_words": 2.0, "rejected_words": 2.0}
        assert (selection.counts["balanced"], selection.counts["pairs"]) == (2, 2)


def test_the_ledger_tells_how_alike_the_rows_are() -> None:
    rows = select(REPEATED, BestAgainstWorst()).rows
    assert likeness(rows) == {"different_texts": 2, "commonest_text": 3, "most_of_a_picture": 3}
    assert likeness([]) == {"different_texts": 0, "commonest_text": 0, "most_of_a_picture": 0}


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
