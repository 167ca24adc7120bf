"""Claims about `strop calibrate`: the statistics keep what they say, and the simulation can tell when they do not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from harness.calibrate import ACCURACY, CASES, COVERED, FALSE, FOUND, Case, calibrate, simulated
from harness.cli.calibrate import calibrate as command
from harness.stats.differences import compare_sums
from harness.stats.resample import Plan, resamples


@pytest.mark.parametrize("case", CASES[:4], ids=lambda case: f"{case.name} {case.metric.name}")
def test_verdicts_and_intervals_keep_what_they_say(case: Case) -> None:
    found = calibrate(case, pictures=200, comparisons=300, draws=400)
    shares = (found.false, found.found, found.covered_difference, found.covered_figure)
    for share, (low, high) in zip(shares, (FALSE, FOUND, COVERED, COVERED), strict=True):
        assert low - 2 * share.error <= share.value <= high + 2 * share.error, found
    assert found.method == ("wilson" if case.name == "yes/no, 1 a picture" else "cluster wilson")


def test_a_thousand_comparisons_of_models_that_are_alike_rarely_say_better() -> None:
    found = calibrate(CASES[0], pictures=100, comparisons=1000, draws=500)
    assert 0.03 <= found.false.value <= 0.07
    assert 0.93 <= found.covered_figure.value <= 0.97
    assert found.false.error == pytest.approx((found.false.value * (1 - found.false.value) / 1000) ** 0.5)


def test_with_ten_pictures_the_intervals_are_too_narrow_and_are_reported_so() -> None:
    found = calibrate(CASES[1], pictures=10, comparisons=400, draws=500)
    assert found.covered_difference.value < 0.93 and not found.covered_difference.within
    assert found.false.within, "p is no smaller than the signs of so few pictures allow"


def test_training_runs_that_differ_need_their_own_level_of_resampling() -> None:
    """Run to run by 2 points: three runs taken as three runs, and the first of them taken for all of training."""
    case = next(one for one in CASES if one.runs == 3)
    pooled = calibrate(case, pictures=200, comparisons=400, draws=500)
    single = calibrate(replace(case, runs=1), pictures=200, comparisons=400, draws=500)
    assert pooled.false.value < 0.09 < 0.12 < single.false.value


def test_answers_of_one_picture_taken_as_independent_would_differ_too_often() -> None:
    """What the clusters are for: the same answers, resampled one by one, find differences that are not there."""
    stream, plan = np.random.default_rng(0), Plan.of([ACCURACY])
    drawn = list(resamples(600, 400, 0))
    place = plan.columns.index((None, "right"))
    false = 0
    for _ in range(200):
        sides = []
        for sums in simulated(CASES[0], plan, 100, 0.0, stream)[0]:
            answers = stream.permuted(np.arange(6) < sums[:, [place]], axis=1).ravel()
            sides.append(np.column_stack([answers if index == place else np.ones(600) for index in (0, 1)]))
        p = compare_sums(plan, [(sides[0], sides[1])], [600], drawn, seed=0)[0].p
        false += p is not None and p < 0.05
    assert false / 200 > 0.1


def test_the_command_gives_every_case_for_every_number_of_pictures() -> None:
    app = typer.Typer()
    app.command()(command)
    words = ["--pictures", "20", "--pictures", "30", "--comparisons", "100", "--draws", "100"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    cases = json.loads(done.stdout)["cases"]
    assert [(one["metric"], one["pictures"]) for one in cases] == [
        (metric, pictures) for pictures in (20, 30) for metric in ("accuracy", "f1", "accuracy", "CHAIRi", "accuracy")
    ]
    assert set(cases[0]["false"]) == {"value", "error", "within"}
    assert "yes/no, 6 a picture" in CliRunner().invoke(app, words, env={"COLUMNS": "200"}).stdout
