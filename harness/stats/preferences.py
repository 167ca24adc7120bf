"""How good a verifier's preferences are: its rewards on pairs of answers, beside the marks of the oracle.

A pair is two answers to one picture that differ; its gap is the first's reward minus the second's. Everything is
symmetric in which answer is called first, but for what asks about just that. Pairs whose rewards are equal agree by
half. Intervals resample pictures, or sum their influence (`harness.stats.areas`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.results import Marked
from harness.stats.areas import roc
from harness.stats.estimates import Estimate, estimate
from harness.stats.resample import Floats, interval, resamples, stack
from harness.types import Metric

QUARTERS = 4
"""Parts of the pairs by their margin, the least sure first."""

BINS = 10
"""Parts of the pairs by the chance that the verifier gives them, of which each holds as many."""

_STEEPEST = 50.0  # of the curve from gaps, in their own spread, to chances: where no pair contradicts, it has no bound


@dataclass(frozen=True, kw_only=True, slots=True)
class PairOfAnswers:
    """Two answers to one picture: the first's reward minus the second's (None without an opinion of either), the
    oracle's marks (None without gold) and words likewise."""

    picture: str
    gap: float | None
    mark: float | None
    words: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferences:
    """A verifier on pairs. `judged` have an opinion, `told_apart` of these differ for the oracle.

    `agreement` is the share of what is told apart where both prefer the same; `by_margin` the same for each quarter of
    the verifier's own margins, `by_mark` for each quarter of the oracle's, the smallest first. `auc` is the area under
    the curve of `harness.stats.areas.roc`. `brier` is the mean squared error of the chance that the first answer is
    the better one, by a logistic curve through zero fitted on the other half of the pictures: a quarter knows nothing;
    `calibration_error` is how far these chances are from the shares that they are chances of, in the mean over `BINS`.

    `longer` is the share of pairs of unequal length in which the longer answer gets the higher reward, `longer_excess`
    that share less the oracle's on the same pairs; `first` is the share in which the answer collected first does,
    `first_excess` likewise. Without gold, what needs it is None.
    """

    pairs: int
    judged: int
    told_apart: int
    ties: Estimate
    agreement: Estimate | None
    by_margin: tuple[Estimate, ...]
    by_mark: tuple[Estimate, ...]
    auc: Estimate | None
    brier: Estimate | None
    calibration_error: float | None
    longer: Estimate
    longer_excess: Estimate | None
    first: Estimate
    first_excess: Estimate | None


def preferences(pairs: Sequence[PairOfAnswers], *, draws: int = 2_000, seed: int = 0) -> Preferences:
    """What the pairs say of their verifier; raises `UsageError` for fewer than one draw."""
    judged = [pair for pair in pairs if pair.gap is not None]
    apart = [pair for pair in judged if pair.mark]
    gaps, better = _gaps(apart), np.array([(pair.mark or 0) > 0 for pair in apart], dtype=bool)
    margins = _quarters(np.abs(gaps))
    marks = _quarters(np.array([abs(pair.mark or 0) for pair in apart]))
    chances = _chances(gaps, better, [pair.picture for pair in apart])
    counts = [_general_counts(pair) for pair in judged]
    rows = _rows(judged, counts)
    rows += _rows(
        apart,
        [
            {
                "apart": 1.0,
                "agrees": _half_for_ties(gap if is_better else -gap),
                "error": (chance - is_better) ** 2,
                f"margin_{margin}": 1.0,
                f"agrees_margin_{margin}": _half_for_ties(gap if is_better else -gap),
                f"mark_{mark}": 1.0,
                f"agrees_mark_{mark}": _half_for_ties(gap if is_better else -gap),
            }
            for gap, is_better, chance, margin, mark in zip(gaps, better, chances, margins, marks, strict=True)
        ],
        start=len(rows),
    )
    figures = estimate(rows, _METRICS, draws=draws, seed=seed) if rows else {}
    nothing = Estimate(value=None, low=None, high=None, n=0)
    area = _area(gaps, better, apart) if apart else None
    gold = any(pair.mark is not None for pair in judged)

    def figure(name: str) -> Estimate:
        return figures.get(name, nothing)

    return Preferences(
        pairs=len(pairs),
        judged=len(judged),
        told_apart=len(apart),
        ties=figure("ties"),
        agreement=figure("agreement") if apart else None,
        by_margin=tuple(figure(f"margin_{quarter}") for quarter in range(QUARTERS)) if apart else (),
        by_mark=tuple(figure(f"mark_{quarter}") for quarter in range(QUARTERS)) if apart else (),
        auc=area,
        brier=figure("brier") if apart else None,
        calibration_error=_calibration_error(chances, better) if apart else None,
        longer=figure("longer"),
        longer_excess=figure("longer_excess") if gold else None,
        first=figure("first"),
        first_excess=figure("first_excess") if gold else None,
    )


