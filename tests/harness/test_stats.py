"""Claims about harness.stats: exact figures, honest intervals, paired differences."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, t

from harness.errors import DataError, UsageError
from harness.results import Marked
from harness.stats import (
    corrected,
    difference,
    enough_draws,
    estimate,
    holm,
    pooled_difference,
    resample,
    untestable_notes,
)
from harness.stats.binomial import wilson
from harness.stats.runs import detectable_errors
from harness.types import Metric

ACCURACY = Metric(name="accuracy", terms={"right": 1}, over={"asked": 1})
F1 = Metric(name="f1", terms={"tp": 2}, over={"tp": 2, "fp": 1, "fn": 1})


def marked(name: str, cluster: str = "c", group: str | None = None, parsed: object = "x", **counts: float) -> Marked:
    return Marked(id=name, cluster=cluster, group=group, answer="", value=0.0, parsed=parsed, counts=counts)


def answered(marks: Sequence[Sequence[int]]) -> list[Marked]:
    """Rows of accuracy: one inner list a cluster."""
    return [
        marked(f"{cluster}-{index}", f"c{cluster}", right=right, asked=1)
        for cluster, inner in enumerate(marks)
        for index, right in enumerate(inner)
    ]


marks = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=4), min_size=2, max_size=12)
quick = settings(deadline=None, max_examples=40)


def test_a_value_is_the_exact_quotient_of_sums() -> None:
    rows = [marked("1", "a", tp=1), marked("2", "a", fp=1), marked("3", "b", fn=1), marked("4", "b", tp=1)]
    f1 = estimate(rows, [F1], draws=200)["f1"]
    assert f1.value == 4 / 6
    assert f1.n == 4


def test_a_row_that_does_not_name_a_metrics_counts_is_none_of_its_rows() -> None:
    cell = dataclasses.replace(ACCURACY, name="cell", terms={"cell/right": 1}, over={"cell/asked": 1})
    inside = marked("1", "a", right=1, asked=1, **{"cell/right": 1, "cell/asked": 1})
    figures = estimate([inside, marked("2", "b", right=0, asked=1)], [ACCURACY, cell], draws=1)
    assert {name: (entry.value, entry.n) for name, entry in figures.items()} == {"accuracy": (0.5, 2), "cell": (1.0, 1)}


def test_a_group_metric_is_over_the_rows_of_its_group_and_a_macro_is_the_plain_mean() -> None:
    rows = [marked(f"{g}{i}", f"c{i}", g, right=i < k, asked=1) for g, k in (("x", 1), ("y", 3)) for i in range(4)]
    parts = [dataclasses.replace(ACCURACY, name=g, group=g) for g in ("x", "y")]
    figures = estimate(rows, [Metric(name="mean", macro=("x", "y")), *parts, ACCURACY], draws=200)
    assert {name: entry.value for name, entry in figures.items()} == {
        "mean": 0.5,
        "x": 0.25,
        "y": 0.75,
        "accuracy": 0.5,
    }
    assert {name: entry.n for name, entry in figures.items()} == {"mean": 8, "x": 4, "y": 4, "accuracy": 8}


def test_a_macro_metric_whose_parts_are_missing_is_an_error_that_names_them() -> None:
    with pytest.raises(DataError, match="'mean' is the mean of x"):
        estimate([], [Metric(name="mean", macro=("x",))])


def test_nothing_over_nothing_has_no_value_and_no_interval() -> None:
    f1 = estimate([marked("1", "a"), marked("2", "b")], [F1], draws=50)["f1"]
    assert (f1.value, f1.low, f1.high) == (None, None, None)
    assert estimate([], [F1])["f1"].value is None


def test_one_cluster_gives_a_value_but_no_interval() -> None:
    accuracy = estimate(answered([[1, 0, 1]]), [ACCURACY], draws=50)["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (2 / 3, None, None)


def test_a_metric_undefined_in_too_many_draws_has_no_interval() -> None:
    rows = [marked("1", "a", tp=1), marked("2", "b", tp=1), *(marked(f"x{i}", f"c{i}") for i in range(20))]
    f1 = estimate(rows, [F1], draws=500)["f1"]
    assert (f1.value, f1.low) == (1.0, None)


def test_the_interval_of_a_mean_is_the_normal_one_within_a_few_percent() -> None:
    rows = answered([[index % 2] * 2 for index in range(400)])
    accuracy = estimate(rows, [ACCURACY])["accuracy"]
    assert accuracy.method == "cluster wilson"
    assert accuracy.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.003)
    assert accuracy.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.003)


def test_a_share_with_one_row_a_picture_has_wilsons_interval() -> None:
    accuracy = estimate(answered([[1]] * 10), [ACCURACY], draws=50)["accuracy"]
    z = 1.959963984540054
    assert (accuracy.value, accuracy.method) == (1.0, "wilson")
    assert (accuracy.low, accuracy.high) == (pytest.approx(10 / (10 + z * z), abs=1e-12), 1.0)
    only = estimate(answered([[1]]), [ACCURACY], draws=50)["accuracy"]
    assert only.low == pytest.approx(1 / (1 + z * z), abs=1e-12)


def test_a_number_is_bootstrapped_and_a_ratio_or_rows_that_share_a_picture_are_worth_other_trials() -> None:
    words = dataclasses.replace(ACCURACY, name="words", percent=False)
    rows = [marked(f"{i}", f"c{i}", right=i % 2, asked=1, tp=i % 2, fp=1 - i % 2, fn=0) for i in range(8)]
    figures = estimate(rows, [ACCURACY, words, F1], draws=50)
    assert {name: entry.method for name, entry in figures.items()} == {
        "accuracy": "wilson", "words": "cluster bootstrap", "f1": "cluster wilson"
    }  # fmt: skip
    assert estimate(answered([[1, 0], [1]]), [ACCURACY], draws=50)["accuracy"].method == "cluster wilson"


@quick
@given(st.lists(st.integers(0, 1), min_size=1, max_size=30))
def test_mcnemar_counts_the_rows_that_one_side_alone_has_right(flips: list[int]) -> None:
    a, b = answered([[1 - flip] for flip in flips]), answered([[1] for _ in flips])
    mcnemar = difference(a, b, [ACCURACY], draws=50)["accuracy"].mcnemar
    assert mcnemar is not None and not mcnemar.clustered
    assert (mcnemar.only_a, mcnemar.only_b) == (0, sum(flips))
    assert mcnemar.p == pytest.approx(min(1.0, 2 * 0.5 ** sum(flips)))


def test_mcnemar_by_hand_and_where_it_does_not_hold() -> None:
    a, b = answered([[1, 0, 0, 0]] * 2), answered([[0, 1, 1, 1]] * 2)
    result = difference(a, b, [ACCURACY, F1], draws=50)
    assert result["f1"].mcnemar is None
    test = result["accuracy"].mcnemar
    assert test is not None and (test.only_a, test.only_b, test.clustered) == (2, 6, True)
    assert test.p == pytest.approx(2 * (1 + 8 + 28) / 256)


def test_the_smallest_detectable_difference_is_two_point_eight_standard_errors() -> None:
    a, b = answered([[0, 1], [1, 0]] * 100), answered([[1, 0], [1, 1]] * 100)
    accuracy = difference(a, b, [ACCURACY])["accuracy"]
    # a picture's difference is 0 or 1/2, half each: its standard error over 200 pictures is 1/4 / sqrt(200)
    assert accuracy.detectable == pytest.approx(2.8 * 0.25 / 200**0.5, rel=0.03)
    assert difference(a, a, [ACCURACY], draws=50)["accuracy"].detectable is None


def test_no_draws_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        estimate(answered([[1]]), [ACCURACY], draws=0)


@quick
@given(marks)
def test_the_value_equals_the_direct_ratio_and_lies_in_its_interval(given_marks: list[list[int]]) -> None:
    accuracy = estimate(answered(given_marks), [ACCURACY], draws=400)["accuracy"]
    flat = [mark for inner in given_marks for mark in inner]
    assert accuracy.value == pytest.approx(sum(flat) / len(flat), abs=1e-12)
    assert accuracy.low is not None and accuracy.high is not None and accuracy.value is not None
    # Two clusters of unlike sizes may sit a little outside: a percentile interval is of the draws, not of the value.
    assert accuracy.low - 0.35 <= accuracy.value <= accuracy.high + 0.35
    assert 0 <= accuracy.low <= accuracy.high <= 1


@quick
@given(marks, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_move_a_digit(given_marks: list[list[int]], shuffler: random.Random) -> None:
    rows = [dataclasses.replace(row, counts={"right": row.counts["right"] * 0.1, "asked": 1}) for row in
            answered(given_marks)]  # fmt: skip
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert estimate(rows, [ACCURACY], draws=100) == estimate(shuffled, [ACCURACY], draws=100)
    assert difference(rows, shuffled, [ACCURACY], draws=100) == difference(rows, rows, [ACCURACY], draws=100)


@quick
@given(marks)
def test_a_side_compared_with_itself_differs_by_exactly_nothing(given_marks: list[list[int]]) -> None:
    rows = answered(given_marks)
    accuracy = difference(rows, rows, [ACCURACY], draws=100)["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high, accuracy.p) == (0.0, 0.0, 0.0, 1.0)


@quick
@given(marks)
def test_duplicating_rows_inside_their_cluster_does_not_narrow_the_interval(given_marks: list[list[int]]) -> None:
    rows = answered([[0, 1], *given_marks])  # two rows of one picture: no plain share
    copies = [dataclasses.replace(row, id=f"{row.id}-again") for row in rows]
    once = estimate(rows, [ACCURACY], draws=300)["accuracy"]
    twice = estimate([*rows, *copies], [ACCURACY], draws=300)["accuracy"]
    assert (twice.low, twice.high) == (pytest.approx(once.low, abs=1e-12), pytest.approx(once.high, abs=1e-12))


def test_rows_of_one_picture_that_agree_widen_the_interval() -> None:
    together = answered([[index % 2] * 10 for index in range(40)])
    apart = [dataclasses.replace(row, cluster=row.id) for row in together]
    wide, narrow = (estimate(rows, [ACCURACY], draws=2000)["accuracy"] for rows in (together, apart))
    assert wide.low is not None and wide.high is not None and narrow.low is not None and narrow.high is not None
    assert wide.high - wide.low > 2.5 * (narrow.high - narrow.low)


def test_a_difference_is_over_the_shared_rows_and_lists_the_others() -> None:
    a = [marked(str(i), f"c{i}", right=i in (0, 1), asked=1) for i in (0, 1, 2, 3, 7)]
    b = [marked(str(i), f"c{i}", right=i in (1, 2, 3), asked=1) for i in (9, 3, 2, 1, 0)]
    accuracy = difference(a, b, [ACCURACY], draws=200)["accuracy"]
    assert (accuracy.a, accuracy.b, accuracy.value, accuracy.n) == (0.5, 0.75, 0.25, 4)
    assert (accuracy.only_a, accuracy.only_b) == (("7",), ("9",))


def test_pairing_cancels_what_both_sides_share() -> None:
    a = answered([[index % 2] for index in range(400)])
    b = [dataclasses.replace(row, counts={"right": 1, "asked": 1}) if i < 16 else row for i, row in enumerate(a)]
    accuracy = difference(a, b, [ACCURACY])["accuracy"]
    assert accuracy.value == pytest.approx(8 / 400)
    assert accuracy.low is not None and 0 < accuracy.low < accuracy.value  # unpaired the half-width would be 6.9 points
    assert accuracy.p is not None and accuracy.p < 0.01


def test_an_id_that_occurs_twice_or_means_another_picture_is_an_error() -> None:
    row = marked("1", "a", right=1, asked=1)
    with pytest.raises(DataError, match="'1' occurs twice"):
        difference([row, row], [row], [ACCURACY])
    with pytest.raises(DataError, match=r"picture 'a' .* 'b'"):
        difference([row], [dataclasses.replace(row, cluster="b")], [ACCURACY])


def test_when_nothing_changed_few_comparisons_say_that_something_did() -> None:
    stream = np.random.default_rng(7)
    false_alarms = 0
    for _ in range(200):
        a, b = (
            [marked(f"{c}-{q}", f"c{c}", right=int(stream.random() < level[c]), asked=1)
             for c in range(60) for q in range(3)]
            for level in [stream.uniform(0.4, 1.0, size=60)] * 2
        )  # fmt: skip
        accuracy = difference(a, b, [ACCURACY], draws=500)["accuracy"]
        assert accuracy.p is not None
        false_alarms += accuracy.p < 0.05
    assert 0.01 <= false_alarms / 200 <= 0.10


def test_pooling_one_seed_is_the_plain_difference() -> None:
    a, b = answered([[0, 1], [1], [0, 0], [1, 1]]), answered([[1, 1], [1], [0, 1], [0, 1]])
    plain = difference(a, b, [ACCURACY], draws=300, seed=3)["accuracy"]
    pooled = pooled_difference([(a, b)], [ACCURACY], draws=300, seed=3)["accuracy"]
    assert all(getattr(pooled, field.name) == getattr(plain, field.name) for field in dataclasses.fields(plain))
    assert (pooled.fixed_low, pooled.fixed_high, pooled.seeds) == (plain.low, plain.high, (plain.value,))


def test_pooling_takes_the_mean_over_seeds_and_is_wider_when_seeds_disagree() -> None:
    a = answered([[0]] * 50 + [[1]] * 50)
    up = answered([[0]] * 30 + [[1]] * 70)
    down = answered([[0]] * 60 + [[1]] * 40)
    accuracy = pooled_difference([(a, up), (a, down)], [ACCURACY], draws=2000)["accuracy"]
    assert accuracy.value == pytest.approx(0.05)
    assert accuracy.seeds == (pytest.approx(0.2), pytest.approx(-0.1))
    assert None not in (accuracy.low, accuracy.high, accuracy.fixed_low, accuracy.fixed_high)
    assert accuracy.low < accuracy.fixed_low < 0.05 < accuracy.fixed_high < accuracy.high  # type: ignore[operator]
    assert accuracy.n == 200


def test_pooling_nothing_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no pair"):
        pooled_difference([], [ACCURACY])


def _runs_that_end_at(*shares: float) -> list[tuple[list[Marked], list[Marked]]]:
    """A model that has nothing right of 200 pictures, and what it is trained to."""
    before = answered([[0]] * 200)
    return [(before, answered([[int(number < share * 200)] for number in range(200)])) for share in shares]


def test_three_runs_that_differ_more_than_pictures_have_the_interval_of_their_own_t() -> None:
    """Runs 0.1, 0.5 and 0.9: sd 0.4, standard error 0.231, of which pictures add little: t near 4.30, not 1.96."""
    accuracy = pooled_difference(_runs_that_end_at(0.1, 0.5, 0.9), [ACCURACY])["accuracy"]
    own = (0.09 + 0.25 + 0.09) / 200 / 3  # variance of one run over pictures, in the mean
    common = (0.1 * 0.5 + 0.1 * 0.1 + 0.5 * 0.1) / 200 / 3  # covariance of two runs: the smaller's, less the product
    se = (0.4**2 / 3 + common) ** 0.5
    assert accuracy.ratio == pytest.approx(0.4 / own**0.5, rel=0.03)
    assert accuracy.se == pytest.approx(se, rel=1e-3)
    assert accuracy.df == pytest.approx(2, abs=0.02)
    assert accuracy.low == pytest.approx(0.5 - 4.29 * se, rel=0.03)


def test_runs_that_do_not_differ_are_not_held_to_have_few_degrees_of_freedom() -> None:
    pairs = _runs_that_end_at(0.5, 0.5, 0.5)
    result, alone = (pooled_difference(pairs[:count], [ACCURACY])["accuracy"] for count in (3, 1))
    assert (result.ratio, result.df) == (0.0, pytest.approx(199))
    assert result.se == pytest.approx(alone.se)
    assert result.low == pytest.approx(alone.low, abs=0.003)


@pytest.mark.parametrize(("runs", "least"), [(2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125), (8, 0.0078125)])
def test_runs_that_all_agree_prove_no_more_than_their_signs(runs: int, least: float) -> None:
    accuracy = pooled_difference(_runs_that_end_at(*[0.9] * runs), [ACCURACY], draws=300)["accuracy"]
    assert (accuracy.p, accuracy.least_p, accuracy.limit) == (least, least, f"{runs} training runs")


def test_p_of_several_runs_is_that_of_their_t() -> None:
    accuracy = pooled_difference(_runs_that_end_at(0.05, 0.1, 0.0, 0.02, 0.0, 0.01, 0.0, 0.0), [ACCURACY])["accuracy"]
    assert accuracy.df is not None and accuracy.value is not None and accuracy.se is not None
    assert accuracy.p == pytest.approx(2 * float(t.sf(accuracy.value / accuracy.se, accuracy.df)))
    assert accuracy.low is not None and (accuracy.p < 0.05) == (accuracy.low > 0)


@pytest.mark.parametrize(("df", "errors"), [(2, 5.653), (4, 3.761), (7, 3.270), (9, 3.150), (1e5, 2.802)])
def test_what_is_detectable_follows_the_noncentral_t(df: float, errors: float) -> None:
    """Power 80 % at two-sided 5 %; checked by the distribution itself."""
    assert detectable_errors(df) == pytest.approx(errors, abs=0.001)
    assert nct.sf(t.ppf(0.975, df), df, errors) == pytest.approx(0.8, abs=0.001)


def test_three_runs_say_that_they_see_little() -> None:
    accuracy = pooled_difference(_runs_that_end_at(0.1, 0.5, 0.9), [ACCURACY], draws=1000)["accuracy"]
    assert accuracy.detectable is not None and accuracy.se is not None
    assert accuracy.detectable / accuracy.se == pytest.approx(5.65, abs=0.05)


def test_captions_without_a_wrong_mention_do_not_prove_that_none_is_ever_wrong() -> None:
    """30 captions of five mentions: Wilson's interval of none in 30, as if all mentions of a caption were alike."""
    rows = [marked(str(number), f"c{number}", wrong=0, mentions=5) for number in range(30)]
    CHAIRi = estimate(rows, [Metric(name="CHAIRi", terms={"wrong": 1}, over={"mentions": 1}, better="lower")])["CHAIRi"]
    z = 1.959963984540054
    assert (CHAIRi.value, CHAIRi.low, CHAIRi.method) == (0.0, 0.0, "cluster wilson")
    assert CHAIRi.high == pytest.approx(z * z / (30 + z * z))


