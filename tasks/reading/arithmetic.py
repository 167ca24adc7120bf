"""The value of a run of tokens: arithmetic on floats, and nothing that is not understood whole."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Sequence

from tasks.reading.math_tokens import Kind, Token

_RUN_AT_MOST = 150
_DEPTH_AT_MOST = 25


class _UnreadError(Exception):
    """The expression is none that has a value."""


def value_of(run: Sequence[Token]) -> tuple[float | None, str]:
    """The value, None where there is none, and the unit. Of an equation that of its last side."""
    if len(run) <= _RUN_AT_MOST:
        # Arithmetic fails as Python's does: 1/0, 10^10^10, the root of -1.
        with contextlib.suppress(_UnreadError, ArithmeticError):
            return _value_of_run(run)
    return None, ""


def _value_of_run(run: Sequence[Token]) -> tuple[float, str]:
    if any((token.kind, token.text) == ("bad", "<") for token in run):
        raise _UnreadError
    sides = [side for side in _split(run, "equals") if side]
    if not sides:
        raise _UnreadError
    first, last = sides[0], sides[-1]
    if len(sides) == 1:
        if _may_be_a_range(last):
            raise _UnreadError
        return _value_of_side(last)
    kinds = {token.kind for token in first}
    if _is_name(last) and len(sides) == 2:
        return _value_of_side(first)
    if "letter" in kinds and not _is_name(first):
        signed = first[0].kind == "operator"
        if signed or kinds & {"number", "root", "bad"}:
            raise _UnreadError
    return _value_of_side(last)


def _split(run: Sequence[Token], kind: Kind) -> list[Sequence[Token]]:
    places = [-1, *(index for index, token in enumerate(run) if token.kind == kind), len(run)]
    return [run[start + 1 : end] for start, end in itertools.pairwise(places)]


def _is_name(side: Sequence[Token]) -> bool:
    """A letter, with brackets behind it that are a function's: x, x_1, f(2)."""
    return side[0].kind == "letter" and (len(side) == 1 or (side[1].kind == "open" and side[-1].kind == "close"))


def _may_be_a_range(side: Sequence[Token]) -> bool:
    """Plain numbers with hyphens and slashes, or an x, alone: 3-5, 2020-01-02, 1-1/2; 3 x 4 may be a size."""
    signs = {(token.text, token.raw) for token in side[1:] if token.kind == "operator"}
    plain = all(token.kind in ("number", "unit", "operator") for token in side)
    return plain and ((("-", "sign") in signs and signs <= {("-", "sign"), ("/", "sign")}) or signs == {("*", "word")})


def _value_of_side(side: Sequence[Token]) -> tuple[float, str]:
    places = [index for index, token in enumerate(side) if token.kind == "unit"]
    end = places[0] if places else len(side)
    if places and end and side[end - 1].text == "/":
        end -= 1  # 5/day
    _check_unit(side[end:])
    arithmetic = _Arithmetic(side[:end])
    value = arithmetic.whole()
    numbers = [token for token in side[:end] if token.kind != "operator"]
    # what was computed is told in as many digits as sums of floats are right in
    value = value if len(numbers) == 1 else float(f"{value:.15g}")
    if not math.isfinite(value):
        raise _UnreadError
    return value + 0.0, "".join(token.text for token in side[end:])


def _check_unit(unit: Sequence[Token]) -> None:
    """A unit is words with powers, products and quotients: no term follows it."""
    before = ""
    for token in unit:
        exponent = before in ("^", "^{", "^-", "^{-")
        if token.kind in ("number", "open") or token.text == "-":
            if not exponent:
                raise _UnreadError
            before = before + token.text if token.kind == "open" or token.text == "-" else ""
            continue
        if token.kind not in ("unit", "letter", "close") and token.text not in ("^", "/", "*"):
            raise _UnreadError
        before = token.text