def _excess(name: str, over: str) -> Metric:
    """No share, whatever its values are."""
    terms = {name: 1, f"oracle_{name}": -1}
    return Metric(name=f"{name}_excess", terms=terms, over={over: 1}, better="neither", percent=False)


_METRICS = (
    Metric(name="ties", terms={"tie": 1}, over={"judged": 1}),
    Metric(name="agreement", terms={"agrees": 1}, over={"apart": 1}),
    Metric(name="brier", terms={"error": 1}, over={"apart": 1}, better="lower", percent=False),
    Metric(name="longer", terms={"longer": 1}, over={"unequal": 1}, better="neither"),
    _excess("longer", "unequal"),
    Metric(name="first", terms={"first": 1}, over={"judged": 1}, better="neither"),
    _excess("first", "judged"),
    *(
        Metric(name=f"{by}_{quarter}", terms={f"agrees_{by}_{quarter}": 1}, over={f"{by}_{quarter}": 1})
        for by in ("margin", "mark")
        for quarter in range(QUARTERS)
    ),
)


def kappa(
    a: Sequence[PairOfAnswers], b: Sequence[PairOfAnswers], *, draws: int = 2_000, seed: int = 0
) -> Estimate | None:
    """Cohen's kappa of two verifiers on the pairs of which both have an opinion: first, second or a tie, each pair
    taken both ways round. None where there is no such pair.

    Example:
        >>> pair = PairOfAnswers(picture="a", gap=1.0, mark=None, words=0)
        >>> kappa([pair], [pair]).value
        1.0
    """
    both = [
        (one.picture, float(np.sign(one.gap)), float(np.sign(other.gap)))
        for one, other in zip(a, b, strict=True)
        if one.gap is not None and other.gap is not None
    ]
    if not both:
        return None
    places = {picture: place for place, picture in enumerate(sorted({picture for picture, _, _ in both}))}
    sums = np.zeros((len(places), 4))  # pairs, agreements, ties of either
    for picture, one, other in both:
        sums[places[picture]] += (1, one == other, one == 0, other == 0)
    value = float(_kappas(sums.sum(axis=0, keepdims=True))[0])
    if len(places) < 2:
        return Estimate(value=_number(value), low=None, high=None, n=len(both))
    low, high = interval(stack(_kappas(weights @ sums) for weights in resamples(len(places), draws, seed)))
    return Estimate(value=_number(value), low=low, high=high, n=len(both))