def test_where_everything_is_an_event_the_interval_is_the_mirror_image() -> None:
    none, every = (estimate(answered([[mark] * 5] * 30), [ACCURACY])["accuracy"] for mark in (0, 1))
    assert none.high is not None and every.low is not None
    assert (every.low, every.high) == (pytest.approx(1 - none.high), 1.0)


def test_the_trials_that_pictures_are_worth_by_hand() -> None:
    """Four pictures of two answers, 2, 2, 1, 0 right: 5 of 8, residuals 3/32, 3/32, -1/32, -5/32 of the weight."""
    accuracy = estimate(answered([[1, 1], [1, 1], [1, 0], [0, 0]]), [ACCURACY])["accuracy"]
    variance = (9 + 9 + 1 + 25) / 32**2
    telling = 2  # pictures with something wrong; right answers are on three
    trials = 3 / (telling * variance / (5 / 8 * 3 / 8) + 1 / 4)
    assert (accuracy.low, accuracy.high) == pytest.approx(wilson(5 / 8, trials), abs=1e-12)


def test_a_mean_of_shares_has_the_trials_of_the_mean() -> None:
    rows = [marked(f"{g}{c}", f"c{c}", g, right=c < k, asked=1) for g, k in (("x", 10), ("y", 30)) for c in range(40)]
    parts = [dataclasses.replace(ACCURACY, name=g, group=g) for g in ("x", "y")]
    mean = estimate(rows, [Metric(name="mean", macro=("x", "y")), *parts])["mean"]
    # ten pictures count 1, twenty 1/2 and ten 0: something is right on thirty, and something wrong
    trials = 31 / (30 * (20 * 0.25 / 40**2) / 0.25 + 1 / 40)
    assert (mean.low, mean.high, mean.method) == (*map(pytest.approx, wilson(0.5, trials)), "cluster wilson")


