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

import contextlib
import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.numerals import plain_math

LONGEST = 4_000
"""Characters of a text that are looked at: its last ones."""

_RUN_AT_MOST = 150
_DEPTH_AT_MOST = 25
_WORDS_BEFORE = 30

Kind = Literal[
    "number", "operator", "open", "close", "equals", "root", "fraction", "letter", "unit", "comma", "bad", "edge"
]
"""What a token is in an expression. "bad" belongs to it and cannot be evaluated; "edge" belongs to none."""

_HAN_AND_KIN = "\\u0e00-\\u0e7f\\u3040-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7af"
_LETTER = rf"[^\W\d_π{_HAN_AND_KIN}]"
_GROUPED = (
    r"[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?"
    r"|[1-9]\d?(?:,\d{2})+,\d{3}(?!\d)(?:\.\d+)?"
    r"|[1-9]\d{0,2}(?:'\d{3})+(?!\d)(?:\.\d+)?"
    r"|[1-9]\d{0,2}(?: \d{3})+(?!\d)(?:\.\d+)?"
)
_EUROPEAN = r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}(?![\d.])"
_TOKEN = re.compile(
    rf"(?P<space>[ \t\r\f\v]+)|(?P<line>\n)|(?P<european>{_EUROPEAN})"
    rf"|(?P<number>(?:{_GROUPED}|\d+(?:\.\d+)?|(?<![\w.])\.\d+)(?:[eE][-+]?\d{{1,4}}(?![\w.]))?)"
    r"|(?P<letter>[A-Za-z]_(?:\{[^{}\n]{0,40}\}|[A-Za-z0-9]))|(?P<command>\\[A-Za-z]+)"
    rf"|(?P<word>{_LETTER}(?:{_LETTER}|\d)*(?:'{_LETTER}+)*)|(?P<sign>.)",
    re.DOTALL,
)

_FIRST_OF_CUT = re.compile(r"\S{0,50}")
_CUT_BEFORE = re.compile(r"(?:[._]|\d[,'])$")
_CUT_BEHIND = re.compile(r"[,']\d|\.\d|_|\.\(\d|\.[eE][-+]?\d|[\u0300-\u036f]")
_BINARY = ("+", "-", "*", "/", "^", "=", "≈", "<", ">", "≤", "≥", "≠")

_COMMANDS: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(("times", "cdot", "ast"), ("operator", "*")),
    **dict.fromkeys(("approx", "simeq", "cong", "doteq", "equiv", "sim"), ("equals", "=")),
    **dict.fromkeys(
        ("therefore", "because", "implies", "iff", "to", "rightarrow", "Rightarrow", "Longrightarrow", "angle", "triangle"),
        ("edge", ""),
    ),
    "div": ("operator", "/"),
    "frac": ("fraction", ""),
    "sqrt": ("root", "2"),
    "pi": ("number", "π"),
    **dict.fromkeys(
        ("le", "leq", "ge", "geq", "ne", "neq", "lt", "gt", "pm", "mp", "infty", "in", "dots", "ldots", "cdots"), ("bad", "<")
    ),
}  # fmt: skip
_SIGNS: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys("([{", ("open", "")),
    **dict.fromkeys(")]}", ("close", "")),
    **dict.fromkeys("=≈≃≅≐≡", ("equals", "=")),
    **dict.fromkeys("<>≤≥≠±∓∞", ("bad", "<")),
    **dict.fromkeys("%‰°", ("unit", "")),
    **dict.fromkeys("→⇒⟹↔⇔∴∵∠△~|", ("edge", "")),
    "π": ("number", "π"),
    "√": ("root", "2"),
    "∛": ("root", "3"),
    "∜": ("root", "4"),
    ",": ("comma", ""),
}
_FUNCTIONS = frozenset("sin cos tan cot sec csc log ln exp max min mod gcd lcm lim".split())
_SCALES = frozenset("hundred thousand million billion trillion dozen lakh crore".split())
_HAN_SCALES = "十百千万萬亿億"
"""Words that multiply the number before them. A chart's own unit may be millions, so that 5 million may be said for 5."""

_UNIT_LETTERS = frozenset("mslLgNJWVACFKhtΩ")
_GLUED_UNITS = frozenset(
    "cm mm km nm um dm ft in yd mi oz lb lbs kg mg ug ml mL cl kl hr hrs min sec ms ns kJ kN kW MW mV kV mA Hz kHz MHz GHz Pa kPa "
    "atm mol rad deg sq px pt kb KB MB GB TB mph kmh USD EUR GBP bpm rpm dB eV keV MeV cal kcal".split()
)
_PARTED_UNITS = frozenset(
    "feet foot ft inches yards meters metres m cm km hours hour hrs h minutes min pounds lb lbs degrees dollars years "
    "weeks days kg stone ' \" °".split()
)
"""Units that a second number with a smaller one follows: 5 feet 11 inches are neither 5 nor 11."""

