"""The tokens of a text, and which of them belong to an expression together.

A token's kind follows from what stands around it: a hyphen is a minus between numbers, none in 5-year-old, and a bullet
at the beginning of a line.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "number", "operator", "open", "close", "equals", "root", "fraction", "letter", "unit", "comma", "bad", "edge"
]
"""What a token is in an expression. "bad" belongs to it and cannot be evaluated; "edge" belongs to none."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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

_CUT_BEFORE = re.compile(r"(?:[._]|\d[,'])$")
_CUT_BEHIND = re.compile(r"[,']\d|\.\d|_|\.\(\d|\.[eE][-+]?\d|[\u0300-\u036f]")
_BINARY = ("+", "-", "*", "/", "^", "=", "≈", "<", ">", "≤", "≥", "≠")

_COMMANDS: dict[str, tuple[Kind, str]] = {
    **dict.fromkeys(("times", "cdot", "ast"), ("operator", "*")),
    **dict.fromkeys(("approx", "simeq", "cong", "doteq", "equiv", "sim"), ("equals", "=")),
    **dict.fromkeys(
        _words("therefore because implies iff to rightarrow Rightarrow Longrightarrow angle triangle"), ("edge", "")
    ),
    "div": ("operator", "/"),
    "frac": ("fraction", ""),
    "sqrt": ("root", "2"),
    "pi": ("number", "π"),
    **dict.fromkeys(
        _words("le leq ge geq ne neq lt gt pm mp infty in dots ldots cdots"), ("bad", "<")
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
_FUNCTIONS = _words("sin cos tan cot sec csc log ln exp max min mod gcd lcm lim")
_SCALES = _words("hundred thousand million billion trillion dozen lakh crore")
_HAN_SCALES = "十百千万萬亿億"
"""What multiplies the number before it. A chart's own unit may be millions, so that 5 million may be said for 5."""

_UNIT_LETTERS = frozenset("mslLgNJWVACFKhtΩ")
_GLUED_UNITS = _words(
    "cm mm km nm um dm ft in yd mi oz lb lbs kg mg ug ml mL cl kl hr hrs min sec ms ns kJ kN kW MW mV kV "
    "mA Hz kHz MHz GHz Pa kPa atm mol rad deg sq px pt kb KB MB GB TB mph kmh USD EUR GBP bpm rpm dB eV "
    "keV MeV cal kcal"
)
_PARTED_UNITS = _words(
    "feet foot ft inches yards meters metres m cm km hours hour hrs h minutes min pounds lb lbs degrees "
    "dollars years weeks days kg stone ' \" °"
)
"""Units that a second number with a smaller one follows: 5 feet 11 inches are neither 5 nor 11."""

_NO_UNITS = _words(
    "to or and of out vs versus over above below under through till until is are was were in on at from for with by "
    "because since so if but than as which the an when where while then that this there it he she they we you"
)
_MINUS_BEHIND = _words("is are was were be equals equal answer about approximately of exactly to and or by at")


@dataclass(slots=True)
class Token:
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


_NOTHING = Token("line", "", 0, 0, 2)


def runs_of(plain: str) -> list[list[Token]]:
    """The runs of tokens in a text in `plain_math` that have a number in them, in their order."""
    tokens = _tokens(plain)
    _classify(tokens, plain)
    _settle_brackets(tokens)
    return list(_runs(tokens))


def _tokens(plain: str) -> list[Token]:
    tokens: list[Token] = []
    gap = 2
    for match in _TOKEN.finditer(plain):
        if match.lastgroup == "space":
            gap = max(gap, 2 if len(match[0]) > 1 or "\t" in match[0] else 1)
            continue
        tokens.append(Token(match.lastgroup or "", match[0], match.start(), match.end(), gap))
        gap = 2 if match.lastgroup == "line" else 0
    return tokens


def _classify(tokens: list[Token], plain: str) -> None:
    """Give every token its kind, from the kinds before it and the raw tokens behind it."""
    one_line = "\n" not in plain.strip()
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else _NOTHING
        after = tokens[index + 1] if index + 1 < len(tokens) else _NOTHING
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


def _number(token: Token, plain: str) -> tuple[Kind, float]:
    """The value of digits with their separators; "bad" where a part of a longer number is left over on a side."""
    text = token.text
    parts = text.replace(".", "").replace(",", ".") if token.raw == "european" else re.sub("[,' ]", "", text)
    value = float(parts)
    whole = math.isfinite(value) and not _CUT_BEFORE.search(plain, max(0, token.start - 3), token.start)
    return ("number" if whole and not _CUT_BEHIND.match(plain, token.end) else "bad"), value


def _word(token: Token, before: Token, after: Token) -> None:
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
    elif (word in ("am", "pm", "o'clock") and before.kind == "number") or (
        word.removesuffix("s") in _SCALES and _ends(before)
    ):
        token.kind = "bad"
    elif before.kind == "number" and token.gap == 0:
        token.kind = (
            "unit" if word.rstrip("0123456789") in _GLUED_UNITS or (len(word) > 3 and word.isalpha()) else "bad"
        )
        token.kind = "unit" if token.text.rstrip("0123456789") in _GLUED_UNITS else token.kind
    elif word not in _NO_UNITS and (_ends(before) or (before.kind, before.text) == ("operator", "/")):
        token.kind = "unit"
    else:
        token.kind = "letter" if after.text in ("+", "*", "/", "^") and after.gap != 2 and not _leans(after) else "edge"


def _single_letter(token: Token, before: Token, after: Token) -> None:
    letter = token.text
    glued = before.kind == "number" and token.gap == 0
    if letter in "xX" and _ends(before) and _begins(after) and bool(token.gap) == bool(after.gap):
        token.kind, token.text = "operator", "*"
    elif glued:
        token.kind = "unit" if letter in _UNIT_LETTERS and letter != "K" else "letter"  # 5K: thousands or kelvin
    elif _ends(before) and token.gap and letter in _UNIT_LETTERS:
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


def _dash(token: Token, before: Token, after: Token, one_line: bool) -> Kind:
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


def _sign(token: Token, before: Token, after: Token) -> None:
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
    elif (sign == ":" and before.kind == "number" and after.raw == "number" and even) or (
        sign in "!_" and token.gap == 0 and _ends(before)
    ):
        token.kind = "bad"
    elif sign in "'\"" and token.gap == 0 and before.kind == "number":
        token.kind = "bad" if after.raw == "number" else "edge"
    elif sign == "—":
        token.kind = "bad" if after.raw == "number" and after.gap == 0 else "edge"
    elif sign in ("<", ">") and token.gap == 2 and before.raw == "line" and after.gap:
        token.kind = "edge"  # a quoted line
    elif sign in "负負" and _begins(after):
        token.kind, token.text = "operator", "-"
    elif (sign in _HAN_SCALES and before.kind == "number" and after.text not in ("克", "米", "瓦", "卡", "赫")) or (
        token.kind == "edge" and sign not in _SIGNS and unicodedata.category(sign) == "Sm"
    ):
        token.kind = "bad"


def _ends(token: Token) -> bool:
    """Whether a term may end with it."""
    return token.kind in ("number", "close") or (token.kind == "unit" and token.text in "%‰°")


def _begins(token: Token) -> bool:
    """Whether a term begins with it, though its kind is not known yet."""
    return (
        token.raw in ("number", "european")
        or token.text in ("(", "[", "{", "√", "∛", "π", "-", "\\frac", "\\sqrt", "\\pi")
        or token.text.casefold() in ("negative", "minus", "pi", "sqrt")
    )


def _leans(token: Token) -> bool:
    """Whether it stands at what follows and not at what comes before, as an opening asterisk of Markdown does."""
    return token.text == "*" and token.gap > 0


def _settle_brackets(tokens: Sequence[Token]) -> None:
    r"""Brackets around words are none of an expression, unless they hold what LaTeX divides or takes the root of."""
    open_places: list[int] = []
    edges = list(itertools.accumulate((token.kind == "edge" for token in tokens), initial=0))
    arguments, lists = [0] * (len(tokens) + 1), [0] * (len(tokens) + 1)
    is_argument: set[int] = set()
    for index, token in enumerate(tokens):
        if token.kind == "open":
            before = tokens[index - 1] if index else token
            if before.kind in ("fraction", "root") or before.text in ("^", "_") or index - 1 in is_argument:
                is_argument.add(index)
            open_places.append(index)
        elif token.kind == "close" and open_places:
            start = open_places.pop()
            if start in is_argument:
                is_argument.add(index)
                arguments[start] += 1
                arguments[index] -= 1
            elif edges[index] == edges[start]:
                lists[start] += 1
                lists[index] -= 1
            else:
                tokens[start].kind = token.kind = "edge"
        elif token.kind == "close":
            token.kind = "edge"
    for index in open_places:
        tokens[index].kind = "edge"
    inside = zip(tokens, itertools.accumulate(arguments), itertools.accumulate(lists), strict=False)
    for token, argument_depth, list_depth in inside:
        if token.kind == "comma":
            token.kind = "bad" if argument_depth or list_depth else "edge"
        elif token.kind == "edge" and argument_depth:
            token.kind = "letter" if token.raw == "word" else "bad"


def _runs(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Tokens that belong together and hold a number."""
    run: list[Token] = []
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


def _holds_number(run: Sequence[Token]) -> bool:
    """Whether there is a number in it that is not the power of a letter, as in cm²."""
    power = False
    for token in run:
        if token.kind in ("fraction", "root") or (token.raw in ("number", "european") and not power):
            return True
        if token.text == "π" and token.kind == "number":
            return True
        power = token.text == "^" or (power and token.text in ("{", "-"))
    return False
