r"""Whether an answer holds the text of one option: as whole words, as a whole expression, or as its value.

Texts are compared in one form, in which ``10 \sqrt { 3 }`` and ``10\sqrt{3}`` are the same, and ``60^\circ`` and 60°.
Source: this project; the rule is a part of the definition of the profile "strict".
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from functools import lru_cache

from tasks.reading.expressions import Expression, read_passage
from tasks.reading.numerals import plain_latex

MARKS_AROUND = " \t\r\n*_\"'`()[]{}<>.,:;!?$“”‘’"
"""What may stand around an answer and is none of it."""

_MARKS_BUT_BRACKETS = MARKS_AROUND.translate(str.maketrans("", "", "()[]{}"))
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
_WRAPPED_AT_MOST = 8

_SPACED = re.compile(
    r"\s*([{^_*/+=])\s*|\s*(\})(?:\s+(?=[{}^_*/+=√π)]))?"
    r"|(?<=[√∛])\s+|(?<=[\d)}\]])\s+(?=[√∛π]|\\frac)"
    r"|(?<=[(\[])\s+|\s+(?=[)\]])"
    r"|(?<=[\dπ}°)])\s*-\s*(?=[\d\\√π({])"
)
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\sqrt(?![a-z\[])", "√"),
        (r"\\pi(?![a-z])", "π"),
        (r"\\(?:times|cdot|ast)(?![a-z])", "*"),
        (r"\\div(?![a-z])", "/"),
        (r"(?<=\d) ?x ?(?=\d)", "*"),
        (r"(?<=\d) ?: ?(?=\d)", ":"),
        (r"\b(?:minus|negative) (?=[\d.√\\])", "-"),
        (r"(?<![\w)\]}])\*(?=\S)|(?<=[^\W\d])\*(?![\w({\\√])", ""),
        (r"\s+", " "),
    )
)
_BRACED = re.compile(r"([√∛^])(\d+(?:\.\d+)?|[a-z])(?!\w|\.\d)")
_MULTIPLIED_UNIT = re.compile(r"\*(?=°)")

_KIN = "\\u3040-\\u30ff\\u3400-\\u9fff\\uac00-\\ud7af"
_NO_WORD_BEFORE = rf"(?<![^\W{_KIN}])(?<!-)"
_NO_WORD_BEHIND = rf"(?![^\W{_KIN}])"
_NO_EXPRESSION_BEFORE = r"(?<![\\√∛^*/+])(?<!\d[.,:(])(?<!\d )(?<!\b[a-z]\()(?<![√^_]\{)(?<!\}\{)(?<!frac\{)"
_NO_EXPRESSION_BEHIND = r"(?![\^*/√∛\\{]|[.,:-]\d|[+-](?:\d|[a-z]\b|\()|\()"
_DENIED = re.compile(r"(?:\b(?:not|never|neither|nor|no)|n't)\s+(?:(?:an?|the|option)\s+)?$")
_NONE_OF_THEM = re.compile(
    r"\bnone of (?:the|these|those)\b|\bn(?:o|one) of the (?:\w+ ){0,2}options\b|\bneither of\b"
    r"|\b(?:not|n't) (?:an?|(?:one of|among|(?:available |listed )?in) the) (?:\w+ ){0,2}(?:option|choice)s?\b"
    r"|\b(?:option|choice)s? (?:is|are) not (?:provided|available|given|listed|there)",
    re.IGNORECASE,
)
_UNITS = {"degrees": "°", "degree": "°", "percent": "%", "deg": "°"}


def option_by_text(answer: str, options: Sequence[str]) -> int | None:
    r"""The place of the only option whose text stands in the answer, parts of longer ones left out.

    A text stands between borders: "5" neither in "1.5", "-5", "10/5" nor in ``6\sqrt{5}`` and 5^2; nor behind "not".
    Another option's text elsewhere makes it unclear, in an expression too (3 in "3 + 2"), and so does "none of the
    options".
    """
    if _NONE_OF_THEM.search(answer):
        return None
    text = plain_option(answer)
    forms = [_form_of_option(option) for option in options]
    shown = [form for form in dict.fromkeys(forms) if form and _stands_in(form, text)]
    # "acid" is also said by whoever says "amino acid"
    whole = [form for form in shown if not any(form != other and _stands_in(form, other) for other in shown)]
    if len(whole) != 1:
        return None
    form = whole[0]
    rest = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", "\0", text)
    mixed = any(other and other != form and _words_apart(other).search(rest) for other in forms)
    return None if mixed else forms.index(form)


def option_by_value(answer: str, options: Sequence[str]) -> int | None:
    r"""The place of the only option that is equal to the one number that an answer is: ``\frac{1}{2}`` and 0.5.

    Equal is equal and not near, in the same unit where both name one.
    """
    stated = None if _NONE_OF_THEM.search(answer) else _only_number(answer)
    if stated is None:
        return None
    numbers = [_only_number(option) for option in options]
    equal = [index for index, number in enumerate(numbers) if number is not None and _same(stated, number)]
    return equal[0] if len(equal) == 1 else None


def plain_option(text: str) -> str:
    """The form in which texts are compared."""
    text = plain_latex(text).casefold()
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    text = _SPACED.sub(_tight, text)
    return _unwrapped(_MULTIPLIED_UNIT.sub("", _BRACED.sub(r"\1{\2}", text)))


def _unwrapped(text: str) -> str:
    """Without the marks around it, and without brackets that hold all of it or have no other half."""
    for _ in range(_WRAPPED_AT_MOST):
        text = text.strip(_MARKS_BUT_BRACKETS)
        for opening, closing in _BRACKETS:
            extra = text.count(opening) - text.count(closing)
            if not extra and text[:1] == opening and text[-1:] == closing and _closes_last(text, opening, closing):
                text = text[1:-1]
            elif extra > 0 and text[0] == opening:
                text = text[1:]
            elif extra < 0 and text[-1] == closing:
                text = text[:-1]
            else:
                continue
            break
        else:
            return text
    return text


def _closes_last(text: str, opening: str, closing: str) -> bool:
    """Whether the first bracket is closed by the last one: in (1) + (2) it is not."""
    depth = itertools.accumulate((character == opening) - (character == closing) for character in text)
    return all(level > 0 for level in itertools.islice(depth, len(text) - 1))


def _tight(match: re.Match[str]) -> str:
    return match[1] or match[2] or ("-" if "-" in match[0] else "")


@lru_cache(maxsize=4096)
def _form_of_option(option: str) -> str:
    return plain_option(option)


@lru_cache(maxsize=4096)
def _words_apart(form: str) -> re.Pattern[str]:
    """The text wherever it is no part of a longer word or number, within an expression too."""
    return re.compile(rf"(?<![\w-])(?<!\d[.,]){re.escape(form)}(?!\w|[.,]\d)")


@lru_cache(maxsize=4096)
def _bordered(form: str) -> re.Pattern[str]:
    before, behind = _NO_WORD_BEFORE, _NO_WORD_BEHIND
    if re.match(rf"[{_KIN}]", form):  # words are not parted there
        before, behind = r"(?<![^\W是为為])", r"(?!\w)"
    if any(character.isdigit() or character in "√π\\" for character in form):
        before, behind = before + _NO_EXPRESSION_BEFORE, behind + _NO_EXPRESSION_BEHIND
    else:
        before, behind = before + r"(?<![\\/])", behind + r"(?!/)"
    return re.compile(before + re.escape(form) + behind)


def _stands_in(form: str, text: str) -> bool:
    return any(
        not _DENIED.search(text, max(0, match.start() - 20), match.start()) for match in _bordered(form).finditer(text)
    )


def _only_number(text: str) -> Expression | None:
    passage = read_passage(text)
    if len(passage.expressions) != 1:
        return None
    number = passage.expressions[0]
    around = passage.plain[: number.start] + passage.plain[number.end :]
    return None if number.value is None or around.strip(MARKS_AROUND) else number


def _same(number: Expression, other: Expression) -> bool:
    units = {_UNITS.get(quantity.unit.casefold(), quantity.unit.casefold()) for quantity in (number, other)} - {""}
    equal = math.isclose(number.value or 0.0, other.value or 0.0, rel_tol=1e-12)
    return equal and len(units) < 2
