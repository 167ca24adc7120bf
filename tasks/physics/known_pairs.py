r"""Pairs of LaTeX answers whose verdict is known: made, and recognised among those that a judge has seen.

Made pairs begin with a quantity or a formula and change one thing. Kinds that leave the answer what it is: its name,
its form, its unit. Kinds that do not, the near misses: the value by up to 1 %, by up to 5 % or by more, a sign, a power
of ten, a unit, a factor, a subscript, the case of a symbol, a word for its contrary.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from harness.examination import KnownPair

_UNITS = (
    ("m", "cm", 2), ("J", "kJ", -3), ("s", "ms", 3), ("V", "mV", 3), ("N", "kN", -3), ("Hz", "MHz", -6),
    ("kg", "g", 3), ("m/s", "cm/s", 2), ("Pa", "kPa", -3), ("T", "mT", 3),
)  # fmt: skip
"""(unit, another of the same kind, the power of ten that the number grows by)."""

_NAMES = ("x", "E", "v_0", "\\lambda", "F", "T", "Q", "\\omega", "p", "R")

_FORMULAS = (
    (r"\frac{1}{2} m v^2", r"\frac{m v^2}{2}", r"m v^2", r"\frac{1}{2} M v^2"),
    (r"\frac{\omega d}{2c} (n_R - n_L)", r"\frac{(n_R - n_L) \omega d}{2 c}", r"\frac{\omega d}{c} (n_R - n_L)",
     r"\frac{\omega D}{2c} (n_R - n_L)"),
    (r"k_B T \ln \frac{V_2}{V_1}", r"-k_B T \ln \frac{V_1}{V_2}", r"2 k_B T \ln \frac{V_2}{V_1}",
     r"k_B t \ln \frac{V_2}{V_1}"),
    (r"\sqrt{\frac{g_1}{L}}", r"\left(\frac{g_1}{L}\right)^{1/2}", r"2 \sqrt{\frac{g_1}{L}}", r"\sqrt{\frac{g_1}{l}}"),
    (r"\frac{Q_1}{4 \pi \epsilon_0 r^2}", r"\frac{1}{4\pi\epsilon_0} \frac{Q_1}{r^2}",
     r"\frac{Q_1}{2 \pi \epsilon_0 r^2}", r"\frac{Q_1}{4 \pi \epsilon_0 R^2}"),
    (r"1 - \frac{T_2}{T_1}", r"\frac{T_1 - T_2}{T_1}", r"1 - \frac{2 T_2}{T_1}", r"1 - \frac{t_2}{T_1}"),
    (r"\frac{\hbar^2 \pi^2 n_1^2}{2 m a^2}", r"\frac{1}{2m} \left(\frac{\pi \hbar n_1}{a}\right)^2",
     r"\frac{\hbar^2 \pi^2 n_1^2}{m a^2}", r"\frac{\hbar^2 \pi^2 n_1^2}{2 m A^2}"),
    (r"I_0 \cos^2 \theta", r"I_0 (1 - \sin^2 \theta)", r"2 I_0 \cos^2 \theta", r"i_0 \cos^2 \theta"),
    (r"e^{-E_1 / (k_B T)}", r"\exp\left(-\frac{E_1}{k_B T}\right)", r"2 e^{-E_1 / (k_B T)}", r"e^{-E_1 / (k_B t)}"),
    (r"\frac{p_1 V_1 - p_2 V_2}{\gamma - 1}", r"\frac{p_2 V_2 - p_1 V_1}{1 - \gamma}",
     r"\frac{2(p_1 V_1 - p_2 V_2)}{\gamma - 1}", r"\frac{p_1 V_1 - p_2 v_2}{\gamma - 1}"),
)  # fmt: skip
"""(formula, the same in another form, times a factor, with a symbol in the other case)."""

_CONTRARIES = (
    ("Possible", "Impossible"), ("Yes", "No"), ("True", "False"), ("stable", "unstable"), ("real", "virtual"),
    ("increases", "decreases"), ("allowed", "forbidden"), ("attractive", "repulsive"),
)  # fmt: skip

_PLAIN_NUMBER = re.compile(
    r"\s*(?:(?P<name>[^=]*?)\s*(?:=|\\approx|\\simeq|\\sim)\s*)?(?P<number>[-+]?\s*\d+(?:\.\d+)?)\s*"
    r"(?:(?:\\times|\\cdot)\s*10\^\s*\{?\s*(?P<power>-?\s*\d+)\s*\}?)?(?:\s|\\[,;:! ]|~)*"
    r"(?:\\(?:text|mathrm)\s*\{(?P<unit>[^{}]*)\})?\s*\.?\s*"
)
_OPENED = re.compile(r"\\(?:text|textbf|textrm|mathrm)\{")
_YES, _NO = re.compile(r"(?:yes|true|possible)\b"), re.compile(r"(?:no|not|false|impossible)\b")


def known_pairs(count: int, seed: int = 0) -> list[KnownPair]:
    """`count` pairs of each kind, the same for the same seed; of formulas and words as many as there are, at most."""
    generator = random.Random(seed)
    quantities = [pair for _ in range(count) for pair in _of_quantity(generator)]
    formulas = [pair for formula in _FORMULAS[:count] for pair in _of_formula(*formula)]
    words = [
        KnownPair(kind=kind, left=f"\\text{{{left}}}", right=f"\\text{{{right}}}", equal=kind == "words")
        for first, second in _CONTRARIES[:count]
        for kind, left, right in (("words", first.capitalize(), first.lower()), ("contrary", first, second))
    ]
    return [*quantities, *formulas, *words]


def stored_kind(box: str, answer: str) -> tuple[str, bool] | None:
    """Why the verdict of a pair that somebody's judge has seen is known, and what it is; None for most pairs.

    Numbers written plainly with the same unit (and name, where both have one), a required value that is not 0: equal,
    off by up to 1 %, 1 to 5 %, more. And where one side begins with yes, true or possible, the other with no, not,
    false or impossible.
    """
    left, right = _PLAIN_NUMBER.fullmatch(box), _PLAIN_NUMBER.fullmatch(answer)
    if left and right:
        names = {(match["name"] or "").strip() for match in (left, right)} - {""}
        units = {(match["unit"] or "").strip() for match in (left, right)}
        if len(names) > 1 or len(units) > 1 or not _number(right):
            return None
        error = abs(_number(left) / _number(right) - 1)
        return ("numbers", True) if error < 1e-9 else (_step(error), False)
    sides = [_OPENED.sub("", text).lower().strip() for text in (box, answer)]
    said = {(bool(_YES.match(side)), bool(_NO.match(side))) for side in sides}
    return ("yes against no", False) if said == {(True, False), (False, True)} else None


def _step(error: float) -> str:
    if error <= 0.01:
        return "off by up to 1 %"
    return "off by 1 to 5 %" if error <= 0.05 else "off by more"


def _number(match: re.Match[str]) -> float:
    power = int((match["power"] or "0").replace(" ", ""))
    return float(match["number"].replace(" ", "")) * 10.0**power


def _of_quantity(generator: random.Random) -> Iterator[KnownPair]:
    digits = generator.randint(2000, 9000)
    unit, other, power = generator.choice(_UNITS)
    stranger = generator.choice([each[0] for each in _UNITS if each[0] != unit])
    name = generator.choice(_NAMES)

    def shown(number: float, of: str = unit) -> str:
        return f"{number:.3f} \\, \\text{{{of}}}"

    number = digits / 1000
    required = f"{name} = {shown(number)}"
    equal = {
        "name left out": shown(number),
        "power of ten": f"{10 * number:.2f} \\times 10^{{-1}} \\, \\text{{{unit}}}",
        "other unit": f"{number:.3f} \\times 10^{{{power}}} \\, \\text{{{other}}}",
    }
    unequal = {
        "off by up to 1 %": shown(number * (1 + generator.uniform(0.004, 0.009))),
        "off by 1 to 5 %": shown(number * (1 + generator.uniform(0.015, 0.045))),
        "off by more": shown(number * generator.choice((0.5, 0.8, 1.3, 2.0))),
        "sign": shown(-number),
        "exponent": f"{number:.3f} \\times 10^{{{generator.choice((-3, -1, 1, 3))}}} \\, \\text{{{unit}}}",
        "unit": shown(number, stranger),
        "no unit": f"{number:.3f}",
    }
    yield from (KnownPair(kind=kind, left=left, right=required, equal=True) for kind, left in equal.items())
    yield from (KnownPair(kind=kind, left=left, right=required, equal=False) for kind, left in unequal.items())


def _of_formula(formula: str, same: str, scaled: str, other_case: str) -> Iterator[KnownPair]:
    renamed = re.sub(r"_1\b", "_2", formula) if "_1" in formula else re.sub(r"_(\w|\{)", r"_9", formula, count=1)
    yield KnownPair(kind="formula", left=same, right=formula, equal=True)
    yield KnownPair(kind="factor", left=scaled, right=formula, equal=False)
    yield KnownPair(kind="case", left=other_case, right=formula, equal=False)
    if renamed != formula and renamed.count("_2") <= formula.count("_2") + formula.count("_1"):
        yield KnownPair(kind="subscript", left=renamed, right=formula, equal=False)