class _Arithmetic:
    """A reader of one side: sums of products of powers. Raises `_UnreadError` for whatever is not understood whole."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    def whole(self) -> float:
        value = self.sum()
        if self.position != len(self.tokens):
            raise _UnreadError
        return value

    def sum(self) -> float:
        value = self.product()
        while (sign := self.take_operator("+", "-")) is not None:
            value = value + self.product() if sign == "+" else value - self.product()
        return value

    def product(self) -> float:
        value = self.signed()
        divided = False
        while True:
            sign = self.take_operator("*", "/")
            if sign is None and not self.at("number", "fraction", "root", "open"):
                return value
            # a/b/c is a date and 1/2π either of two; "2 (3)" is left to the text around it
            if (divided and sign != "*") or (
                sign is None and self.at("number") and self.tokens[self.position].text != "π"
            ):
                raise _UnreadError
            divided = divided or sign == "/"
            value = value / self.signed() if sign == "/" else value * self.signed()

    def signed(self) -> float:
        sign = self.take_operator("+", "-")
        if sign is not None and self.at("operator"):
            raise _UnreadError
        value = self.power()
        return -value if sign == "-" else value

    def power(self) -> float:
        base = self.atom()
        if self.take_operator("^") is None:
            return base
        exponent = self.signed()
        if base < 0 and not exponent.is_integer():
            raise _UnreadError
        return float(base**exponent)

    def atom(self) -> float:
        token = self.take()
        if token.kind == "number":
            return token.value + self.fraction_behind(token)
        if token.kind == "open":
            return self.bracketed()
        if token.kind == "root":
            return self.root(token)
        if token.kind == "fraction":
            above, below = self.argument(), self.argument()
            return above / below
        raise _UnreadError

    def fraction_behind(self, token: Token) -> float:
        r"""What a mixed number adds, 1 1/2 or 1\frac{1}{2}; 0 where it is none. A minus before it is of both parts."""
        rest = self.tokens[self.position :]
        if not rest or rest[0].text == "π" or token.text == "π" or rest[0].kind not in ("number", "fraction"):
            return 0.0
        if rest[0].kind == "fraction":
            shape = [token.kind for token in rest[1:7]]
            if shape != ["open", "number", "close", "open", "number", "close"]:
                raise _UnreadError
            numbers, length = [rest[2], rest[5]], 7
        else:
            if len(rest) < 3 or rest[1].text != "/" or rest[2].kind != "number" or rest[0].gap == 0:
                raise _UnreadError
            numbers, length = [rest[0], rest[2]], 3
        above, below = (token.value for token in numbers)
        if not (token.text.isdigit() and numbers[0].text.isdigit() and numbers[1].text.isdigit() and above < below):
            raise _UnreadError
        self.position += length
        if self.position < len(self.tokens) and self.tokens[self.position].text in ("^", "/"):
            raise _UnreadError
        return above / below

    def bracketed(self) -> float:
        self.depth += 1
        if self.depth > _DEPTH_AT_MOST:
            raise _UnreadError
        value = self.sum()
        if self.take().kind != "close":
            raise _UnreadError
        self.depth -= 1
        return value

    def root(self, token: Token) -> float:
        degree = float(token.text)
        if self.at("open") and self.tokens[self.position].mark == "[":
            self.take()
            degree = self.bracketed()
        argument = self.argument() if token.raw == "command" else self.atom()
        if argument < 0:
            raise _UnreadError
        return math.sqrt(argument) if degree == 2 else argument ** (1 / degree)

    def argument(self) -> float:
        r"""In braces, or a single digit: ``\sqrt 25`` may be either."""
        token = self.take()
        if token.kind == "open":
            return self.bracketed()
        if token.kind == "number" and len(token.text) == 1:
            return token.value
        raise _UnreadError

    def at(self, *kinds: Kind) -> bool:
        return self.position < len(self.tokens) and self.tokens[self.position].kind in kinds

    def take(self) -> Token:
        if self.position >= len(self.tokens):
            raise _UnreadError
        self.position += 1
        return self.tokens[self.position - 1]

    def take_operator(self, *signs: str) -> str | None:
        if self.at("operator") and self.tokens[self.position].text in signs:
            return self.take().text
        return None
