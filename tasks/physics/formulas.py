r"""Formulas as functions: read from LaTeX, and compared where their symbols have values.

A reader of arithmetic, powers, fractions, roots and common functions over symbols, each with its subscript, in either
case. Two formulas are equal where they agree at random points; for what physics asks that is as good as a proof, and
takes no time. What the reader does not know (integrals, sums, brackets of states, relations, matrices) it leaves
unread, and `tasks.physics.algebra` is asked.

``h`` is 2 pi times ``\hbar``, ``i`` without a subscript the imaginary unit, ``e`` before a power the base of
exponentials; ``\log`` is natural. ``a/bc`` is ``a/(bc)``, but ``1/2 m`` is half of ``m``. A derivative is one symbol.
"""

from __future__ import annotations

import cmath
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tasks.physics.spelling import GREEK, spelled

POINTS = 5
"""Random points at which two formulas are compared."""

CLOSE = 1e-8
"""How far, as a share, two values may differ that are equal but for the rounding of floats."""

_LONGEST, _DEEPEST = 2_000, 60
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<symbol>(?:\\(?P<command>[A-Za-z]+)|[A-Za-z])"
    r"(?P<subscript>(?:_\{[^{}]*\})*)(?P<primes>'*))|(?P<sign>\\[{}|]|.)",
    re.DOTALL,
)
_FUNCTIONS: Mapping[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh,
    "asin": cmath.asin, "acos": cmath.acos, "atan": cmath.atan, "ln": cmath.log, "log": cmath.log, "exp": cmath.exp,
    "cot": lambda x: 1 / cmath.tan(x), "sec": lambda x: 1 / cmath.cos(x), "csc": lambda x: 1 / cmath.sin(x),
    "coth": lambda x: 1 / cmath.tanh(x), "sech": lambda x: 1 / cmath.cosh(x), "csch": lambda x: 1 / cmath.sinh(x),
}  # fmt: skip
_INVERSES = {"sin": "asin", "cos": "acos", "tan": "atan"}
_STARTS = frozenset(("number", "symbol", "(", "[", "{", "\\{", "frac", "sqrt", "function"))


class UnreadError(ValueError):
    """The formula is none that is known."""


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is number, symbol, function, frac, sqrt or the sign itself."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A number (`value`), a symbol (`name`), or an operation on others: +, *, /, ^ or a function's name."""

    kind: str
    parts: tuple[Node, ...] = ()
    value: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read, and the symbols in it."""

    root: Node
    symbols: frozenset[str]

    def at(self, point: int) -> complex:
        """The value where every symbol has its value of that point; raises `ArithmeticError` or `ValueError`."""
        return _value(self.root, point)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a spelled text; raises `UnreadError` for words and for commands that are not known."""
    tokens = []
    for match in _TOKEN.finditer(text):
        if match["number"]:
            tokens.append(Token("number", match["number"]))
        elif match["symbol"]:
            tokens.append(_symbol(match))
        elif not match["space"]:
            tokens.append(Token(match["sign"], match["sign"]))
    return tokens


def _symbol(match: re.Match[str]) -> Token:
    command = match["command"]
    if command is None or command in GREEK:
        return Token("symbol", match["symbol"])
    decorated = match["subscript"] or match["primes"]
    if command in _FUNCTIONS and not decorated:
        return Token("function", command)
    if command in ("frac", "sqrt") and not decorated:
        return Token(command, command)
    signs = {"cdot": "*", "times": "*", "vert": "|", "div": "/"}
    if command in signs and not decorated:
        return Token(signs[command], command)
    raise UnreadError(command)


@lru_cache(maxsize=20_000)
def read_formula(latex: str) -> Formula | None:
    """The formula in a LaTeX text without relations; None where it is not one that is known."""
    text = spelled(latex)
    if not text or len(text) > _LONGEST:
        return None
    try:
        reader = _Reader(tokens_of(text))
        root = reader.sum(0)
        if reader.ahead is not None:
            return None
    except (UnreadError, RecursionError):
        return None
    return Formula(root, frozenset(_names(root)))


