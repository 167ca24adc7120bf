"""Do the intervals and verdicts keep what they say? Answers with a known truth, simulated and compared many times.

Two models answer about the same pictures. A picture has a difficulty, and each model its own luck with it, so that the
answers of one model about one picture stand and fall together even after pairing: Beta(mean, `SHARED`) for the
difficulty, Beta(difficulty, `OWN`) for the model, Binomial for the answers (a beta-binomial). Everything after the sums
of a picture is the code that boards and `strop compare` run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from harness.stats.differences import Difference, compare_sums
from harness.stats.estimates import Estimate, estimate_sums
from harness.stats.resample import Floats, Plan, resamples
from harness.types import Metric

SHARED, OWN = 3.0, 6.0  # precisions of the Beta distributions; a small one lets pictures differ much

SIGNIFICANT = 0.05

DRAWINGS, DRAWINGS_CELLS = 20, 20_000_000
"""Bootstraps that the comparisons share in turn, since drawing clusters takes longer than all the rest; fewer where
they would hold more than so many numbers."""

FALSE, FOUND, COVERED = (0.03, 0.07), (0.75, 0.85), (0.93, 0.97)
"""What is accepted: differences seen where there is none, planted ones found, intervals that hold the truth."""

Counts = Mapping[str, NDArray[Any]]
"""The name of a count -> one sum a picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A kind of answers and the metric looked at, whose true value is `mean`.

    `counts` makes the counts of pictures from the chance, picture by picture, that an answer counts in the metric.
    B is trained `runs` times, and its mean differs from run to run by a standard deviation of `spread`.
    """

    name: str
    metric: Metric
    mean: float
    counts: Callable[[Floats, np.random.Generator], Counts]
    runs: int = 1
    spread: float = 0.0


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
    size that comparisons call detectable, in the mean; `found`: how often it is seen, in its direction;
    `covered_difference`: intervals of the difference that hold it. `covered_figure`: intervals of a single figure, made
    by `method`, that hold the true value.
    """

    case: str
    metric: str
    pictures: int
    false: Share
    planted: float
    found: Share
    covered_difference: Share
    covered_figure: Share
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
    Case(
        name="captions",
        metric=Metric(name="CHAIRi", terms={"wrong": 1}, over={"mentions": 1}, better="lower"),
        mean=0.15,
        counts=captions,
    ),
    Case(name="3 training runs", metric=ACCURACY, mean=0.8, counts=six_questions, runs=3, spread=0.02),
)


def calibrate(case: Case, *, pictures: int, comparisons: int = 1000, draws: int = 1000, seed: int = 0) -> Calibration:
    """Compare models that are alike, then ones that differ by what was said to be detectable.

    The same numbers give the same result. Ten pictures are the fewest among which such a difference has room.
    """
    stream = np.random.default_rng([seed, pictures, crc32(f"{case.name} {case.metric.name}".encode())])
    plan = Plan.of([case.metric])
    drawings = min(DRAWINGS, max(1, DRAWINGS_CELLS // (pictures * draws)))
    drawn = [list(resamples(pictures, draws, number)) for number in range(drawings)]

    def compared(effect: float, times: int) -> list[Difference]:
        sides = (simulated(case, plan, pictures, effect, stream) for _ in range(times))
        return [
            compare_sums(plan, pairs, [pictures], drawn[number % drawings], seed=number)[0]
            for number, pairs in enumerate(sides)
        ]

    alike = compared(0.0, comparisons)
    # An effect moves the spread a little, and with it what is said to be detectable: ask again where it is planted.
    planted = _stated(compared(_stated(alike), comparisons // 4))
    unlike = compared(planted, comparisons)
    figures = [
        estimate_sums(plan, simulated(case, plan, pictures, 0.0, stream)[0][0], [pictures], drawn[number % drawings])[0]
        for number in range(comparisons)
    ]
    return Calibration(
        case=case.name,
        metric=case.metric.name,
        pictures=pictures,
        false=_share([_seen(one) for one in alike], FALSE),
        planted=planted,
        found=_share([_seen(one) and (one.value or 0) > 0 for one in unlike], FOUND),
        covered_difference=_share([_holds(one, planted) for one in unlike], COVERED),
        covered_figure=_share([_holds(one, case.mean) for one in figures], COVERED),
        method=figures[0].method,
    )


def simulated(
    case: Case, plan: Plan, pictures: int, effect: float, stream: np.random.Generator
) -> list[tuple[Floats, Floats]]:
    """Sums of A and of each B, pictures x columns. Half of the effect lowers A's chances and half raises B's."""
    difficulty = stream.beta(case.mean * SHARED, (1 - case.mean) * SHARED, pictures).clip(1e-6, 1 - 1e-6)

    def sums(moved: float) -> Floats:
        chance = stream.beta(difficulty * OWN, (1 - difficulty) * OWN)
        chance += moved * (1 - chance) / (1 - case.mean) if moved > 0 else moved * chance / case.mean
        counts = case.counts(chance, stream)
        return np.column_stack([counts[name] for _, name in plan.columns]).astype(np.float64)

    a = sums(-effect / 2)
    return [(a, sums(effect / 2 + case.spread * stream.standard_normal())) for _ in range(case.runs)]


def _stated(found: list[Difference]) -> float:
    return float(np.mean([one.detectable or 0.0 for one in found]))


def _seen(one: Difference) -> bool:
    return one.p is not None and one.p < SIGNIFICANT


def _holds(one: Difference | Estimate, truth: float) -> bool:
    return one.low is not None and one.high is not None and one.low <= truth <= one.high


def _share(happened: list[bool], accepted: tuple[float, float]) -> Share:
    value = float(np.mean(happened))
    error = float(np.sqrt(value * (1 - value) / len(happened)))
    return Share(value=value, error=error, within=accepted[0] <= value <= accepted[1])
