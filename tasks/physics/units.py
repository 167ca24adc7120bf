r"""Quantities: a number with its unit. Units are kept, converted where they are known, and never dropped.

Two numbers agree where they differ by at most half a unit of the last digit of the coarser one, and by at most 1 %: 9.8
and 9.81 do, 1.6 and 1.62 do not. A number without a decimal point or a power of ten that is written out (a fraction, a
root) has as many digits as it takes. A word that is no unit of the table is a unit of its own: 5 fringes are no 5 m.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tasks.physics.formulas import read_formula
from tasks.physics.spelling import spelled

LARGEST_ERROR = 0.01
"""How far, as a share, numbers may differ whatever digits they are written in."""

LONGEST = 150
"""Characters of a text that may be a quantity."""

LONGEST_SIGN = 4
"""Letters of a unit's sign, in which case matters; longer ones are names."""

MOST_STRANGERS = 3
"""Words of a unit that the table does not have; more are a sentence."""


def _of(factor: float, **powers: int) -> tuple[float, Mapping[str, int]]:
    return factor, powers


_UNITS: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "m": _of(1, m=1), "g": _of(1e-3, kg=1), "s": _of(1, s=1), "A": _of(1, A=1), "K": _of(1, K=1), "mol": _of(1, mol=1),
    "cd": _of(1, cd=1), "Hz": _of(1, s=-1), "N": _of(1, kg=1, m=1, s=-2), "J": _of(1, kg=1, m=2, s=-2),
    "W": _of(1, kg=1, m=2, s=-3), "Pa": _of(1, kg=1, m=-1, s=-2), "C": _of(1, A=1, s=1),
    "V": _of(1, kg=1, m=2, s=-3, A=-1), "F": _of(1, kg=-1, m=-2, s=4, A=2), "T": _of(1, kg=1, s=-2, A=-1),
    "Ω": _of(1, kg=1, m=2, s=-3, A=-2), "H": _of(1, kg=1, m=2, s=-2, A=-2),
    "Wb": _of(1, kg=1, m=2, s=-2, A=-1), "eV": _of(1.602176634e-19, kg=1, m=2, s=-2), "L": _of(1e-3, m=3),
    "l": _of(1e-3, m=3), "bar": _of(1e5, kg=1, m=-1, s=-2), "cal": _of(4.184, kg=1, m=2, s=-2),
    "pc": _of(3.0856775815e16, m=1), "barn": _of(1e-28, m=2),
    "G": _of(1e-4, kg=1, s=-2, A=-1), "Gs": _of(1e-4, kg=1, s=-2, A=-1),
}  # fmt: skip
"""What takes a prefix -> how many SI base units it is."""

_PLAIN: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "min": _of(60, s=1), "h": _of(3600, s=1), "hr": _of(3600, s=1), "day": _of(86400, s=1), "yr": _of(31557600, s=1),
    "year": _of(31557600, s=1), "second": _of(1, s=1), "sec": _of(1, s=1), "minute": _of(60, s=1),
    "hour": _of(3600, s=1), "meter": _of(1, m=1), "metre": _of(1, m=1), "kelvin": _of(1, K=1),
    "joule": _of(1, kg=1, m=2, s=-2),
    "newton": _of(1, kg=1, m=1, s=-2), "volt": _of(1, kg=1, m=2, s=-3, A=-1), "watt": _of(1, kg=1, m=2, s=-3),
    "gauss": _of(1e-4, kg=1, s=-2, A=-1), "tesla": _of(1, kg=1, s=-2, A=-1), "ohm": _of(1, kg=1, m=2, s=-3, A=-2),
    "Å": _of(1e-10, m=1), "angstrom": _of(1e-10, m=1), "micron": _of(1e-6, m=1), "ly": _of(9.4607304725808e15, m=1),
    "AU": _of(1.495978707e11, m=1), "atm": _of(101325, kg=1, m=-1, s=-2), "torr": _of(133.322368, kg=1, m=-1, s=-2),
    "Torr": _of(133.322368, kg=1, m=-1, s=-2), "mmHg": _of(133.322368, kg=1, m=-1, s=-2),
    "erg": _of(1e-7, kg=1, m=2, s=-2), "dyn": _of(1e-5, kg=1, m=1, s=-2), "dyne": _of(1e-5, kg=1, m=1, s=-2),
    "lb": _of(0.45359237, kg=1), "ft": _of(0.3048, m=1), "inch": _of(0.0254, m=1), "mile": _of(1609.344, m=1),
    "u": _of(1.66053906892e-27, kg=1), "amu": _of(1.66053906892e-27, kg=1), "c": _of(299792458, m=1, s=-1),
    "rad": _of(1), "radian": _of(1), "sr": _of(1), "deg": _of(math.pi / 180), "degree": _of(math.pi / 180),
    "°": _of(math.pi / 180), "%": _of(0.01), "percent": _of(0.01),
    "arcsec": _of(math.pi / 648000), "arcmin": _of(math.pi / 10800), "rev": _of(2 * math.pi),
    "celsius": _of(1, celsius=1),
}  # fmt: skip
_PREFIXES: Mapping[str, float] = {
    "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "c": 1e-2, "d": 1e-1, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12,
    "f": 1e-15, "a": 1e-18, "h": 1e2,
}  # fmt: skip

