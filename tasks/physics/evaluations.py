r"""The authors' stored evaluations: every verdict of their judge replayed, and what of a file was lost.

An evaluated row holds the boxes that their reader found and the verdicts of a walk over box x required answer, cut at
each match. A pair with ``\text`` on either side went to GPT-4o, any other to SymPy and, unless SymPy says equal, to
GPT-4o. A row that took longer than 30 s was lost: it has no id and no verdict, and counts 0 in their accuracy.csv and
not at all in their README. Neither is so: a lost row is not a wrong answer, and not an answer that nobody gave.
Source: yale-nlp/Physics, api_evaluation/equation_equivilancy.py, offline_evaluation/evaluation.py.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError
from harness.types import Score
from tasks.data.rows import Row, as_row
from tasks.physics.boxes import READ_LEVELS, depth_of, holds_several, read_boxes
from tasks.physics.marks import Reading, score_reading
from tasks.physics.questions import Problem

LOST = ("timeout_error", "error", "unknown")
"""What the authors' script writes for an id where it gave a row up."""

VERDICTS = (
    "sympy_true", "sympy_false_llm_true", "sympy_false_llm_false", "sympy_undecided_llm_true",
    "sympy_undecided_llm_false", "text_llm_true", "text_llm_false",
)  # fmt: skip
"""Who said what of a pair: SymPy alone, GPT-4o after SymPy said no or nothing, GPT-4o alone (text)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A verdict: the number of the box, that of the required answer in `Problem.walk`, and one of `VERDICTS`."""

    box: int
    answer: int
    kind: str

    @property
    def right(self) -> bool:
        return self.kind.endswith("true")


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What is stored of a response: the boxes read, the verdicts, the accuracy; `has_response` is False where the
    model gave none."""

    boxes: tuple[str, ...]
    checks: tuple[Check, ...]
    accuracy: float
    has_response: bool


def is_evaluated(row: Row) -> bool:
    return "equivalency_results" in row.content


def is_lost(row: Row) -> bool:
    """Whether an evaluated row is one that the script gave up: no problem has that id."""
    return row.content.get("id") in (None, *LOST)


def read_evaluation(row: Row, problem: Problem) -> Evaluation:
    """The verdicts of a row, each at its place; raises `DataError` where they are not a walk over its boxes and the
    problem's required answers: then it was evaluated against others."""
    boxes = row.content.get("final_answers") or []
    results = row.content["equivalency_results"]
    if not isinstance(boxes, list) or not isinstance(results, list):
        raise row.wrong("equivalency_results", "a list of verdicts, beside the list final_answers")
    checks: list[Check] = []
    verdicts = iter(results)
    for number, box in enumerate(boxes):
        for answer_number, answer in enumerate(problem.walk):
            verdict = next(verdicts, None)
            check = _check(row, verdict, number, answer_number, box, answer)
            checks.append(check)
            if check.right:
                break
    if next(verdicts, None) is not None:
        raise _other_answers(row)
    return Evaluation(
        boxes=tuple(map(str, boxes)),
        checks=tuple(checks),
        accuracy=float(row.content.get("accuracy") or 0),
        has_response=row.content.get("solution") is not None,
    )


def score_evaluation(problem: Problem, response: str, evaluation: Evaluation) -> Score:
    """The mark by the stored verdicts: a box meets the first required answer that it was found equal to, and a lost row
    none. Counts each kind of verdict (`verdict/...`) and what follows from them."""
    met: list[frozenset[int]] = [frozenset()] * len(evaluation.boxes)
    by_sympy = 0
    for check in evaluation.checks:
        if check.right:
            met[check.box] = frozenset((problem.answers.index(problem.walk[check.answer]),))
            by_sympy += check.kind == "sympy_true"
    right, count = sum(map(bool, met)), len(met)
    low = frozenset[int]().union(*met)
    several = any(map(holds_several, evaluation.boxes))
    full = count > 0 and right == count
    complete = len(low) == len(problem.answers)
    high = frozenset(range(len(problem.answers))) if full and several else low
    kinds = Counter(f"verdict/{check.kind}" for check in evaluation.checks)
    return score_reading(
        problem,
        response,
        Reading(boxes=tuple(met), high=high, boxes_high=right),
        no_response=float(not evaluation.has_response),
        any_box_right=float(right > 0),
        full_marks=float(full),
        full_marks_answers_missing=float(full and not complete),
        full_marks_answers_missing_plain=float(full and not complete and not several),
        all_answers=float(complete),
        all_answers_high=float(complete or (full and several)),
        sympy_first=by_sympy / count if count else 0.0,
        boxes_cut=float(_is_cut(response, evaluation.boxes)),
        **kinds,
    )


