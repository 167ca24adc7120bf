r"""The profile `rule`: whether a box is a required answer, by rules alone.

In this order, the first that applies:

1. Texts that are alike but for spaces, fonts and sizes of brackets are equal. Lists of several answers are equal where
   every part of one is a part of the other, and they have as many.
2. Two equations, in which more than a name stands on the left, are compared at random points. Two quantities are
   compared as numbers, in their units (`tasks.physics.units`); a number without a unit is not the quantity that is
   required, and a unit that is not required is not looked at.
3. Words are compared as words: nothing here knows that "no" is "impossible". A judge does.
4. Two formulas are compared where their symbols have values (`tasks.physics.formulas`).
5. What these do not read, and has the same symbols on both sides, math-verify and SymPy compare, in processes of their
   own and in bounded time (`tasks.physics.workers`).
6. Everything else is unequal.

Of "x = value" the last side counts. The name is looked at where the value is a number alone: of two names that begin
with other letters, the quantities are others. Case, subscripts and units are never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.types import Advance, Score
from tasks.physics.boxes import parts_of, read_boxes
from tasks.physics.formulas import read_formula, same_equation, same_formula
from tasks.physics.marks import score_verdicts
from tasks.physics.questions import Problem
from tasks.physics.spelling import packed, spelled
from tasks.physics.units import Quantity, read_quantity, same_quantity
from tasks.physics.workers import equal_by_algebra

Pair = tuple[str, str]
"""(box or part of one, required answer)."""

_RELATION = re.compile(r"=|\\approx\b|\\implies\b|\\to\b(?=.*=)")
_NAME = re.compile(r"(?:\\text\{[^{}]*\}|\\Delta\b|\\langle|\||\s|\\bar|\{)*+(?P<base>\\?[A-Za-z]+)")
_TEXT = re.compile(r"\\text\{(?P<words>[^{}]*)\}")
_SYMBOL = re.compile(r"(?:\\[A-Za-z]+|[A-Za-z])(?:_\{[^{}]*\})*'*")
_NO_SYMBOLS = re.compile(
    r"\\(?:frac|sqrt|begin|end|int|sum|partial|times|cdot|text|pm|mp|leq|geq|neq|approx|infty|sin|cos|tan|ln|log|exp|vert"
    r"|pi|nabla)(?![A-Za-z])"
)
_BEYOND_ALGEBRA = re.compile(r":|\\(?:to|propto|langle|rangle|text|dots|ddots|vdots|leftrightarrow)(?![A-Za-z])")
"""Ratios, decays, states and words: math-verify reads the first number in them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A verdict of the rule, and by which of its steps; `equal` is None where `algebra` has yet to be asked."""

    kind: str
    equal: bool | None


def compare(box: str, answer: str) -> Comparison:
    """The verdict of the first step that applies; `algebra` with None where math-verify is to be asked.

    Example:
        >>> compare(r"T_2 - T_1", "0"), compare(r"5 \\text{ m}", r"5 \\text{ kg}")
        (Comparison(kind='formula', equal=False), Comparison(kind='unit', equal=False))
    """
    if packed(box) == packed(answer):
        return Comparison("text", True)
    parts = parts_of(box), parts_of(answer)
    if max(map(len, parts)) > 1:
        return _compare_parts(*parts)
    sides = [_sides(spelled(text)) for text in (box, answer)]
    left, right = (each[-1] for each in sides)
    are_equations = [len(each) > 1 and _is_equation(each[0]) for each in sides]
    if any(are_equations):
        equal = _same_equations(sides) if all(are_equations) else None
        if equal is not None:
            return Comparison("equation", equal)
    quantities = read_quantity(left), read_quantity(right)
    if any(quantities):
        if any(are_equations):
            return Comparison("equation", False)
        if all(len(each) > 1 for each in sides) and _other_names(sides[0][0], sides[1][0]):
            return Comparison("name", False)
        return _compare_numbers(left, right, *quantities)
    if packed(left) == packed(right):
        return Comparison("text", True)
    if _has_words(left) or _has_words(right):
        return Comparison("words", _words(left) == _words(right))
    formulas = read_formula(left), read_formula(right)
    if formulas[0] is not None and formulas[1] is not None:
        equal = same_formula(formulas[0], formulas[1])
        if equal is not None:
            return Comparison("formula", equal)
    if _symbols(left) != _symbols(right):
        return Comparison("symbols", False)
    if _BEYOND_ALGEBRA.search(left) or _BEYOND_ALGEBRA.search(right):
        return Comparison("unread", False)
    return Comparison("algebra", None)


def judge_pairs(pairs: Iterable[Pair], advance: Advance | None = None) -> dict[Pair, Comparison]:
    """Every pair with its verdict; what algebra cannot say in its time is unequal."""
    verdicts = {pair: compare(*pair) for pair in dict.fromkeys(pairs)}
    unsettled = [pair for pair, comparison in verdicts.items() if comparison.equal is None]
    by_algebra = equal_by_algebra([_last_sides(pair) for pair in unsettled], advance)
    for pair, equal in zip(unsettled, by_algebra, strict=True):
        verdicts[pair] = Comparison("algebra" if equal is not None else "undecided", bool(equal))
    return verdicts


def boxes_of(response: str) -> list[tuple[str, tuple[str, ...]]]:
    """The boxes of a response, each with the parts of one that holds several (else none)."""
    boxes = [(box, parts_of(box)) for box in read_boxes(response)]
    return [(box, parts if len(parts) > 1 else ()) for box, parts in boxes]


def pairs_of(problem: Problem, response: str) -> list[Pair]:
    """What has to be judged of a response: its boxes, and the parts of those that hold several."""
    texts = [text for box, parts in boxes_of(response) for text in (box, *parts)]
    return [(text, answer) for text in texts for answer in problem.answers]


def score_by_rule(problem: Problem, response: str) -> Score:
    """The mark of a response by the rule."""
    verdicts = judge_pairs(pairs_of(problem, response))
    equal = {pair: bool(comparison.equal) for pair, comparison in verdicts.items()}
    return score_verdicts(problem, response, boxes_of(response), equal)


def _sides(text: str) -> list[str]:
    """The sides of the relations in a text, blank ones left out; of an implication what follows."""
    sides = [side.strip(" .,;") for side in _RELATION.split(text)]
    return [side for side in sides if side] or [text]


def _last_sides(pair: Pair) -> Pair:
    left, right = (_sides(spelled(text)) for text in pair)
    return left[-1], right[-1]


def _compare_parts(box: Sequence[str], answer: Sequence[str]) -> Comparison:
    """A list is equal to another of as many parts, each of which is one of the other's; algebra is not asked."""
    if len(box) != len(answer):
        return Comparison("parts", False)
    met = [any(compare(part, required).equal for part in box) for required in answer]
    return Comparison("parts", all(met))