_CIRCLE, _POWER = r"\^\s*\{?\s*\\circ\s*\}?", r"\^\s*(?:-?\d|\{\s*-?\s*\d\s*\})"
_SET = rf"\\text\{{[^{{}}]*\}}|\\mu(?![a-z])|\\Omega|\\%|Å|{_CIRCLE}|1\s*/(?=\s*\\text)"
_JOINT = rf"\s|\\cdot|\\times(?!\s*\d)|\*|/\s*c\b|/|{_POWER}|[()]"
_UNIT_AT_THE_END = re.compile(rf"(?P<unit>(?:[\s(]*(?:{_SET})(?:{_SET}|{_JOINT})*)?)$")
_BARE_UNIT_AT_THE_END = re.compile(rf"(?P<unit>(?:[\s(]*(?<!\\)(?:{_SET}|[A-Za-z])(?:{_SET}|{_JOINT}|[A-Za-z])*+)?)$")
_CELSIUS = re.compile(r"(?:\^\s*\{?\s*\\circ\s*\}?|\\circ)\s*(?:\\text\{)?\s*C\b\}?")
_SIGNS = (
    (_CELSIUS, " celsius "),
    (re.compile(r"\\text\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\mu\s*"), "µ"),
    (re.compile(r"\\Omega\b"), "Ω"),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?"), "°"),
    (re.compile(r"\\cdot\b|\\times\b|\*|[\\{}]"), " "),
    (re.compile(r"\bper\b"), "/"),
)
_TOKEN = re.compile(r"\^\s*(?P<power>[-+]?\d)|(?P<over>/)|(?P<word>µ?[A-Za-zÅΩ]+|[°%])|(?P<other>[^\s()])")
_APPROXIMATELY = re.compile(r"^\s*(?:\\(?:approx|sim)\b|~|\\text\{(?:about|approximately|roughly|around)\s*\})\s*")
_DECIMAL = re.compile(r"(?P<digits>\d+(?:\.(?P<after>\d*))?|\.(?P<alone>\d+))")


@dataclass(frozen=True, slots=True)
class Unit:
    """How many SI base units a unit is, and which: dimensions with their powers."""

    factor: float
    powers: frozenset[tuple[str, int]]