def summary(evaluations: Sequence[Evaluation], lost: int) -> dict[str, Any]:
    """What the authors store of a subject, in the digits of their script (sums in the file's order): `accuracy`, with
    lost rows as 0, `variance` and `sympy_error_correct_ratio`; beside it `accuracy_without_lost`, how many rows there
    are of each kind, and in how many the stored accuracy is not that of its verdicts."""
    accuracies = [_accuracy(evaluation) for evaluation in evaluations]
    kinds = Counter(check.kind for evaluation in evaluations for check in evaluation.checks)
    everything = [*accuracies, *[0.0] * lost]
    overruled = kinds["sympy_false_llm_true"]
    decided = kinds["sympy_true"] + overruled + kinds["sympy_false_llm_false"]
    return {
        "rows": len(everything),
        "lost": lost,
        "no_response": sum(not evaluation.has_response for evaluation in evaluations),
        "no_box": sum(evaluation.has_response and not evaluation.boxes for evaluation in evaluations),
        "accuracy": _mean(everything),
        "accuracy_without_lost": _mean(accuracies),
        "variance": statistics.variance(everything) if len(everything) > 1 else 0.0,
        "sympy_error_correct_ratio": overruled / decided if decided else 0.0,
        "verdicts": {kind: kinds[kind] for kind in VERDICTS},
        "unlike_stored": sum(
            not math.isclose(evaluation.accuracy, accuracy, abs_tol=1e-12)
            for evaluation, accuracy in zip(evaluations, accuracies, strict=True)
        ),
    }


def _accuracy(evaluation: Evaluation) -> float:
    right = sum(check.right for check in evaluation.checks)
    return right / len(evaluation.boxes) if evaluation.boxes else 0.0


def _mean(values: Sequence[float]) -> float | None:
    # as Python's `sum` of floats does from 3.12 on, which their digits are of
    return math.fsum(values) / len(values) if values else None


def _check(row: Row, verdict: Any, number: int, answer_number: int, box: object, answer: str) -> Check:
    content = as_row(f"{row.location}: verdict of box {number + 1}", verdict).content if verdict else {}
    shown = content.get("input_expressions")
    pair = (shown.get("expr1"), shown.get("expr2")) if isinstance(shown, Mapping) else None
    if pair != (box, answer):
        raise _other_answers(row)
    return Check(box=number, answer=answer_number, kind=_kind(str(box), answer, content))


def _kind(box: str, answer: str, content: Mapping[str, Any]) -> str:
    said = "true" if content.get("final_result") is True else "false"
    if "\\text" in box or "\\text" in answer:
        return f"text_llm_{said}"
    by_sympy = content.get("sympy_result")
    if by_sympy is True:
        return "sympy_true"
    return f"sympy_{'undecided' if by_sympy is None else 'false'}_llm_{said}"


def _other_answers(row: Row) -> DataError:
    return DataError(
        f"{row.location}: its verdicts are no walk over its boxes and the required answers of problem "
        f"{row.content.get('id')}; name the problems that it was evaluated by (--questions)"
    )


def _is_cut(response: str, boxes: Sequence[str]) -> bool:
    """Whether the authors' reader cut a box short at its third level of braces, which leaves one open."""
    cut = [box for box in boxes if box.count("{") > box.count("}")]
    whole = [box for box in read_boxes(response) if depth_of(box) > READ_LEVELS] if cut else []
    return any(box.startswith(short) for short in cut for box in whole)


def verdicts_of(evaluations: Mapping[str, Evaluation], problems: Mapping[str, Problem]) -> list[tuple[str, str, str]]:
    """(box, required answer, kind) of every stored verdict, in order."""
    return [
        (evaluation.boxes[check.box], problems[identifier].walk[check.answer], check.kind)
        for identifier, evaluation in evaluations.items()
        for check in evaluation.checks
    ]
