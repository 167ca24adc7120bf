"""What pairs of answers say of a verifier, on pairs whose figures are counted by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from harness.stats.estimates import Estimate
from harness.stats.preferences import PairOfAnswers, Preferences, kappa, preferences


def pair(gap: float | None, mark: float | None = None, words: int = 0, picture: str = "a") -> PairOfAnswers:
    return PairOfAnswers(picture=picture, gap=gap, mark=mark, words=words)


def value(figure: Estimate | None) -> float | None:
    return figure.value if figure else None


def swapped(pairs: Sequence[PairOfAnswers]) -> list[PairOfAnswers]:
    """The same pairs, the other answer first."""
    return [
        dataclasses.replace(
            each,
            gap=None if each.gap is None else -each.gap,
            mark=None if each.mark is None else -each.mark,
            words=-each.words,
        )
        for each in pairs
    ]


PAIRS = [pair(3.0, 1.0, 2, "a"), pair(-1.0, 0.5, -1, "a"), pair(0.0, -0.5, 4, "b"), pair(-2.0, -1.0, 3, "c"),
         pair(1.0, 0.0, 0, "d"), pair(None, 1.0, 1, "e")]  # fmt: skip


def test_agreement_is_over_what_the_oracle_tells_apart_and_a_tie_is_half() -> None:
    figures = preferences(PAIRS)
    assert (figures.pairs, figures.judged, figures.told_apart) == (6, 5, 4)
    assert value(figures.agreement) == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert value(figures.ties) == pytest.approx(1 / 5)
    assert [value(quarter) for quarter in figures.by_margin] == [0.5, 0.0, 1.0, 1.0]
    assert value(figures.by_mark[0]) == 0.25


def test_a_bias_is_what_the_oracle_does_not_share() -> None:
    figures = preferences(PAIRS)
    assert value(figures.longer) == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert value(figures.longer_excess) == pytest.approx((1 + 1 + 0.5 + 0 - (1 + 0 + 0 + 0)) / 4)
    assert value(figures.first) == pytest.approx((1 + 0 + 0.5 + 0 + 1) / 5)
    assert value(figures.first_excess) == pytest.approx((2.5 - (1 + 1 + 0 + 0 + 0.5)) / 5)


def test_which_answer_is_called_first_changes_nothing_else() -> None:
    one, other = preferences(PAIRS), preferences(swapped(PAIRS))
    for field in ("agreement", "auc", "brier", "longer", "longer_excess", "ties"):
        assert value(getattr(one, field)) == pytest.approx(value(getattr(other, field))), field
    assert one.calibration_error == pytest.approx(other.calibration_error)
    assert value(other.first) == pytest.approx(1 - (value(one.first) or 0))


def test_without_gold_only_what_needs_none_is_told() -> None:
    figures = preferences([pair(1.0, None, 2), pair(2.0, None, -1, "b")])
    assert (figures.agreement, figures.auc, figures.brier, figures.longer_excess) == (None, None, None, None)
    assert (value(figures.longer), value(figures.first)) == (0.5, 1.0)
    assert preferences([]).longer.value is None


def simulated(steepness: float, seed: int = 0) -> Preferences:
    """400 pictures of three pairs, of which the first is better with the chance sigmoid(steepness x gap)."""
    rng = np.random.default_rng(seed)
    gaps = rng.normal(size=1_200)
    better = rng.random(1_200) < 1 / (1 + np.exp(-steepness * gaps))
    return preferences(
        [
            pair(float(gap), 1.0 if is_better else -1.0, 0, f"{number // 3}")
            for number, (gap, is_better) in enumerate(zip(gaps, better, strict=True))
        ],
        draws=200,
    )


def test_margins_that_are_chances_are_called_calibrated_and_others_not() -> None:
    blind, sharp = simulated(0.0), simulated(2.0)
    assert value(blind.brier) == pytest.approx(0.25, abs=0.005)
    assert (value(sharp.brier) or 1) < 0.18
    assert (sharp.calibration_error or 1) < 0.04
    assert [quarter.value for quarter in sharp.by_margin] == sorted(quarter.value or 0 for quarter in sharp.by_margin)
    assert blind.agreement is not None and blind.agreement.low is not None and blind.agreement.high is not None
    assert blind.agreement.low < 0.5 < blind.agreement.high


def test_kappa_is_agreement_beyond_chance_with_ties_a_kind_of_their_own() -> None:
    a = [pair(1.0), pair(1.0), pair(0.0), pair(-1.0)]
    b = [pair(1.0), pair(-1.0), pair(0.0), pair(-1.0)]
    expected = 1 / 16 + (3 / 4) ** 2 / 2
    assert value(kappa(a, b)) == pytest.approx((3 / 4 - expected) / (1 - expected))
    assert value(kappa(a, swapped(a))) == pytest.approx((1 / 4 - expected) / (1 - expected))
    assert kappa(a, [pair(None)] * 4) is None
    assert value(kappa([pair(0.0)], [pair(0.0)])) is None, "chance alone agrees on everything"


def test_the_interval_of_kappa_is_over_pictures() -> None:
    a = [pair(float((-1) ** number), picture=str(number)) for number in range(60)]
    turned = [each if number % 5 else swapped([each])[0] for number, each in enumerate(a)]
    figure = kappa(a, turned)
    assert figure is not None and figure.low is not None and figure.high is not None
    assert value(figure) == pytest.approx(0.6)
    assert 0.3 < figure.low < 0.6 < figure.high < 0.9
