"""PHYSICS: university physics, answered in boxes. Marks, and their metrics.

Protocol: 1,297 problems of six subjects, 298 of them with figures. A problem has 1 to 14 required answers, and a model
says its own in boxes. The authors mark an answer by the share of its boxes that match a required one (`accuracy`; no
box is 0), so that one right box of three that are required is full marks. What the problem asks is that all required
answers be there: `exact` is 1 where every required answer is met and every box meets one; `recall` is the share of
distinct required answers that are met, `precision` that of boxes that meet one, of answers with a box.

A box may hold several answers. Each figure has a low reading, in which a box is one answer, and a high one
(`exact_high`), in which its parts count: by `official`, whose verdicts are of whole boxes, full marks with such a box
may be complete; the other profiles judge the parts. Neither is a bound on the truth, since the verdicts may be wrong.
Who says whether a box meets a required answer is the profile: `official` what the authors' judge said (stored), `rule`
(`tasks.physics.rule`), or a judge.
Source: yale-nlp/Physics (Feng et al., 2025), api_evaluation/ and offline_evaluation/; protocol of shared/conformance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.types import Metric, Score
from tasks.physics.boxes import is_degenerate
from tasks.physics.questions import Problem

NAME = "physics"
VERSION = 1
HEADLINE = "exact"

OFFICIAL, RULE, JUDGE = "official", "rule", "judge"

SCORED = "scored"
"""The cell of answers that were not lost in the file's evaluation, where some were."""

Verdicts = Mapping[tuple[str, str], bool]
"""(box or part of one, required answer) -> whether they are equal."""

_WHOLE = ("exact", "exact_high", "recall", "recall_high", "precision", "precision_high", "accuracy")
_OF_CELL = ("exact", "recall", "accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A response as it was judged: `boxes[i]` are the numbers of the required answers that box i meets, `high` those
    that are met where parts of boxes count, `boxes_high` how many boxes are right then."""

    boxes: tuple[frozenset[int], ...]
    high: frozenset[int]
    boxes_high: int


def physics_metrics(cells: Collection[str] = ()) -> tuple[Metric, ...]:
    """The figures of all problems, as fractions, then some of them of each cell, e.g. `subject/optics/exact`."""
    metrics = [*(_mean(name) for name in _WHOLE), _mean("unread", "lower"), _mean("degenerate", "lower")]
    if SCORED in cells:
        metrics.append(_mean("lost", "lower"))
    for cell in cells:
        metrics += [*(_mean(name, cell=cell) for name in _OF_CELL), _mean("unread", "lower", cell)]
    return tuple(metrics)


def score_reading(problem: Problem, response: str, reading: Reading, **counts: float) -> Score:
    """The mark of a response: 1 where it is exact. `parsed` has for each box the numbers of the required answers that
    it meets, from 1 on; None where there is no box. `counts` are added to those of the metrics."""
    count, required = len(reading.boxes), len(problem.answers)
    right = sum(bool(box) for box in reading.boxes)
    recall = len(frozenset[int]().union(*reading.boxes)) / required
    recall_high = len(reading.high) / required
    shares = {
        "exact": float(recall == 1 and right == count),
        "exact_high": float(recall_high == 1 and reading.boxes_high == count),
        "recall": recall,
        "recall_high": recall_high,
        "precision": right / count if count else 0.0,
        "precision_high": reading.boxes_high / count if count else 0.0,
        "accuracy": right / count if count else 0.0,
        "unread": float(count == 0),
        "degenerate": float(is_degenerate(response)),
    }
    totals = {**shares, "asked": 1.0, "boxed": float(count > 0), "boxes": float(count), "right_boxes": float(right)}
    names = (*_OF_CELL, "unread", "asked")
    in_cells = {f"{cell}/{name}": totals[name] for cell in problem.cells for name in names}
    parsed = [sorted(number + 1 for number in box) for box in reading.boxes]
    return Score(value=shares["exact"], parsed=parsed or None, counts={**totals, **in_cells, **counts})


def score_lost(problem: Problem) -> Score:
    """The mark of a response whose verdicts, or whose text, were lost: nothing, and neither read nor unread."""
    names = ("unread", *(f"{cell}/unread" for cell in problem.cells))
    score = score_reading(problem, "", Reading(boxes=(), high=frozenset(), boxes_high=0), lost=1.0)
    return replace(score, counts={**score.counts, **dict.fromkeys(names, 0.0)})


def score_verdicts(
    problem: Problem, response: str, boxes: Sequence[tuple[str, Sequence[str]]], verdicts: Verdicts, **counts: float
) -> Score:
    """The mark of boxes, each with its parts (none: it has one), by who judged them and their parts."""
    whole = [_met(problem, box, verdicts) for box, _ in boxes]
    parts = [[_met(problem, part, verdicts) for part in each] for _, each in boxes]
    high = [bool(met) or (bool(each) and all(each)) for met, each in zip(whole, parts, strict=True)]
    met_high = frozenset[int]().union(*whole, *(met for each in parts for met in each))
    reading = Reading(boxes=tuple(whole), high=met_high, boxes_high=sum(high))
    return score_reading(problem, response, reading, **counts)


def _met(problem: Problem, box: str, verdicts: Verdicts) -> frozenset[int]:
    return frozenset(number for number, answer in enumerate(problem.answers) if verdicts.get((box, answer), False))


def _mean(name: str, better: str = "higher", cell: str = "") -> Metric:
    prefix = f"{cell}/" if cell else ""
    over = "boxed" if name.startswith("precision") else f"{prefix}asked"
    return Metric(name=f"{prefix}{name}", terms={f"{prefix}{name}": 1}, over={over: 1}, better=better)