NO_UNIT = Unit(1.0, frozenset())


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it is written, half a unit of its last digit, and its unit; None where it has none."""

    number: float
    half_digit: float
    unit: Unit | None


@lru_cache(maxsize=20_000)
def read_quantity(latex: str, *, bare: bool = False) -> Quantity | None:
    """The quantity that a LaTeX text is, None where it is none. With `bare`, letters behind a number are a unit too."""
    text = _APPROXIMATELY.sub("", spelled(latex))
    if len(text) > LONGEST:
        return None
    match = (_BARE_UNIT_AT_THE_END if bare else _UNIT_AT_THE_END).search(text)
    assert match is not None  # the empty one
    shown = match["unit"]
    # brackets around the number are not the unit's
    while shown and shown.count("(") != shown.count(")"):
        shown = shown[1:]
    numeral = text[: len(text) - len(shown)].strip()
    formula = read_formula(numeral)
    if formula is None or formula.symbols - {"\\pi"}:
        return None
    try:
        value = formula.at(0)
    except (ArithmeticError, ValueError):
        return None
    unit = read_unit(shown) if shown.strip(" ()") else None
    if value.imag or not math.isfinite(value.real) or (shown.strip(" ()") and unit is None):
        return None
    return Quantity(value.real, _half_digit(numeral, value.real), unit)


def same_quantity(left: Quantity, right: Quantity) -> bool:
    """Whether two quantities agree: in their units where both have one, else as numbers; an angle or a share without a
    unit may be in either."""
    if left.unit is not None and right.unit is not None:
        same_kind = left.unit.powers == right.unit.powers
        return same_kind and _agree(left, left.unit.factor, right, right.unit.factor)
    unit = left.unit or right.unit or NO_UNIT
    factors = {1.0, unit.factor} if not unit.powers else {1.0}
    return any(_agree(left, factor if left.unit else 1.0, right, factor if right.unit else 1.0) for factor in factors)


def _agree(left: Quantity, left_factor: float, right: Quantity, right_factor: float) -> bool:
    numbers = left.number * left_factor, right.number * right_factor
    reach = max(left.half_digit * left_factor, right.half_digit * right_factor)
    largest = max(map(abs, numbers))
    return abs(numbers[0] - numbers[1]) <= min(reach * (1 + 1e-9), LARGEST_ERROR * largest) + 1e-9 * largest


@lru_cache(maxsize=5_000)
def read_unit(shown: str) -> Unit | None:
    """The unit in a spelled text: what stands behind a stroke is below it. None for a sentence of more than three words
    that are no units."""
    text = shown
    for pattern, sign in _SIGNS:
        text = pattern.sub(sign, text)
    factor, powers, strangers = 1.0, Counter[str](), 0
    above = 1
    scale: float = 1.0
    dimensions: Mapping[str, int] = {}
    for token in _TOKEN.finditer(text):
        if token["over"]:
            above = -1
            continue
        times = above
        if token["power"]:
            times = above * (int(token["power"]) - 1)  # it was counted once
        else:
            word = token["word"] or token["other"]
            unit = _known(word)
            strangers += unit is None
            scale, dimensions = unit or (1.0, {word.lower().rstrip("s"): 1})
        factor *= scale**times
        powers.update({name: times * power for name, power in dimensions.items()})
    if strangers > MOST_STRANGERS:
        return None
    return Unit(factor, frozenset((name, power) for name, power in powers.items() if power))


def _known(word: str) -> tuple[float, Mapping[str, int]] | None:
    name = word.lower() if len(word) > LONGEST_SIGN else word
    for table in (_PLAIN, _UNITS):
        if name in table:
            return table[name]
    for prefix, scale in _PREFIXES.items():
        unit = word.removeprefix(prefix)
        if unit != word and unit in _UNITS:
            return scale * _UNITS[unit][0], _UNITS[unit][1]
    return _PLAIN.get(name.removesuffix("s"))  # ms are no metres


def _half_digit(numeral: str, value: float) -> float:
    """Half a unit of the last digit of a number that is written in digits, perhaps times a power of ten; 0 for one that
    is written as an expression."""
    match = _DECIMAL.search(numeral)
    if match is None or "frac" in numeral or "sqrt" in numeral or "/" in numeral or "\\pi" in numeral:
        return 0.0
    mantissa = float(match[0])
    if not mantissa or numeral.lstrip("-+( ").startswith("10^"):
        return 0.0
    after = match["after"] or match["alone"] or ""
    return abs(0.5 * 10.0 ** -len(after) * value / mantissa)
