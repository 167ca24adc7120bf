"""Claims about the frontier: whoever only says less moves along a curve and gains nothing; whoever sees more, does."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.ranked import OWN, at_words, steps_of, sureness_of
from harness.results import Marked, TaskResult
from harness.stats import Difference, PooledDifference, frontier_difference, pooled_frontier
from harness.types import Sample, Score
from tests.support.worlds import CAPTIONS, captions

CHAIRI, RECALL = CAPTIONS[1:3]


def frontier(a: TaskResult, b: TaskResult, draws: int = 50) -> dict[str, Difference]:
    return frontier_difference(a.rows, b.rows, CHAIRI, RECALL, draws=draws)


def pooled(a: TaskResult, *ends: TaskResult) -> PooledDifference:
    return pooled_frontier([(a.rows, end.rows) for end in ends], CHAIRI, RECALL, draws=400)["frontier/CHAIRi"]


def quieter(result: TaskResult, words: int) -> TaskResult:
    """The same model saying no more than so many words, those that it is surest of, and as sure of them as before."""
    rows = tuple(
        dataclasses.replace(row, counts=row.ranked[OWN][:words][-1].counts, ranked={OWN: row.ranked[OWN][: words + 1]})
        for row in result.rows
    )
    return dataclasses.replace(result, rows=rows)


def test_the_curve_by_hand() -> None:
    # Both reach 2 of 3 objects: A after two mentions, none wrong (the third may be left out), B after three, one wrong.
    result = frontier(captions("cat dog !car"), captions("cat !car dog cup"))
    assert (result["frontier/CHAIRi"].a, result["frontier/CHAIRi"].b) == (0.0, 1 / 3)
    # A's precision is 1 all the way. B's is 1 up to recall 1/3, there falls to 1/2, and is 2/3 at recall 2/3.
    assert result["frontier/AP"].a == 1.0
    assert result["frontier/AP"].b == pytest.approx((1 / 3 * 1 + 1 / 3 * (1 / 2 + 2 / 3) / 2) / (2 / 3))
    assert result["frontier/CHAIRi"].low is None, "one picture says nothing about spread"


def test_between_two_thresholds_the_sums_are_interpolated() -> None:
    # b: after 1 word a caption recall 2/6, nothing of 2 wrong; after 2 words 2/6, 2 of 4; after 3 words 4/6, 2 of 6.
    # At 3/6, halfway between the last two: 2 of 5.
    a, b = captions("cat dog", "cup"), captions("cat !dog cup", "cup !car bus")
    assert frontier(a, b)["frontier/CHAIRi"].b == pytest.approx(2 / 5)


def test_whoever_leaves_out_what_it_is_unsure_of_gains_nothing() -> None:
    model = captions(*["cat dog !car", "cat !bus !dog", "cup dog bed !car", "!cat cup bus"] * 10)
    quiet = quieter(model, 2)
    plain = [row.counts["hallucinated_mentions"] / row.counts["mentions"] for row in quiet.rows]
    assert sum(plain) / 40 < 5 / 13, "its CHAIRi is lower"
    result = frontier(model, quiet, draws=200)
    for entry in result.values():
        assert (entry.value, entry.low, entry.high) == pytest.approx((0, 0, 0), abs=1e-12)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "!d", "!e"]), min_size=1, max_size=5), min_size=2, max_size=8))
@settings(deadline=None, max_examples=40)
def test_an_operating_point_moves_neither_figure(word_lists: list[list[str]]) -> None:
    model = captions(*[" ".join(words) for words in word_lists], objects=5)
    longest = max(map(len, word_lists))
    for words in range(1, longest + 1):
        for value in frontier(model, quieter(model, words), draws=2).values():
            assert value.value is None or value.value == pytest.approx(0, abs=1e-9)


def test_a_model_that_sees_more_gains_though_it_says_as_much() -> None:
    result = frontier(captions(*["!dog cat"] * 20), captions(*["dog cat"] * 20))
    # A is sure of what is not there and reaches recall 1/3 with half of it wrong
    assert result["frontier/CHAIRi"].value == result["frontier/CHAIRi"].high == -0.5
    assert result["frontier/AP"].a == pytest.approx((0 + 1 / 2) / 2)
    assert result["frontier/AP"].value == pytest.approx(3 / 4)


def test_over_training_seeds_it_is_the_mean_of_each() -> None:
    a, b, c = captions(*["!car cat"] * 4), captions(*["cat !car"] * 4), captions(*["!car cat !bus"] * 4)
    result = pooled(a, b, c)
    assert result.seeds == (pytest.approx(-1 / 2), pytest.approx(0))
    assert (result.value, result.n) == (pytest.approx(-1 / 4), 8)


def test_captions_that_differ_on_few_pictures_prove_little() -> None:
    result = frontier(captions(*["!dog cat"] * 3), captions(*["cat"] * 3), draws=400)["frontier/CHAIRi"]
    assert (result.value, result.p) == (-0.5, 0.25)


def test_rows_that_nobody_ranked_are_an_error() -> None:
    rows = [dataclasses.replace(row, ranked={}) for row in captions("cat").rows]
    with pytest.raises(DataError, match="'p0' has no ranked sentences: evaluate the model again"):
        frontier_difference(rows, rows, CHAIRI, RECALL)


# Ranked answers -------------------------------------------------------------------------------------------------------

SAMPLE = Sample(id="1", prompt="", images=(), target={"cat", "cup"}, cluster="1")


def _letters(sample: Sample, answer: str) -> Score:
    return Score(value=0, parsed=answer, counts={"letters": len(answer), "asked": 1, "never": 0})


def test_steps_add_the_surest_sentence_first_and_keep_the_answers_order() -> None:
    steps = steps_of(SAMPLE, "One.  Three.\nTwo.", [-1.0, -3.0, -2.0], _letters)
    assert [step.sentence for step in steps] == [None, 0, 2, 1]
    # "", "One.", "One. Two.", and the whole answer as it was said
    assert [step.counts.get("letters", 0) for step in steps] == [0, 4, 9, 17]
    assert "never" not in steps[-1].counts, "zeros are left out"
    assert sureness_of(steps) == [-1.0, -3.0, -2.0]


def test_at_so_many_words_one_threshold_cuts_all_answers() -> None:
    result = captions("cat dog !car", "cup")
    output = at_words(result, OWN, 1.5)  # three words of two captions: the two first, and one of the next sure
    assert [row.counts["words"] for row in output.rows] == [2, 1]
    assert [row.counts["words"] for row in at_words(result, OWN, 99).rows] == [3, 1]
    assert [row.counts["words"] for row in at_words(result, OWN, 0).rows] == [0, 0]


def test_sentences_of_equal_sureness_stay_or_go_together_and_the_nearest_number_of_words_is_kept() -> None:
    """One word a caption is surest, three are equal: 1.2 words are nearer to 1 than to 4, 2.6 to 4."""
    rows = []
    for row in captions(*["cat dog cup bus"] * 10).rows:
        none, first, *rest = row.ranked[OWN]
        equal = [dataclasses.replace(step, sureness=-9.0) for step in rest]
        rows.append(dataclasses.replace(row, ranked={OWN: [none, first, *equal]}))
    result = dataclasses.replace(captions("cat"), rows=tuple(rows))
    left = [{row.counts["words"] for row in at_words(result, OWN, words).rows} for words in (1.2, 2.6)]
    assert left == [{1}, {4}]


def test_a_threshold_above_all_leaves_silence() -> None:
    rows: tuple[Marked, ...] = at_words(captions("cat"), OWN, 0).rows
    assert rows[0].counts == {"captions": 1, "hallucinated_captions": 0, "mentions": 0, "hallucinated_mentions": 0,
                              "words": 0, "gt_objects": 3, "recalled": 0}  # fmt: skip