def _same_equations(sides: Sequence[Sequence[str]]) -> bool | None:
    formulas = [read_formula(side) for each in sides for side in (each[0], each[-1])]
    first, second, third, fourth = formulas
    if first is None or second is None or third is None or fourth is None:
        return None
    return same_equation((first, second), (third, fourth))


def _compare_numbers(left: str, right: str, number: Quantity | None, required: Quantity | None) -> Comparison:
    if number is None or required is None or (number.unit is None) != (required.unit is None):
        # letters behind a number are a unit where the other side has one
        number = number if number and number.unit else read_quantity(left, bare=True) or number
        required = required if required and required.unit else read_quantity(right, bare=True) or required
    if number is None or required is None:
        return Comparison("number", False)
    if not same_quantity(number, required):
        is_number = same_quantity(replace(number, unit=None), replace(required, unit=None))
        return Comparison("unit" if is_number else "number", False)
    lacks_unit = required.unit is not None and bool(required.unit.powers) and number.unit is None
    return Comparison("unit", False) if lacks_unit and required.number else Comparison("number", True)


def _other_names(left: str, right: str) -> bool:
    """Whether two names begin with other letters; words are no names of a quantity that could be another."""
    letters = [match["base"] if (match := _NAME.match(name)) else None for name in (left, right)]
    return None not in letters and letters[0] != letters[1]


def _is_equation(side: str) -> bool:
    """Whether the left side of an equation is more than a name: a sum or a difference, or begins with a number."""
    plain = re.sub(r"_\{[^{}]*\}|\^\s*[-+]|\\text\{[^{}]*\}", "", side)
    return re.search(r"(?<=[^\s({])\s*[-+]|^\s*\d", plain) is not None


def _has_words(value: str) -> bool:
    return any(re.search(r"[^\W\d_]{2}", match["words"]) for match in _TEXT.finditer(value))


def _words(value: str) -> tuple[str, ...]:
    plain = _TEXT.sub(r" \g<words> ", value)
    return tuple(word for word in re.findall(r"\\?\w+|[-+<>=/^]", plain.lower()) if word not in ("the", "a", "an"))


def _symbols(value: str) -> frozenset[str]:
    return frozenset(_SYMBOL.findall(_NO_SYMBOLS.sub(" ", value)))