def test_a_mean_is_as_uncertain_as_its_small_part_in_which_nothing_occurred() -> None:
    """Parts of 1,000, 1,000 and 10 pictures, half, half and none right: the third may well be right on 27.75 %."""
    sizes = {"x": 1000, "y": 1000, "z": 10}
    rows = [marked(f"{g}{c}", f"{g}{c}", g, right=g != "z" and c % 2, asked=1) for g in sizes for c in range(sizes[g])]
    parts = [dataclasses.replace(ACCURACY, name=g, group=g) for g in sizes]
    mean = estimate(rows, [Metric(name="mean", macro=tuple(sizes)), *parts])["mean"]
    arms = [wilson(0.5, 1000)[1] - 0.5] * 2 + [wilson(0.0, 10)[1]]
    assert mean.high == pytest.approx(1 / 3 + math.hypot(*arms) / 3)
    assert mean.high == pytest.approx(0.427, abs=5e-4)


def test_in_a_family_that_is_too_large_for_its_draws_nothing_is_testable() -> None:
    """2,000 draws: p is 2 / 2,001 at least, times 51 figures 0.051."""
    a, b = answered([[0]] * 60), answered([[1]] * 60)
    each = difference(a, b, [ACCURACY], draws=2000)["accuracy"]
    results = [corrected({str(number): each for number in range(size)})["0"] for size in (50, 51)]
    assert [result.testable for result in results] == [True, False]
    assert results[1].p == pytest.approx(51 * 2 / 2001)
    (note,) = untestable_notes({str(number): each for number in range(51)}, "headlines")
    assert note == (
        "51 of 51 headlines are not testable: 2,000 draws prove no p below 0.001, which Holm's correction lifts beyond "
        "0.05, whatever the answers; 20,400 would do."
    )
    enough = difference(a, b, [ACCURACY], draws=enough_draws(51))["accuracy"]
    assert untestable_notes({str(number): enough for number in range(51)}, "headlines") == []