def same_formula(left: Formula, right: Formula) -> bool | None:
    """Whether two formulas agree at random points; None where they have no values at most of them."""
    agreeing = 0
    for point in range(POINTS):
        values = _values(left, right, point)
        if values is None:
            continue
        if not _close(*values):
            return False
        agreeing += 1
    return True if 2 * agreeing > POINTS else None


def same_equation(left: tuple[Formula, Formula], right: tuple[Formula, Formula]) -> bool | None:
    """Whether two equations, each both its sides, hold for the same values: whether the differences of their sides are
    in one ratio at random points. None as in `same_formula`."""
    ratios = []
    for point in range(POINTS):
        sides = _values(*left, point), _values(*right, point)
        if sides[0] is None or sides[1] is None:
            continue
        above, below = sides[0][0] - sides[0][1], sides[1][0] - sides[1][1]
        if abs(below) < 1e-12:
            continue
        ratios.append(above / below)
    if 2 * len(ratios) <= POINTS:
        return None
    return abs(ratios[0]) > 1e-12 and all(_close(ratio, ratios[0]) for ratio in ratios)


def _values(left: Formula, right: Formula, point: int) -> tuple[complex, complex] | None:
    try:
        values = left.at(point), right.at(point)
    except (ArithmeticError, ValueError):
        return None
    return values if all(cmath.isfinite(value) for value in values) else None


def _close(left: complex, right: complex) -> bool:
    return abs(left - right) <= CLOSE * max(abs(left), abs(right)) + 1e-300


@lru_cache(maxsize=20_000)
def _at_random(name: str, point: int) -> float:
    return random.Random(f"{name}/{point}").uniform(0.55, 1.65)


def _names(node: Node) -> set[str]:
    own = {node.name} if node.kind == "symbol" else set()
    return own.union(*map(_names, node.parts))


def _value(node: Node, point: int) -> complex:
    if node.kind == "number":
        return node.value
    if node.kind == "symbol":
        return _value_of_symbol(node.name, point)
    values = [_value(part, point) for part in node.parts]
    if node.kind == "+":
        return sum(values)
    if node.kind == "*":
        return math.prod(values)
    if node.kind == "/":
        return values[0] / values[1]
    if node.kind == "^":
        return values[0] ** values[1]
    if node.kind == "abs":
        return abs(values[0])
    if node.kind == "!":
        return math.gamma(values[0].real + 1)
    return _FUNCTIONS[node.kind](values[0])


def _value_of_symbol(name: str, point: int) -> complex:
    if name == "\\pi":
        return math.pi
    if name == "i":
        return 1j
    if name == "\\hbar":
        return _at_random("h", point) / (2 * math.pi)
    return _at_random(name, point)


