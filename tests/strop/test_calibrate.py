"""Claims about `strop calibrate`: the statistics keep what they say, and the simulation can tell when they do not."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from harness.stats.calibrate import (
    ACCURACY,
    CASES,
    COVERED,
    FALSE,
    FOUND,
    RARE,
    Case,
    RunsCalibration,
    calibrate,
    calibrate_figure,
    calibrate_runs,
    two_models,
)
from harness.stats.differences import compare_sums
from harness.stats.resample import Plan, resamples
from strop.commands.calibrate import calibrate as command

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} {case.metric.name}")
def test_verdicts_and_intervals_keep_what_they_say(case: Case) -> None:
    result, figure = calibrate(case, pictures=200, comparisons=300, draws=400), calibrate_figure(case, pictures=200)
    shares = (result.false, result.found, result.covered, figure.covered)
    for share, (low, high) in zip(shares, (FALSE, FOUND, COVERED, COVERED), strict=True):
        assert low - 2 * share.error <= share.value <= high + 2 * share.error, result
    assert figure.method == ("wilson" if case.name == "yes/no, 1 a picture" else "cluster wilson")


def test_a_thousand_comparisons_of_models_that_are_alike_rarely_say_better() -> None:
    result = calibrate(CASES[0], pictures=100, comparisons=1000, draws=500)
    assert 0.03 <= result.false.value <= 0.07
    assert 0.93 <= calibrate_figure(CASES[0], pictures=100).covered.value <= 0.97
    assert result.false.error == pytest.approx((result.false.value * (1 - result.false.value) / 1000) ** 0.5)


def test_with_ten_pictures_the_intervals_are_too_narrow_and_are_reported_so() -> None:
    result = calibrate(CASES[1], pictures=10, comparisons=400, draws=500)
    assert result.covered.value < 0.93 and not result.covered.within
    assert result.false.within, "p is no smaller than the signs of so few pictures allow"


@pytest.mark.parametrize("case", RARE, ids=lambda case: f"{case.metric.name} {case.mean:g}")
def test_where_wrong_answers_are_rare_intervals_hold_all_the_same(case: Case) -> None:
    """By the bootstrap 100 pictures gave 80 to 92 % at these rates; here they may be a little too wide."""
    hundred, many = (calibrate_figure(case, pictures=number, samples=1000) for number in (100, 500))
    assert 0.93 <= hundred.covered.value <= 0.98
    assert 0.93 <= many.covered.value <= 0.97
    assert many.width < hundred.width / 1.8, "four in five of the pictures more, and not for nothing"


@cache
def _trained(runs: int, ratio: float) -> RunsCalibration:
    return calibrate_runs(runs, ratio, pictures=100, comparisons=500, draws=200)


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("ratio", [0, 2, 8])
def test_intervals_over_training_runs_hold_however_much_they_differ(runs: int, ratio: float) -> None:
    trained = _trained(runs, ratio)
    for share, (low, high) in ((trained.false, FALSE), (trained.covered, COVERED)):
        assert low - 2 * share.error <= share.value <= high + 2 * share.error, trained
    assert trained.starred.value == (0.0 if runs < 6 else trained.false.value)


def test_the_ratio_that_is_printed_is_about_that_of_the_runs() -> None:
    assert [round(_trained(10, ratio).ratio_seen) for ratio in (2, 4, 8)] == [2, 4, 8]
    assert _trained(10, 0).ratio_seen < 1, "what pictures alone make runs differ by"


def test_answers_of_one_picture_taken_as_independent_would_differ_too_often() -> None:
    """What the clusters are for: the same answers, resampled one by one, find differences that are not there."""
    stream, plan = np.random.default_rng(0), Plan.of([ACCURACY])
    drawn = list(resamples(600, 400, 0))
    position = plan.columns.index((None, "right"))
    false = 0
    for _ in range(200):
        sides = []
        for sums in two_models(CASES[0], plan, 100, 0.0, stream)[0]:
            answers = stream.permuted(np.arange(6) < sums[:, [position]], axis=1).ravel()
            sides.append(np.column_stack([answers if index == position else np.ones(600) for index in (0, 1)]))
        p = compare_sums(plan, [(sides[0], sides[1])], [600], drawn)[0].p
        false += p is not None and p < 0.05
    assert false / 200 > 0.1


def _ask(*words: object) -> str:
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_gives_every_case_for_every_number_of_pictures() -> None:
    words = ["--pictures", 20, "--pictures", 30, "--comparisons", 100, "--draws", 100]
    printed = json.loads(_ask(*words, "--json"))
    assert [(row["metric"], row["pictures"]) for row in printed["cases"]] == [
        (metric, pictures) for pictures in (20, 30) for metric in ("accuracy", "f1", "accuracy", "CHAIRi")
    ]
    assert [(row["runs"], row["ratio"]) for row in printed["runs"]] == 2 * [
        (runs, ratio) for runs in (3, 5, 10) for ratio in (0, 2, 4, 8)
    ]
    assert {(row["metric"], round(row["mean"], 2)) for row in printed["figures"]} == {
        *(("accuracy", mean) for mean in (0.99, 0.98, 0.95)), *(("CHAIRi", mean) for mean in (0.01, 0.02, 0.05))
    }  # fmt: skip
    assert set(printed["cases"][0]["false"]) == {"value", "error", "within"}


def test_the_row_of_a_study_is_asked_for_by_its_runs_ratio_and_pictures() -> None:
    words = ["--runs", 8, "--ratio", 3.1, "--pictures", 200, "--comparisons", 100, "--draws", 100]
    printed = json.loads(_ask(*words, "--json"))
    (row,) = printed["runs"]
    assert (row["runs"], row["ratio"], row["pictures"]) == (8, 3.1, 200)
    assert printed["cases"] == printed["figures"] == []
    text = _ask(*words)
    assert "several training runs" in text and "single figures" not in text
