"""Do the intervals and verdicts keep what they say? Answers with a known truth, simulated and compared many times.

Two models answer about the same pictures. A picture has a difficulty, and each model its own luck with it, so that the
answers of one model about one picture stand and fall together even after pairing: Beta(mean, `SHARED`) for the
difficulty, Beta(difficulty, `OWN`) for the model, Binomial for the answers (a beta-binomial).

Several training runs are simulated at the level of what they move on a picture, which knows no bounds: a share that
runs move by a tenth has no room for the difference that three of them could show. Everything after the sums of a
picture is the code that boards and `strop compare` run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from harness.stats.differences import PooledDifference, compare_sums
from harness.stats.estimates import Estimate, estimate_sums
from harness.stats.families import SIGNIFICANT
from harness.stats.resample import Floats, Plan, resamples
from harness.types import Metric

SHARED, OWN = 3.0, 6.0  # precisions of the Beta distributions; a small one lets pictures differ much

TOUCHED, ALIKE = 0.25, 0.5
"""Of training runs: the share of pictures on which one answers otherwise than before, and how much of the variance over
pictures is the same in every run (what the seed model happened to say, what all of them learn)."""

RUNS, RATIOS, RATES = (3, 5, 10), (0.0, 2.0, 4.0, 8.0), (0.01, 0.02, 0.05)

DRAWINGS, DRAWINGS_CELLS = 20, 20_000_000
"""Bootstraps that the comparisons share in turn, since drawing clusters takes longer than all the rest; fewer where
they would hold more than so many numbers."""

FALSE, FOUND, COVERED = (0.03, 0.07), (0.75, 0.85), (0.93, 0.97)
"""What is accepted: differences seen where there is none, planted ones found, intervals that hold the truth."""

Counts = Mapping[str, NDArray[Any]]
"""The name of a count -> one sum a picture."""

Simulated = Callable[[float, np.random.Generator], list[tuple[Floats, Floats]]]
"""An effect -> the sums of A and B of every training run, pictures x columns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A kind of answers and the metric looked at, whose true value is `mean`.

    `counts` makes the counts of pictures from the chance, picture by picture, that an answer counts in the metric.
    """

    name: str
    metric: Metric
    mean: float
    counts: Callable[[Floats, np.random.Generator], Counts]


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How often something happened, its Monte-Carlo standard error, and whether that is accepted."""

    value: float
    error: float
    within: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """What many comparisons of one case gave.

    `false`: differences seen (p < 0.05, two-sided) where there is none. `planted`: an effect, as a fraction, of the
    size that comparisons call detectable, in the mean; `found`: how often it is seen, in its direction; `covered`:
    intervals of the difference that hold it.
    """

    case: str
    metric: str
    pictures: int
    false: Share
    planted: float
    found: Share
    covered: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsCalibration:
    """The same of comparisons over several training runs, whose true standard deviation is `ratio` times the standard
    error of one of them over pictures; `ratio_seen` is what such comparisons print as the ratio, in the median.

    A difference is seen where the interval leaves out zero, `false` and `found` go by that; `starred` counts p < 0.05
    where there is no difference, which fewer than six runs never come to. `planted` is in standard errors of one run
    over pictures.
    """

    runs: int
    ratio: float
    ratio_seen: float
    pictures: int
    false: Share
    starred: Share
    planted: float
    found: Share
    covered: Share


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureCalibration:
    """What many figures of one model gave: intervals that hold its true value `mean`, their mean `width` as a fraction,
    how they are made, and the share of samples in which an event (or anything else) never occurred."""

    case: str
    metric: str
    mean: float
    pictures: int
    covered: Share
    width: float
    none_seen: float
    method: str


def six_questions(chance: Floats, stream: np.random.Generator) -> Counts:
    """Three whose answer is yes and three whose answer is no."""
    yes, no = (stream.binomial(3, chance) for _ in range(2))
    return {"right": yes + no, "asked": np.full(len(chance), 6), "tp": yes, "fn": 3 - yes, "fp": 3 - no}


def one_question(chance: Floats, stream: np.random.Generator) -> Counts:
    return {"right": stream.binomial(1, chance), "asked": np.ones(len(chance))}


