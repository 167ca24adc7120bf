r"""Whether an answer holds the text of one option: as whole words, as a whole expression, or as its value.

Texts are compared in one form, in which ``10 \sqrt { 3 }`` and ``10\sqrt{3}`` are the same, and ``60^\circ`` and 60°.
Source: this project; the rule is a part of the definition of the profile "strict".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from harness.expressions import Expression, read_passage
from harness.numerals import plain_latex

MARKS_AROUND = " \t\r\n*_\"'`()[]{}<>.,:;!?$“”‘’"
"""What may stand around an answer and is none of it."""

_SPACED = re.compile(r"\s*([{}^_*/+=√∛])\s*|(?<=[(\[])\s+|\s+(?=[)\]])|(?<=[\dπ}°)])\s*-\s*(?=[\d\\√π({])")
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\sqrt(?![a-z\[])", "√"),
        (r"\\pi(?![a-z])", "π"),
        (r"\\(?:times|cdot|ast)(?![a-z])", "*"),
        (r"\\div(?![a-z])", "/"),
        (r"(?<=\d) ?x ?(?=\d)", "*"),
        (r"\b(?:minus|negative) (?=[\d.√\\])", "-"),
        (r"(?<![\w)\]}])\*(?=\S)|(?<=[^\W\d])\*(?![\w({\\√])", ""),
        (r"\s+", " "),
    )
)
_BRACED = re.compile(r"([√∛^])(\d+(?:\.\d+)?|[a-z])(?![\w.])")
_MULTIPLIED_UNIT = re.compile(r"\*(?=°)")

_KIN = "\\u3040-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7af"
_NO_WORD_BEFORE = rf"(?<![^\W{_KIN}])(?<!-)"
_NO_WORD_BEHIND = rf"(?![^\W{_KIN}])"
_NO_EXPRESSION_BEFORE = r"(?<![\\√∛^*/+])(?<!\d[.,:(])(?<!\d )(?<!\b[a-z]\()(?<![√^_]\{)(?<!\}\{)(?<!frac\{)"
_NO_EXPRESSION_BEHIND = r"(?![\^*/√∛\\{]|[.,:-]\d|[+-][\d\w(]|\()"
_DENIED = re.compile(r"(?:\b(?:not|never|neither|nor|no)|n't)\s+(?:(?:an?|the|option)\s+)?$")
_UNITS = {"degrees": "°", "degree": "°", "percent": "%", "deg": "°"}


def option_by_text(answer: str, options: Sequence[str]) -> int | None:
    """The place of the only option whose text stands in the answer, parts of longer ones left out.

    A text stands between borders: "5" neither in "1.5", "-5", "10/5" nor in ``6\\sqrt{5}`` and 5^2; and not behind "not".
    """
    text = plain_option(answer)
    forms = [plain_option(option) for option in options]
    shown = [form for form in dict.fromkeys(forms) if form and _stands_in(form, text)]
    # "acid" is also said by whoever says "amino acid"
    whole = [form for form in shown if not any(form != other and _stands_in(form, other) for other in shown)]
    return forms.index(whole[0]) if len(whole) == 1 else None


def option_by_value(answer: str, options: Sequence[str]) -> int | None:
    r"""The place of the only option that is equal to the one number that an answer is: ``\frac{1}{2}`` and 0.5.

    Equal is equal and not near, in the same unit where both name one.
    """
    said = _only_number(answer)
    if said is None:
        return None
    numbers = [_only_number(option) for option in options]
    equal = [place for place, number in enumerate(numbers) if number is not None and _same(said, number)]
    return equal[0] if len(equal) == 1 else None


def plain_option(text: str) -> str:
    """The form in which texts are compared."""
    text = plain_latex(text).casefold()
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    text = _SPACED.sub(_tight, text)
    return _MULTIPLIED_UNIT.sub("", _BRACED.sub(r"\1{\2}", text)).strip(MARKS_AROUND)


def _tight(match: re.Match[str]) -> str:
    return match[1] or ("-" if "-" in match[0] else "")


def _stands_in(form: str, text: str) -> bool:
    before, behind = _NO_WORD_BEFORE, _NO_WORD_BEHIND
    if re.match(rf"[{_KIN}]", form):  # words are not parted there
        before, behind = r"(?<![^\W是为為])", r"(?!\w)"
    if any(character.isdigit() or character in "√π\\" for character in form):
        before, behind = before + _NO_EXPRESSION_BEFORE, behind + _NO_EXPRESSION_BEHIND
    else:
        before, behind = before + r"(?<![\\/])", behind + r"(?!/)"
    return any(
        not _DENIED.search(text, max(0, match.start() - 20), match.start())
        for match in re.finditer(before + re.escape(form) + behind, text)
    )


def _only_number(text: str) -> Expression | None:
    passage = read_passage(text)
    if len(passage.expressions) != 1:
        return None
    number = passage.expressions[0]
    around = passage.plain[: number.start] + passage.plain[number.end :]
    return None if number.value is None or around.strip(MARKS_AROUND) else number


def _same(number: Expression, other: Expression) -> bool:
    units = {_UNITS.get(one.unit.casefold(), one.unit.casefold()) for one in (number, other)} - {""}
    equal = math.isclose(number.value or 0.0, other.value or 0.0, rel_tol=1e-12)
    return equal and len(units) < 2