def _kappas(sums: Floats) -> Floats:
    """Of draws x (pairs, agreements, ties of either); NaN where chance alone agrees on everything."""
    pairs, agreed, ties_a, ties_b = sums.T
    observed, a, b = agreed / pairs, ties_a / pairs, ties_b / pairs
    expected = a * b + (1 - a) * (1 - b) / 2
    kappas: Floats = np.full(len(sums), np.nan)
    np.divide(observed - expected, 1 - expected, out=kappas, where=expected < 1)
    return kappas


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _general_counts(pair: PairOfAnswers) -> dict[str, float]:
    """What any pair with an opinion counts; without gold the oracle counts half, and nobody is told of it."""
    gap, mark = pair.gap or 0.0, pair.mark or 0.0
    counts = {
        "judged": 1.0,
        "tie": float(gap == 0),
        "first": _half_for_ties(gap),
        "oracle_first": _half_for_ties(mark),
    }
    if pair.words:
        side = np.sign(pair.words)
        counts |= {
            "unequal": 1.0,
            "longer": _half_for_ties(gap * side),
            "oracle_longer": _half_for_ties(mark * side),
        }
    return counts


def _half_for_ties(gap: float) -> float:
    return 0.5 + 0.5 * float(np.sign(gap))


def _rows(pairs: Sequence[PairOfAnswers], counts: Sequence[dict[str, float]], start: int = 0) -> list[Marked]:
    return [
        Marked(id=f"{number:09}", cluster=pair.picture, group=None, answer="", value=0.0, parsed="", counts=each)
        for number, (pair, each) in enumerate(zip(pairs, counts, strict=True), start=start)
    ]


def _gaps(pairs: Sequence[PairOfAnswers]) -> Floats:
    return np.array([pair.gap for pair in pairs], dtype=np.float64)


def _area(gaps: Floats, better: NDArray[np.bool_], pairs: Sequence[PairOfAnswers]) -> Estimate:
    pictures = np.unique([pair.picture for pair in pairs], return_inverse=True)[1].astype(np.int64)
    area = roc(gaps, better, pictures).area
    return Estimate(value=area.value, low=area.low, high=area.high, n=len(pairs), method="influence")


def _quarters(sizes: Floats) -> NDArray[np.int64]:
    """Which quarter each size is in; equal sizes are in one, so that quarters may differ in number."""
    bounds = np.quantile(sizes, [0.25, 0.5, 0.75]) if len(sizes) else np.zeros(3)
    return np.searchsorted(bounds, sizes, side="left")


def _chances(gaps: Floats, better: NDArray[np.bool_], pictures: Sequence[str]) -> Floats:
    """The chance that the first answer is better, by a logistic curve through zero fitted on the other half of the
    pictures; a half where there is no other half."""
    spread = float(np.sqrt(np.mean(gaps**2))) if len(gaps) else 0.0
    chances: Floats = np.full(len(gaps), 0.5)
    if not spread:
        return chances
    half = np.array([{name: i % 2 for i, name in enumerate(sorted(set(pictures)))}[name] for name in pictures])
    for own in (0, 1):
        other = half != own
        if other.any():
            slope = _slope(gaps[other] / spread, better[other])
            chances[~other] = _sigmoid(slope * gaps[~other] / spread)
    return chances


def _slope(gaps: Floats, better: NDArray[np.bool_]) -> float:
    """The likeliest slope of P(first is better) = sigmoid(slope * gap), by Newton's steps on a concave likelihood."""
    slope = 0.0
    for _ in range(30):
        chances = _sigmoid(slope * gaps)
        gradient = float(np.sum((better - chances) * gaps))
        curvature = float(np.sum(chances * (1 - chances) * gaps**2)) + 1e-9
        step = float(np.clip(gradient / curvature, -2.0, 2.0))
        slope = float(np.clip(slope + step, -_STEEPEST, _STEEPEST))
        if abs(step) < 1e-8:
            break
    return slope


def _sigmoid(values: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(values / 2)


def _calibration_error(chances: Floats, better: NDArray[np.bool_]) -> float:
    """Each pair taken both ways round, in bins of as many."""
    both, truth = np.concatenate([chances, 1 - chances]), np.concatenate([better, ~better])
    order = np.argsort(both, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return float(sum(abs(both[part].mean() - truth[part].mean()) * len(part) for part in parts) / len(order))