def test_what_others_of_the_family_prove_leaves_more_room_for_the_rest() -> None:
    """Holm: six runs alone are testable, two such figures are not, and beside ones of many draws the last is."""
    sure = difference(answered([[0]] * 60), answered([[1]] * 60), [ACCURACY], draws=10_000)["accuracy"]
    six = pooled_difference(_runs_that_end_at(*[0.9] * 6), [ACCURACY], draws=100)["accuracy"]
    assert corrected({"six": six, "a": sure, "b": sure})["six"].testable
    assert not corrected({"six": six, "seven": six})["six"].testable


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_ten_thousand_draws_of_nine_thousand_rows_take_about_a_second() -> None:
    rows = [
        marked(f"{c}-{g}-{q}", f"c{c}", g, tp=(c + q) % 2, fp=(c * q) % 3 == 1, fn=(c + q) % 5 == 0, asked=1)
        for c in range(500) for g in ("random", "popular", "adversarial") for q in range(6)
    ]  # fmt: skip
    metrics = [dataclasses.replace(F1, name=f"f1_{g}", group=g) for g in ("random", "popular", "adversarial")]
    began = time.process_time()
    estimate(rows, [*metrics, F1, Metric(name="f1_mean", macro=tuple(metric.name for metric in metrics))])
    assert time.process_time() - began < 5  # 0.2 s where nothing else runs; a slow shared machine may take longer


@pytest.mark.parametrize(("pictures", "changed", "least"), [(2, 2, 0.5), (200, 4, 0.125), (200, 20, 0.0)])
def test_few_pictures_that_differ_prove_no_more_than_their_signs_do(pictures: int, changed: int, least: float) -> None:
    before = answered([[int(number >= changed)] for number in range(pictures)])
    after = answered([[1]] * pictures)
    result = difference(before, after, [ACCURACY, Metric(name="mean", macro=("accuracy",))])
    assert result["accuracy"].p == result["mean"].p == (least or 2 / 10_001)
    assert result["accuracy"].mcnemar is not None and result["accuracy"].mcnemar.p >= least


def test_draws_that_are_kept_are_those_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [np.concatenate(list(resample.resamples(30, 50, 3))) for _ in range(2)]
    monkeypatch.setattr(resample, "_CELLS_KEPT", 0)
    anew = np.concatenate(list(resample.resamples(30, 50, 3)))
    assert all(np.array_equal(item, anew) for item in kept)
    assert (anew.sum(axis=1) == 30).all()