_NO_UNITS = frozenset(
    "to or and of out vs versus through till until is are was were in on at from for with by because since so if but than "
    "as which the an when where while then that this there it he she they we you".split()
)
_MINUS_BEHIND = frozenset("is are was were be equals equal answer about approximately of exactly to and or by at".split())
_BOUND = re.compile(
    r"(?:\b(?:more|less|fewer|greater|higher|lower|larger|smaller|bigger|older|younger|longer|shorter)\s+than"
    r"|\bat\s+(?:least|most)|(?<!add )(?<!adds )(?<!sum )(?<!sums )(?<!round )(?<!rounded )\bup\s+to)\s*$",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?:\bnot|n't|\bnever|\bhal(?:f|ves)\s+of|\b(?:thirds?|quarters?|\w+ths)\s+of"
    r"|\bhalf|\btwice|\bdouble|\btriple|\b(?:square|cube)\s+root\s+of|\blog\w*(?:\s+base)?(?:\s+of)?|第|零下)\s*$",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\s*(?:or|vs\.?|versus|out\s+of|到|至|〜|或|或者|または|또는|比|分之)\s*", re.IGNORECASE)
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


@dataclass(slots=True)
class _Token:
    raw: str
    text: str
    start: int
    end: int
    gap: int
    """White space before it: 0 none, 1 a space, 2 more than one, or the beginning of a line."""
    kind: Kind = "edge"
    value: float = 0.0
    mark: str = ""
    """The character, where the text was put in the place of another."""


_NOTHING = _Token("line", "", 0, 0, 2)


class _UnreadError(Exception):
    """The expression is none that has a value."""


def read_passage(text: str) -> Passage:
    """The last `LONGEST` characters of a text, and what they hold that has a number in it."""
    if len(text) > LONGEST:
        text = _FIRST_OF_CUT.sub("", text[-LONGEST:], count=1)
    plain = plain_math(text)
    if not _HOLDS_A_NUMBER.search(plain):
        return Passage(plain, ())
    tokens = _tokens(plain)
    _classify(tokens, plain)
    _settle_brackets(tokens)
    runs = [_expression(run) for run in _runs(tokens)]
    return Passage(plain, tuple(_in_their_places(plain, runs)))


def _tokens(plain: str) -> list[_Token]:
    tokens: list[_Token] = []
    gap = 2
    for match in _TOKEN.finditer(plain):
        if match.lastgroup == "space":
            gap = max(gap, 2 if len(match[0]) > 1 or "\t" in match[0] else 1)
            continue
        tokens.append(_Token(match.lastgroup or "", match[0], match.start(), match.end(), gap))
        gap = 2 if match.lastgroup == "line" else 0
    return tokens


def _classify(tokens: list[_Token], plain: str) -> None:
    """Give every token its kind, from the kinds before it and the raw tokens behind it."""
    one_line = "\n" not in plain.strip()
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else _NOTHING
        after = tokens[place + 1] if place + 1 < len(tokens) else _NOTHING
        if token.raw == "line":
            token.kind = "edge"
        elif token.raw in ("number", "european"):
            token.kind, token.value = _number(token, plain)
        elif token.raw == "letter":
            token.kind = "letter"
        elif token.raw == "command":
            unknown: tuple[Kind, str] = ("bad" if token.text[1:] in _FUNCTIONS else "letter", token.text)
            token.kind, token.text = _COMMANDS.get(token.text[1:], unknown)
        elif token.raw == "word":
            (_single_letter if len(token.text) == 1 else _word)(token, before, after)
        elif token.text == "-":
            token.kind = _dash(token, before, after, one_line)
        else:
            _sign(token, before, after)
        if token.text == "π" and token.kind == "number":
            token.value = math.pi


def _number(token: _Token, plain: str) -> tuple[Kind, float]:
    """The value of digits with their separators; "bad" where a part of a longer number is left over on a side."""
    text = token.text
    parts = text.replace(".", "").replace(",", ".") if token.raw == "european" else re.sub("[,' ]", "", text)
    value = float(parts)
    whole = math.isfinite(value) and not _CUT_BEFORE.search(plain, max(0, token.start - 3), token.start)
    return ("number" if whole and not _CUT_BEHIND.match(plain, token.end) else "bad"), value


def _word(token: _Token, before: _Token, after: _Token) -> None:
    word = token.text.casefold()
    if word in ("plus", "times", "minus") and _ends(before) and _begins(after):
        token.kind, token.text = "operator", {"plus": "+", "times": "*", "minus": "-"}[word]
    elif word in ("minus", "negative") and _begins(after):
        clear = word == "negative" or before.text.casefold() in _MINUS_BEHIND or not before.text[:1].isalpha()
        token.kind, token.text = ("operator", "-") if clear else ("bad", token.text)
    elif word in ("pi", "sqrt"):
        token.kind, token.text = ("number", "π") if word == "pi" else ("root", "2")
    elif word in _FUNCTIONS:
        token.kind = "bad" if _begins(after) or len(after.text) == 1 else "edge"
    elif word in ("am", "pm", "o'clock") and before.kind == "number":
        token.kind = "bad"
    elif word.removesuffix("s") in _SCALES and _ends(before):
        token.kind = "bad"
    elif before.kind == "number" and token.gap == 0:
        token.kind = "unit" if word.rstrip("0123456789") in _GLUED_UNITS or (len(word) > 3 and word.isalpha()) else "bad"
        token.kind = "unit" if token.text.rstrip("0123456789") in _GLUED_UNITS else token.kind
    elif word not in _NO_UNITS and (_ends(before) or (before.kind, before.text) == ("operator", "/")):
        token.kind = "unit"
    else:
        token.kind = "letter" if after.text in ("+", "*", "/", "^") and after.gap != 2 and not _leans(after) else "edge"


def _single_letter(token: _Token, before: _Token, after: _Token) -> None:
    letter = token.text
    glued = before.kind == "number" and token.gap == 0
    if letter in "xX" and _ends(before) and _begins(after) and bool(token.gap) == bool(after.gap):
        token.kind, token.text = "operator", "*"
    elif glued:
        token.kind = "unit" if letter in _UNIT_LETTERS else "letter"
    elif before.kind == "number" and letter in _UNIT_LETTERS:
        token.kind = "unit"
    elif before.kind == "open":
        token.kind = "letter" if after.text in _BINARY or (after.text == "," and before.value) else "edge"
    elif (
        before.kind in ("operator", "equals")
        or after.text in _BINARY
        or (after.gap == 0 and (after.text in ("(", "_", "{") or after.raw == "command"))
    ):
        token.kind = "letter"
    elif _ends(before):
        token.kind = "letter" if letter in "xyzn" else "unit"
    else:
        token.kind = "edge"
    if token.kind == "letter" and after.text == "(" and after.gap == 0:
        after.value = 1.0  # the brackets of a function


def _dash(token: _Token, before: _Token, after: _Token, one_line: bool) -> Kind:
    """A hyphen is a minus between terms and before one; between words, or as a bullet, it is none."""
    number_next = _begins(after)
    if before.raw == "word" and before.kind in ("edge", "unit") and token.gap == after.gap == 0:
        return "edge"  # COVID-19
    if after.raw == "word" and len(after.text) > 1 and not number_next:
        return "edge"  # 5-year-old, and a dash between clauses
    if not number_next:
        return "operator" if after.raw in ("word", "letter") and _ends(before) else "edge"
    if before.raw == "line":
        return "operator" if after.gap == 0 else "bad" if one_line else "edge"
    if _ends(before) or before.kind in ("letter", "unit"):
        return "bad" if token.gap and not after.gap else "operator"
    if before.kind in ("operator", "equals", "open", "root", "fraction", "comma"):
        return "operator"
    return "operator" if after.gap == 0 else "bad"


def _sign(token: _Token, before: _Token, after: _Token) -> None:
    sign = token.mark = token.text
    token.kind, token.text = _SIGNS.get(sign, ("edge", sign))
    token.text = token.text or sign
    even = bool(token.gap) == bool(after.gap)
    if sign == "^":
        token.kind = "operator"
    elif sign == "+":
        token.kind = "operator" if _ends(before) or before.kind in ("letter", "unit") or not after.gap else "edge"
    elif sign == "*":
        joins = even and after.gap < 2 and (_ends(before) or before.kind in ("letter", "unit"))
        token.kind = "operator" if joins and (_begins(after) or after.raw in ("word", "letter")) else "edge"
    elif sign == "/":
        joins = _ends(before) or before.kind in ("letter", "unit")
        token.kind = "operator" if joins and after.raw != "line" else "edge"
    elif sign == ":" and before.kind == "number" and after.raw == "number" and even:
        token.kind = "bad"
    elif sign in "!_" and token.gap == 0 and _ends(before):
        token.kind = "bad"
    elif sign in "'\"" and token.gap == 0 and before.kind == "number":
        token.kind = "bad" if after.raw == "number" else "edge"
    elif sign == "—":
        token.kind = "bad" if after.raw == "number" and after.gap == 0 else "edge"
    elif sign in ("<", ">") and token.gap == 2 and before.raw == "line":
        token.kind = "edge"  # a quoted line
    elif sign in "负負" and _begins(after):
        token.kind, token.text = "operator", "-"
    elif sign in _HAN_SCALES and before.kind == "number" and after.text not in ("克", "米", "瓦", "卡", "赫"):
        token.kind = "bad"
    elif token.kind == "edge" and sign not in _SIGNS and unicodedata.category(sign) == "Sm":
        token.kind = "bad"


def _ends(token: _Token) -> bool:
    """Whether a term may end with it."""
    return token.kind in ("number", "close") or (token.kind == "unit" and token.text in "%‰°")


def _begins(token: _Token) -> bool:
    """Whether a term begins with it, though its kind is not known yet."""
    return (
        token.raw in ("number", "european")
        or token.text in ("(", "[", "{", "√", "∛", "π", "-", "\\frac", "\\sqrt", "\\pi")
        or token.text.casefold() in ("negative", "minus", "pi", "sqrt")
    )


def _leans(token: _Token) -> bool:
    """Whether it stands at what follows and not at what comes before, as an opening asterisk of Markdown does."""
    return token.text == "*" and token.gap > 0


def _settle_brackets(tokens: Sequence[_Token]) -> None:
    r"""Brackets around words are none of an expression, unless they hold what LaTeX divides or takes the root of."""
    open_places: list[int] = []
    edges = list(itertools.accumulate((token.kind == "edge" for token in tokens), initial=0))
    arguments, lists = [0] * (len(tokens) + 1), [0] * (len(tokens) + 1)
    is_argument: set[int] = set()
    for place, token in enumerate(tokens):
        if token.kind == "open":
            before = tokens[place - 1] if place else token
            if before.kind in ("fraction", "root") or before.text in ("^", "_") or place - 1 in is_argument:
                is_argument.add(place)
            open_places.append(place)
        elif token.kind == "close" and open_places:
            start = open_places.pop()
            if start in is_argument:
                is_argument.add(place)
                arguments[start] += 1
                arguments[place] -= 1
            elif edges[place] == edges[start]:
                lists[start] += 1
                lists[place] -= 1
            else:
                tokens[start].kind = token.kind = "edge"
        elif token.kind == "close":
            token.kind = "edge"
    for place in open_places:
        tokens[place].kind = "edge"
    inside = zip(tokens, itertools.accumulate(arguments), itertools.accumulate(lists), strict=False)
    for token, argument_depth, list_depth in inside:
        if token.kind == "comma":
            token.kind = "bad" if argument_depth or list_depth else "edge"
        elif token.kind == "edge" and argument_depth:
            token.kind = "letter" if token.raw == "word" else "bad"


def _runs(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """Tokens that belong together and hold a number."""
    run: list[_Token] = []
    for token in (*tokens, _NOTHING):
        last = run[-1].kind if run else "edge"
        apart = (
            token.kind == "edge"
            or (token.kind == "number" and last == "number" and token.gap == 2)
            or (token.kind == "number" and last == "unit" and run[-1].text not in _PARTED_UNITS)
            or (token.kind == "open" and token.gap > 0 and last in ("unit", "number"))
            or (token.kind in ("letter", "root", "fraction") and token.gap > 0 and last == "unit")
        )
        if apart:
            if _holds_number(run):
                yield run
            run = []
        if token.kind != "edge":
            run.append(token)


def _holds_number(run: Sequence[_Token]) -> bool:
    """Whether there is a number in it that is not the power of a letter, as in cm²."""
    power = False
    for token in run:
        if token.kind in ("fraction", "root") or (token.raw in ("number", "european") and not power):
            return True
        if token.text == "π" and token.kind == "number":
            return True
        power = token.text == "^" or (power and token.text in ("{", "-"))
    return False


def _expression(run: Sequence[_Token]) -> Expression:
    value, unit = None, ""
    if len(run) <= _RUN_AT_MOST:
        # Arithmetic fails as Python's does: 1/0, 10^10^10, the root of -1.
        with contextlib.suppress(_UnreadError, ArithmeticError):
            value, unit = _value_of_run(run)
    return Expression(run[0].start, run[-1].end, value, unit)


def _value_of_run(run: Sequence[_Token]) -> tuple[float, str]:
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


def _split(run: Sequence[_Token], kind: Kind) -> list[Sequence[_Token]]:
    places = [-1, *(place for place, token in enumerate(run) if token.kind == kind), len(run)]
    return [run[start + 1 : end] for start, end in itertools.pairwise(places)]


def _is_name(side: Sequence[_Token]) -> bool:
    """A letter, with brackets behind it that are a function's: x, x_1, f(2)."""
    return side[0].kind == "letter" and (len(side) == 1 or (side[1].kind == "open" and side[-1].kind == "close"))


def _may_be_a_range(side: Sequence[_Token]) -> bool:
    """Plain numbers with hyphens and slashes alone: 3-5, 2020-01-02, 1-1/2."""
    plain = all(one.kind in ("number", "unit") or one.text in ("-", "/") for one in side)
    return plain and any(one.text == "-" and one.raw == "sign" for one in side[1:])


def _value_of_side(side: Sequence[_Token]) -> tuple[float, str]:
    places = [place for place, token in enumerate(side) if token.kind == "unit"]
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


def _check_unit(unit: Sequence[_Token]) -> None:
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

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0

    def whole(self) -> float:
        value = self.sum()
        if self.place != len(self.tokens):
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
            if divided and sign != "*" or (sign is None and self.at("number") and self.tokens[self.place].text != "π"):
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
        value = base**exponent
        if isinstance(value, complex):
            raise _UnreadError
        return value

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

    def fraction_behind(self, token: _Token) -> float:
        r"""What a mixed number adds, 1 1/2 or 1\frac{1}{2}; 0 where it is none. A minus before it is of both parts."""
        rest = self.tokens[self.place :]
        if not rest or rest[0].text == "π" or "π" == token.text or rest[0].kind not in ("number", "fraction"):
            return 0.0
        if rest[0].kind == "fraction":
            numbers = [one for one in rest[1:7:3]]
            shape = [one.kind for one in rest[1:7]]
            if shape != ["open", "number", "close", "open", "number", "close"]:
                raise _UnreadError
            numbers, length = [rest[2], rest[5]], 7
        else:
            if len(rest) < 3 or rest[1].text != "/" or rest[2].kind != "number" or rest[0].gap == 0:
                raise _UnreadError
            numbers, length = [rest[0], rest[2]], 3
        above, below = (one.value for one in numbers)
        if not (token.text.isdigit() and numbers[0].text.isdigit() and numbers[1].text.isdigit() and above < below):
            raise _UnreadError
        self.place += length
        if self.place < len(self.tokens) and self.tokens[self.place].text in ("^", "/"):
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

    def root(self, token: _Token) -> float:
        degree = float(token.text)
        if self.at("open") and self.tokens[self.place].mark == "[":
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
        return self.place < len(self.tokens) and self.tokens[self.place].kind in kinds

    def take(self) -> _Token:
        if self.place >= len(self.tokens):
            raise _UnreadError
        self.place += 1
        return self.tokens[self.place - 1]

    def take_operator(self, *signs: str) -> str | None:
        if self.at("operator") and self.tokens[self.place].text in signs:
            return self.take().text
        return None


def _in_their_places(plain: str, runs: Sequence[Expression]) -> Iterator[Expression]:
    """Unread are numbers that the words around them make bounds, ranges, shares or alternatives."""
    bounds = {place for place, run in enumerate(runs) if _before(_BOUND, plain, run)}
    unread = {place for place, run in enumerate(runs) if _before(_PART, plain, run) or _between_bars(plain, run)}
    for place, (run, following) in enumerate(itertools.pairwise(runs)):
        if run.value != following.value and _belong_together(plain, run, following):
            unread |= {place, place + 1}
    for place, run in enumerate(runs):
        yield replace(run, value=None, is_bound=place in bounds) if place in bounds | unread else run


def _before(pattern: re.Pattern[str], plain: str, run: Expression) -> bool:
    return pattern.search(plain, max(0, run.start - _WORDS_BEFORE), run.start) is not None


def _belong_together(plain: str, run: Expression, following: Expression) -> bool:
    gap = plain[run.end : following.start]
    if len(gap) > _WORDS_BEFORE:
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