def captions(chance: Floats, stream: np.random.Generator) -> Counts:
    """Captions of one to some ten mentions, wrong by this chance."""
    mentions = 1 + stream.poisson(4, len(chance))
    return {"wrong": stream.binomial(mentions, chance), "mentions": mentions}


ACCURACY = Metric(name="accuracy", terms={"right": 1}, over={"asked": 1})
CHAIR_I = Metric(name="CHAIRi", terms={"wrong": 1}, over={"mentions": 1}, better="lower")
POINTS = Metric(name="points", terms={"points": 1}, over={"pictures": 1}, percent=False)

CASES = (
    Case(name="yes/no, 6 a picture", metric=ACCURACY, mean=0.8, counts=six_questions),
    Case(
        name="yes/no, 6 a picture",
        # as many yes as no and one chance for both: the true F1 is the accuracy
        metric=Metric(name="f1", terms={"tp": 2}, over={"tp": 2, "fp": 1, "fn": 1}),
        mean=0.8,
        counts=six_questions,
    ),
    Case(name="yes/no, 1 a picture", metric=ACCURACY, mean=0.8, counts=one_question),
    Case(name="captions", metric=CHAIR_I, mean=0.15, counts=captions),
)

RARE = tuple(
    case
    for rate in RATES
    for case in (
        Case(name="yes/no, 6 a picture", metric=ACCURACY, mean=1 - rate, counts=six_questions),
        Case(name="captions", metric=CHAIR_I, mean=rate, counts=captions),
    )
)


def calibrate(case: Case, *, pictures: int, comparisons: int = 1000, draws: int = 1000, seed: int = 0) -> Calibration:
    """Compare models that are alike, then ones that differ by what was said to be detectable.

    The same numbers give the same result. Ten pictures are the fewest among which such a difference has room.
    """
    stream = np.random.default_rng([seed, pictures, crc32(f"{case.name} {case.metric.name}".encode())])
    plan = Plan.of([case.metric])
    compared = _comparing(plan, partial(two_models, case, plan, pictures), pictures, draws, stream)
    alike, planted, unlike = _alike_and_unlike(compared, comparisons)
    return Calibration(
        case=case.name,
        metric=case.metric.name,
        pictures=pictures,
        false=_share([_significant(each) for each in alike], FALSE),
        planted=planted,
        found=_share([_significant(each) and (each.value or 0) > 0 for each in unlike], FOUND),
        covered=_share([_holds(each, planted) for each in unlike], COVERED),
    )


def calibrate_runs(
    runs: int, ratio: float, *, pictures: int, comparisons: int = 1000, draws: int = 1000, seed: int = 0
) -> RunsCalibration:
    """The same over two or more training runs: a run's own effect has the standard deviation `ratio`, in standard
    errors of one run's difference over pictures."""
    stream = np.random.default_rng([seed, pictures, runs, crc32(f"{ratio:g}".encode())])
    plan = Plan.of([POINTS])
    compared = _comparing(plan, partial(trained, runs, ratio, pictures), pictures, draws, stream)
    alike, planted, unlike = _alike_and_unlike(compared, comparisons)
    return RunsCalibration(
        runs=runs,
        ratio=ratio,
        ratio_seen=float(np.median([each.ratio or 0.0 for each in alike])),
        pictures=pictures,
        false=_share([not _holds(each, 0.0) for each in alike], FALSE),
        starred=_share([_significant(each) for each in alike], (0.0, FALSE[1])),
        planted=planted * float(np.sqrt(pictures)),
        found=_share([not _holds(each, 0.0) and (each.value or 0) > 0 for each in unlike], FOUND),
        covered=_share([_holds(each, planted) for each in unlike], COVERED),
    )


def calibrate_figure(case: Case, *, pictures: int, samples: int = 1000, seed: int = 0) -> FigureCalibration:
    """Estimate the figure of one model on as many samples of pictures."""
    named = f"{case.name} {case.metric.name} {case.mean:g}"
    stream = np.random.default_rng([seed, pictures, crc32(named.encode())])
    plan = Plan.of([case.metric])
    sides = (two_models(case, plan, pictures, 0.0, stream)[0][0] for _ in range(samples))
    figures = [estimate_sums(plan, side, [pictures], ())[0] for side in sides]
    return FigureCalibration(
        case=case.name,
        metric=case.metric.name,
        mean=case.mean,
        pictures=pictures,
        covered=_share([_holds(each, case.mean) for each in figures], COVERED),
        width=float(np.mean([(each.high or 0) - (each.low or 0) for each in figures])),
        none_seen=float(np.mean([each.value in (0.0, 1.0) for each in figures])),
        method=figures[0].method,
    )