class _Reader:
    """Reads tokens from the left; each method reads one level of precedence."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def ahead(self) -> str | None:
        """The kind of the next token."""
        return self._tokens[self._place].kind if self._place < len(self._tokens) else None

    def _next(self, *kinds: str) -> Token:
        if self.ahead is None or (kinds and self.ahead not in kinds):
            raise UnreadError(str(self.ahead))
        self._place += 1
        return self._tokens[self._place - 1]

    def sum(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise UnreadError("too deep")
        terms = []
        sign = 1.0
        if self.ahead in ("+", "-"):
            sign = -1.0 if self._next().kind == "-" else 1.0
        while True:
            term = self._product(depth)
            terms.append(term if sign > 0 else Node("*", (Node("number", value=-1.0), term)))
            if self.ahead not in ("+", "-"):
                return terms[0] if len(terms) == 1 else Node("+", tuple(terms))
            sign = -1.0 if self._next().kind == "-" else 1.0

    def _product(self, depth: int) -> Node:
        node = self._signed(depth)
        is_number = node.kind == "number"
        while True:
            if self.ahead == "*":
                self._next()
                node = Node("*", (node, self._signed(depth)))
            elif self.ahead == "/":
                self._next()
                below = self._signed(depth)
                if not (is_number and below.kind == "number"):
                    while self.ahead in _STARTS:
                        below = Node("*", (below, self._power(depth)))
                node = Node("/", (node, below))
            elif self.ahead in _STARTS:
                node = Node("*", (node, self._power(depth)))
            else:
                return node
            is_number = False

    def _signed(self, depth: int) -> Node:
        if self.ahead == "-":
            self._next()
            return Node("*", (Node("number", value=-1.0), self._signed(depth)))
        return self._power(depth)

    def _power(self, depth: int) -> Node:
        node = self._atom(depth)
        while self.ahead in ("^", "!"):
            if self._next().kind == "!":
                node = Node("!", (node,))
                continue
            exponent = self._exponent(depth)
            is_e = node == Node("symbol", name="e")
            node = Node("exp", (exponent,)) if is_e else Node("^", (node, exponent))
        return node

    def _exponent(self, depth: int) -> Node:
        if self.ahead == "number":  # x^23 is x^2 3
            token = self._next()
            if len(token.text) > 1:
                self._place -= 1
                self._tokens[self._place] = Token("number", token.text[1:])
                if token.text[1] == ".":
                    raise UnreadError("a decimal exponent without braces")
            return Node("number", value=float(token.text[0]))
        return self._atom(depth)

    def _atom(self, depth: int) -> Node:
        token = self._next()
        if token.kind == "number":
            return Node("number", value=float(token.text))
        if token.kind == "symbol":
            return Node("symbol", name=token.text)
        if token.kind == "function":
            return self._function(token.text, depth)
        if token.kind == "frac":
            return self._fraction(depth)
        if token.kind == "sqrt":
            return self._root(depth)
        closing = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "|": "|"}.get(token.kind)
        if closing is None:
            raise UnreadError(token.kind)
        inner = self.sum(depth + 1)
        self._next(closing)
        return Node("abs", (inner,)) if closing == "|" else inner

    def _fraction(self, depth: int) -> Node:
        start = self._place
        derivative = self._derivative()
        if derivative:
            return Node("symbol", name=derivative)
        self._place = start
        above = self._argument(depth)
        return Node("/", (above, self._argument(depth)))

    def _derivative(self) -> str | None:
        r"""``\frac{dP}{dT}`` as a symbol: what stands above and below begins with a differential."""
        above, below = self._braced(), self._braced()
        if not all(half and half[0] == Token("symbol", "d") and len(half) > 1 for half in (above, below)):
            return None
        return "/".join("".join(token.text for token in half) for half in (above, below))

    def _braced(self) -> list[Token]:
        """The tokens in the braces that come next, none where there are no braces or they never close."""
        depth = 0
        for place in range(self._place, len(self._tokens)):
            kind = self._tokens[place].kind
            depth += (kind == "{") - (kind == "}")
            if depth == 0:
                inner = self._tokens[self._place + 1 : place]
                self._place = place + 1
                return inner
        return []

    def _argument(self, depth: int) -> Node:
        """What stands in braces, or the next digit or symbol."""
        if self.ahead == "{":
            return self._atom(depth)
        return self._exponent(depth)

    def _root(self, depth: int) -> Node:
        degree = Node("number", value=2.0)
        if self.ahead == "[":
            degree = self._atom(depth)
        return Node("^", (self._argument(depth), Node("/", (Node("number", value=1.0), degree))))

    def _function(self, name: str, depth: int) -> Node:
        exponent = None
        if self.ahead == "^":
            self._next()
            exponent = self._exponent(depth)
            if exponent == Node("*", (Node("number", value=-1.0), Node("number", value=1.0))):
                if name not in _INVERSES:
                    raise UnreadError("an inverse")
                name, exponent = _INVERSES[name], None
        if self.ahead in ("(", "[", "{", "|", "\\{"):
            argument = self._atom(depth)
            while self.ahead == "^" and exponent is None:
                self._next()
                exponent = self._exponent(depth)
        else:
            argument = self._power(depth)
            while self.ahead in ("number", "symbol", "frac", "sqrt"):
                argument = Node("*", (argument, self._power(depth)))
            if self.ahead == "/":
                self._next()
                argument = Node("/", (argument, self._power(depth)))
        node = Node(name, (argument,))
        return node if exponent is None else Node("^", (node, exponent))
