r"""Numbers in a text as the expressions that they stand in: evaluated, or known to be unread, and never cut out.

An `Expression` is a longest run of numbers, operators, roots, fractions, brackets and letters of variables, with the
unit behind it. Its value is None where it is more than arithmetic (a variable, a function, a range, a ratio, a date, a
list in brackets, an ordinal, a bound), where it may be meant in two ways (``3,14``, ``8-3``, ``5!``, ``- 5``), and
where arithmetic fails (1/0, 10^10^10). Of an equation the last side counts, unless the first holds a number beside a
letter: from ``2x = 10`` nothing is read, from ``x = 5``, ``f(2) = 5`` and ``3+4=7`` the right side.

No text is run: a reader of its own goes over tokens, whose number is bounded in every run and every text, as is the
depth of brackets, and all arithmetic is that of floats.
Source: this project; the rule is a part of the definition of the profile "strict".
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.reading.arithmetic import value_of
from tasks.reading.math_tokens import runs_of
from tasks.reading.numerals import plain_math

LONGEST = 4_000
"""Characters of a text that are looked at: its last ones."""

_WORDS_AROUND = 30
_FIRST_OF_CUT = re.compile(r"\S{0,50}")
_BOUND = re.compile(
    r"(?:\b(?:more|less|fewer|greater|higher|lower|larger|smaller|bigger|older|younger|longer|shorter)\s+than"
    r"|\bat\s+(?:least|most)|\b(?:over|above|below|under|beyond|exceed(?:s|ed|ing)?)"
    r"|(?<!add )(?<!adds )(?<!sum )(?<!sums )(?<!round )(?<!rounded )\bup\s+to)\s*$",
    re.IGNORECASE,
)
_BOUND_BEHIND = re.compile(
    r"\s+(?:[a-z]+\s+)?(?:or|and)\s+(?:more|less|fewer|greater|higher|lower|larger|smaller|older|younger|longer|shorter"
    r"|above|over|below|under|up|so)\b",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?:\bnot|n't|\bnever|\bhal(?:f|ves)\s+of|\b(?:thirds?|quarters?|\w+ths)\s+of"
    r"|\bhalf|\btwice|\bdouble|\btriple|\b(?:square|cube)\s+root\s+of|\blog\w*(?:\s+base)?(?:\s+of)?|第|零下)\s*$",
    re.IGNORECASE,
)
_PART_BEHIND = re.compile(r"\s+and\s+(?:a|an|one)\s+(?:half|third|quarter|\w+th)\b", re.IGNORECASE)
_DIGITS_KEPT = re.compile(
    r"\d+[\s-]*(?:decimals?\b|d\.? ?p\b|s\.? ?f\b|sig(?:nificant|\.)?\s+(?:fig|dig))", re.IGNORECASE
)
_NO_VALUE_SAID = re.compile(
    r"(?:\bnearest|\b(?:fig(?:ure|\.)?|table|eq(?:uation|\.)?|step)\s*[#(]?|[^\W\d_]{2,}-)\s*$", re.IGNORECASE
)
_EITHER = re.compile(r"\s*(?:or|over|vs\.?|versus|out\s+of|到|至|〜|或|或者|または|또는|比|分之)\s*", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:to|through|till|until|of)\s*", re.IGNORECASE)
_FRACTION = re.compile(r"\d+ ?/ ?\d|\\frac")
_BETWEEN = re.compile(r"\b(?:between|from)\s*$|[在从從介于]\s*$", re.IGNORECASE)
_AND = re.compile(r"\s*(?:and|&|和|与|與)\s*", re.IGNORECASE)
_HOLDS_A_NUMBER = re.compile(r"[\d√∛∜πⅠ-ↈ¼-¾⅐-⅞]|\\(?:[dtc]?frac|sqrt|pi)(?![a-z])|\b(?:pi|sqrt)\b|square root of")


@dataclass(frozen=True, slots=True)
class Expression:
    """A run of a text, `start` to `end` in its `plain_math`; the value is None where it is unread."""

    start: int
    end: int
    value: float | None
    unit: str = ""
    is_bound: bool = False
    """Whether the words before it make it one: "more than 5"."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text in plain form with the expressions that it holds, in their order."""

    plain: str
    expressions: tuple[Expression, ...]


def read_passage(text: str) -> Passage:
    """The last `LONGEST` characters of a text, and what they hold that has a number in it."""
    if len(text) > LONGEST:
        text = _FIRST_OF_CUT.sub("", text[-LONGEST:], count=1)
    plain = plain_math(text)
    if not _HOLDS_A_NUMBER.search(plain):
        return Passage(plain, ())
    runs = [Expression(run[0].start, run[-1].end, *value_of(run)) for run in runs_of(plain)]
    return Passage(plain, tuple(_in_their_places(plain, runs)))


def _in_their_places(plain: str, runs: Sequence[Expression]) -> Iterator[Expression]:
    """Unread are numbers that the words around them make bounds, ranges, shares or alternatives.

    Left out are those that say how a number was rounded or name a figure or a step: "2 decimal places", "Figure 3".
    """
    runs = [run for run in runs if not (_DIGITS_KEPT.match(plain, run.start) or _before(_NO_VALUE_SAID, plain, run))]
    bounds = {
        index for index, run in enumerate(runs) if _before(_BOUND, plain, run) or _behind(_BOUND_BEHIND, plain, run)
    }
    unread = {
        index
        for index, run in enumerate(runs)
        if _before(_PART, plain, run) or _behind(_PART_BEHIND, plain, run) or _between_bars(plain, run)
    }
    for index, (run, following) in enumerate(itertools.pairwise(runs)):
        if run.value != following.value and _belong_together(plain, run, following):
            unread |= {index, index + 1}
    for index, run in enumerate(runs):
        yield replace(run, value=None, is_bound=index in bounds) if index in bounds | unread else run


def _before(pattern: re.Pattern[str], plain: str, run: Expression) -> bool:
    return pattern.search(plain, max(0, run.start - _WORDS_AROUND), run.start) is not None


def _behind(pattern: re.Pattern[str], plain: str, run: Expression) -> bool:
    return pattern.match(plain, run.end, run.end + _WORDS_AROUND) is not None


def _belong_together(plain: str, run: Expression, following: Expression) -> bool:
    gap = plain[run.end : following.start]
    if len(gap) > _WORDS_AROUND:
        return False
    if _AND.fullmatch(gap):
        return _before(_BETWEEN, plain, run) or _FRACTION.match(plain, following.start) is not None
    # "10.4 rounded to 2 decimals" is no range
    return (
        _EITHER.fullmatch(gap) is not None
        or (run.unit in ("", "%", "°", following.unit) and _RANGE.fullmatch(gap) is not None)
        or (not gap.strip(" \t") and plain[following.start] == "(")
    )


def _between_bars(plain: str, run: Expression) -> bool:
    """|-5| is 5."""
    return plain[run.start - 1 : run.start] == plain[run.end : run.end + 1] == "|" and "-" in plain[run.start : run.end]