def study_rows(runs: Sequence[int] | None, ratios: Sequence[float] | None) -> list[tuple[int, float]]:
    """Every number of runs with every ratio; the usual ones where none are named."""
    return list(product(runs or RUNS, ratios or RATIOS))


def two_models(
    case: Case, plan: Plan, pictures: int, effect: float, stream: np.random.Generator
) -> list[tuple[Floats, Floats]]:
    """Sums of A and of B, pictures x columns. Half of the effect lowers A's chances and half raises B's."""
    difficulty = stream.beta(case.mean * SHARED, (1 - case.mean) * SHARED, pictures).clip(1e-6, 1 - 1e-6)

    def sums(moved: float) -> Floats:
        chance = stream.beta(difficulty * OWN, (1 - difficulty) * OWN)
        chance += moved * (1 - chance) / (1 - case.mean) if moved > 0 else moved * chance / case.mean
        counts = case.counts(chance, stream)
        return np.column_stack([counts[name] for _, name in plan.columns]).astype(np.float64)

    return [(sums(-effect / 2), sums(effect / 2))]


def trained(
    runs: int, ratio: float, pictures: int, effect: float, stream: np.random.Generator
) -> list[tuple[Floats, Floats]]:
    """Sums of the seed model and of each run, pictures x (pictures, points): what a run moves on a picture has a
    variance of 1, most pictures staying as they were."""

    def moves() -> Floats:
        touched = stream.random(pictures) < TOUCHED
        moved: Floats = stream.standard_normal(pictures) * touched / np.sqrt(TOUCHED)
        return moved

    shared, whole = np.sqrt(ALIKE) * moves(), np.ones(pictures)
    levels = effect + ratio / np.sqrt(pictures) * stream.standard_normal(runs)
    points = [level + shared + np.sqrt(1 - ALIKE) * moves() for level in levels]
    return [(np.column_stack([whole, 0 * whole]), np.column_stack([whole, each])) for each in points]


def _comparing(
    plan: Plan, simulated: Simulated, pictures: int, draws: int, stream: np.random.Generator
) -> Callable[[float, int], list[PooledDifference]]:
    """Comparisons with an effect, as many as are asked for."""
    drawings = min(DRAWINGS, max(1, DRAWINGS_CELLS // (pictures * draws)))
    drawn = [list(resamples(pictures, draws, number)) for number in range(drawings)]

    def compared(effect: float, times: int) -> list[PooledDifference]:
        return [
            compare_sums(plan, simulated(effect, stream), [pictures], drawn[number % drawings])[0]
            for number in range(times)
        ]

    return compared


def _alike_and_unlike(
    compared: Callable[[float, int], list[PooledDifference]], comparisons: int
) -> tuple[list[PooledDifference], float, list[PooledDifference]]:
    """Comparisons without an effect, the effect that is then planted, and comparisons with it."""
    alike = compared(0.0, comparisons)
    # An effect moves the spread a little, and with it what is said to be detectable: ask again where it is planted.
    planted = _stated(compared(_stated(alike), comparisons // 4))
    return alike, planted, compared(planted, comparisons)


def _stated(differences: Sequence[PooledDifference]) -> float:
    return float(np.mean([each.detectable or 0.0 for each in differences]))


def _significant(each: PooledDifference) -> bool:
    return each.p is not None and each.p < SIGNIFICANT


def _holds(each: PooledDifference | Estimate, truth: float) -> bool:
    return each.low is not None and each.high is not None and each.low <= truth <= each.high


def _share(happened: list[bool], accepted: tuple[float, float]) -> Share:
    value = float(np.mean(happened))
    error = float(np.sqrt(value * (1 - value) / len(happened)))
    return Share(value=value, error=error, within=accepted[0] <= value <= accepted[1])
