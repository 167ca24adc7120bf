r"""One spelling of LaTeX for what is written in many: fonts, spaces, sizes of brackets, and signs beyond ASCII.

What a formula means is kept: the case of letters, subscripts, primes, accents, and words in ``\text``. Subscripts lose
their fonts, so that ``m_{\text{eff}}`` and ``m_\mathrm{eff}`` are one symbol, and ``T_2`` and ``T_1`` are two.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SMALL = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi
    psi omega"""
_LARGE = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"

GREEK = frozenset(re.findall(r"\w+", f"{_SMALL} {_LARGE} Upsilon hbar ell"))
"""The commands that are letters."""

_SIGNS = {
    **{sign: f"\\{name} " for sign, name in zip("αβγδεζηθικλμνξοπρστυφχψω", _SMALL.split(), strict=True)},
    **{sign: f"\\{name} " for sign, name in zip("ΓΔΘΛΞΠΣΦΨΩ", _LARGE.split(), strict=True)},
    "µ": "\\mu ", "ϵ": "\\epsilon ", "ϕ": "\\phi ", "ℏ": "\\hbar ", "ħ": "\\hbar ", "Å": "Å",
    "−": "-", "–": "-", "×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "∗": "*", "≈": "\\approx ", "≃": "\\approx ",
    "≤": "\\leq ", "≥": "\\geq ", "≠": "\\neq ", "±": "\\pm ", "∞": "\\infty ", "°": "^\\circ ", "′": "'", "’": "'",
    "⟨": "\\langle ", "⟩": "\\rangle ", "∂": "\\partial ", "→": "\\to ", "²": "^2", "³": "^3", "½": "\\frac{1}{2}",
    "%": "\\%",
}  # fmt: skip
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))
_ESCAPED_PERCENT = re.compile(r"\\%")
_SPACES = re.compile(r"\\[,;:! ]|~|\\q?quad\b|\\(?:hspace|vspace|phantom)\*?\s*\{[^{}]*\}|\\(?:displaystyle|limits)\b")
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lrm]?)\b\s*(?P<blank>\.)?|\\middle\b")
_FONTS = re.compile(
    r"\\(?:mathbf|boldsymbol|bm|mathit|mathcal|mathsf|mathscr|vec|overrightarrow|displaystyle|boxed|bf|mathbb|mathop)\b\s*"
)
_TEXT = re.compile(r"\\(?:text(?:bf|rm|it|sf|normal)?|mathrm|mbox|operatorname|rm)\s*\{(?P<inner>[^{}]*)\}")
_WORDS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta",
    "varrho": "rho", "ast": "times", "simeq": "approx", "cong": "approx", "doteq": "approx", "equiv": "approx",
    "le": "leq", "ge": "geq", "ne": "neq", "arccos": "acos", "arcsin": "asin", "arctan": "atan", "lvert": "vert",
    "rvert": "vert", "mid": "vert", "lbrace": "{", "prime": "'", "cdots": "dots", "ldots": "dots", "degree": "circ",
    "Longrightarrow": "implies", "Rightarrow": "implies", "rightarrow": "to", "overline": "bar", "widehat": "hat",
    "widetilde": "tilde", "AA": "Å",
}  # fmt: skip
_COMMAND = re.compile(r"\\(?P<name>[A-Za-z]+)")
_SUBSCRIPT = re.compile(
    r"\s*_\s*(?:\{(?P<group>(?:[^{}]|\{[^{}]*\})*)\}|(?P<bare>\\text\{[^{}]*\}|\\[A-Za-z]+|[^\s{}]))"
)
_ACCENT = re.compile(r"\\(?P<name>hat|bar|tilde|dot|ddot)\s*(?:\{(?P<group>[^{}]*)\}|\s(?P<bare>\\?[A-Za-z]+))")
_DRESS = re.compile(r"[\s{}]|\\(?=[A-Za-z])")
_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|,(?=\d{3}(?!\d)))(?=\d{3})")


@lru_cache(maxsize=20_000)
def spelled(latex: str) -> str:
    """LaTeX in one spelling. Words are ``\\text{...}``, functions by name and differentials upright letters.

    Example:
        >>> spelled(r"\\dfrac{\\mathbf{p}^2}{2 m_\\mathrm{eff}}\\,.") == spelled(r"\\frac{p^2}{2m_{eff}}")
        True
    """
    text = latex.strip().strip("$").strip()
    text = _ESCAPED_PERCENT.sub("%", text)
    text = _SIGN.sub(lambda sign: _SIGNS[sign[0]], text)
    text = _SPACES.sub(" ", text)
    text = _SIZES.sub("", text)
    text = _COMMAND.sub(_word, text)
    text = _FONTS.sub("", text)
    text = _TEXT.sub(_upright, text)
    text = re.sub(r"\{\s*\{([^{}]*)\}\s*\}", r"{\1}", text)
    text = _ACCENT.sub(lambda match: f"{{{match['group'] or match['bare']}}}_{{{match['name']}}}", text)
    text = _GROUPED.sub("", text)
    text = _SUBSCRIPT.sub(_subscript, text)
    text = re.sub(r"\{\s*([A-Za-z]|\\[A-Za-z]+)\s*\}(?=_)", r" \1", text)
    text = re.sub(r"\^\s*\{?\s*('+)\s*\}?", r"\1", text)
    text = re.sub(r"('+)((?:_\{[^{}]*\})+)", r"\2\1", text)
    return re.sub(r"\s+", " ", text).strip(" .,;")


def packed(latex: str) -> str:
    """`spelled` without spaces and braces around single signs, for comparing texts as they stand."""
    text = re.sub(r"\\text\{(?P<inner>[^{}]*)\}", lambda match: match["inner"], spelled(latex))
    text = re.sub(r"\{(\w|\\[A-Za-z]+)\}", r"\1", re.sub(r"\s+", "", text))
    return text.replace("\\times", "*").replace("\\cdot", "*").rstrip(".,;")


def _word(command: re.Match[str]) -> str:
    name = _WORDS.get(command["name"], command["name"])
    return name if name in ("'", "Å") else f"\\{name}"


def _upright(match: re.Match[str]) -> str:
    """Functions and single letters that are set upright are themselves; all else is words or units."""
    inner = match["inner"].strip()
    if inner in ("sin", "cos", "tan", "exp", "ln", "log", "sinh", "cosh", "tanh", "cot", "sec", "csc"):
        return f"\\{inner} "
    return inner if inner in ("d", "e", "i") and "rm" in match[0][:8] else f"\\text{{{inner}}}"


def _subscript(match: re.Match[str]) -> str:
    content = match["group"] if match["group"] is not None else match["bare"]
    content = re.sub(r"\\text\{([^{}]*)\}", r"\1", content)
    return f"_{{{_DRESS.sub('', content)}}}"
