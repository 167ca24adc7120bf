r"""Numbers as they are written: every script's digits, minus signs, separators, LaTeX and words, brought to one form.

`plain_math` is what `tasks.reading.expressions` reads. It takes away what only shows a number (LaTeX's spaces and
fonts, currency, bold type) and keeps what makes it another one: ``10²`` becomes ``10^{2}``, ``½`` ``\frac{1}{2}``. In
LaTeX a comma in braces parts thousands before three digits and decimals before others, since ``{,}`` is written to keep
a list's space away. `with_digits` writes number words as digits, for a text in which a number is expected.
"""

from __future__ import annotations

import re
import unicodedata

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SPACES = dict.fromkeys((*range(0x2000, 0x200B), 0x00A0, 0x202F, 0x205F, 0x3000), " ")
_UNSEEN = dict.fromkeys(
    (0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF)  # and marks of direction
)
_SAME = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–", "-"),
        **dict.fromkeys("×✕·⋅∙∗", "*"),
        **dict.fromkeys("÷⁄∕", "/"),
        "٫": ".",
        "٬": ",",
        "٪": "%",
        "∶": ":",
        "’": "'",
        "′": "'",
        "″": '"',
        "º": "°",
        "˚": "°",
        "、": ", ",
        "。": ". ",
    }
)
_CHARACTERS = {**_FULL_WIDTH, **_SPACES, **_UNSEEN, **_SAME}

_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_SUPERSCRIPTS = re.compile("[⁺⁻]?[⁰¹²³⁴-⁹]+")
_SUPERSCRIPT_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_VULGAR = re.compile("[¼-¾⅐-⅞]")

_WRAPPER = re.compile(
    r"\\(?:text\w*|math(?:rm|bf|it|sf|tt|cal|bb|normal)|mbox|fbox|boxed|underline|operatorname|boldsymbol|bm)\s*"
    r"\{([^{}]*)\}"
)
_WRAPPED_AT_MOST = 4
_LATEX: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\{,\}(?=\d{3}(?!\d))", ","),
        (r"\{,\}", "."),
        (r"\\!", ""),
        (r"\\\\(?:\[[^\]\n]{0,20}\])?|<br ?/?>|\\(?:begin|end)\s*\{[a-z]{1,20}\*?\}", "\n"),
        (r"\\[,;:> ]|\\q?quad\b|(?<!\\)~|&nbsp;", " "),
        (r"\\(?:left|right|displaystyle|textstyle|limits|[Bb]igg?[lr]?)(?![a-z])", " "),
        (r"\\([%$#&_])", r"\1"),
        (r"\\\{", "("),
        (r"\\\}", ")"),
        (r"\\[()\[\]]", " "),
        (r"\^ ?\{? ?\\(?:circ|degree)\b ?\}?|\\degree\b", "°"),
        (r"<sup>([^<>]{0,40})</sup>", r"^{\1}"),
        (r"</?[A-Za-z][^<>\n]{0,40}>", " "),
        (r"(?<![=-])[=-]+>", "→"),
        (r"\\[dtc]frac(?![a-z])", r"\\frac"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*(?=\{)", r"\\frac{\1}"),
        (r"(\\frac\s*\{[^{}]*\})\s*(\d)", r"\1{\2}"),
        (r"(?<=[-+(])\s?\$\s?", ""),
        (r"\$", " "),
        (r"(?<=[\d)\]}])( ?)\*\*\1(?=[\d({-])", "^"),
        (r"\*\*|`", ""),
        (r"(?<![^\W_])(?<![)\]}])_+|_+(?![^\W_{])", ""),
        # a true minus sign is no dash, whatever spaces stand around it
        (r"(?<=[\w)\]}%°])\s*−\s*", " - "),
        (r"−\s*", "-"),
        (r"\b(?:multiplied by)\b", "*"),
        (r"\b(?:divided by)\b", "/"),
        (r"\b(?:the )?square root of(?= ?[\d({])", "√"),
        (r"\b(?:the )?cube root of(?= ?[\d({])", "∛"),
        (r"(?<=\d) ?[xX] ?(?=10 ?\^)", "*"),
        (r"\b([ap])\.\s?m\.", r"\1m"),
        (r"(?<=\d) squared\b", "^{2}"),
        (r"(?<=\d) cubed\b", "^{3}"),
    )
)
_CURRENCY_BEHIND_A_SIGN = re.compile(r"(?<=[-+(])\s?[€£¥₹₩₽¢]\s?")
_CURRENCY = re.compile("[€£¥₹₩₽¢]")

_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}
_SCALES = {"hundred": 100, "thousand": 1_000, "dozen": 12}
_WORD = rf"(?:{'|'.join((*_SMALL, *_SCALES))})"
_WORDS = re.compile(
    rf"(?<![\w-])(?:(?:a|an)\s+(?={'|'.join(_SCALES)}))?{_WORD}(?:(?:\s+and\s+|\s*-\s*|\s+){_WORD})*(?![\w-])",
    re.IGNORECASE,
)
_MORE_THAN_A_NUMBER = re.compile(r"\s+(?:point|hal(?:f|ves)|thirds?|quarters?|\w+ths?|and\s+a)\b", re.IGNORECASE)
_ENDS = re.compile(r"\W*(?:\n|$)")

_HAN = dict(zip("〇零一二三四五六七八九", (0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)) | {"两": 2, "兩": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1_000, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
# "三角形" is a triangle and no three, "第三" the third
_HAN_NUMBER = re.compile(
    rf"(?<![第之\w])[{''.join(_HAN)}{''.join(_HAN_SCALES)}]{{1,20}}(?=\W|$|[个個只隻名元度岁歳年月日円米])"
    rf"|(?<=[是为為])[{''.join(_HAN)}{''.join(_HAN_SCALES)}]{{1,20}}(?=\W|$|[个個只隻名元度岁歳年月日円米])"
)


def plain_characters(text: str) -> str:
    """The text with full-width signs, spaces, dashes and digits of every script as those of ASCII."""
    return _OTHER_DIGIT.sub(_decimal, text.translate(_CHARACTERS))


def plain_latex(text: str) -> str:
    """`plain_math` that leaves currency, but for dollar signs, which LaTeX writes around mathematics."""
    text = plain_characters(text)
    text = _SUPERSCRIPTS.sub(lambda match: f"^{{{match[0].translate(_SUPERSCRIPT_DIGITS)}}}", text)
    text = _VULGAR.sub(_fraction, text)
    for _ in range(_WRAPPED_AT_MOST):
        text, changed = _WRAPPER.subn(r" \1 ", text)
        if not changed:
            break
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def plain_math(text: str) -> str:
    """The text in the form of the module's head. Its length stays about what it was; lines stay lines."""
    return _CURRENCY.sub(" ", _CURRENCY_BEHIND_A_SIGN.sub("", plain_latex(text)))


def with_digits(text: str) -> str:
    """Number words as digits: "twenty-one", "one hundred and five", "a dozen"; 一百零五.

    Left alone are "one" before anything but the end of a line, since it stands for things too, and the words of
    fractions and decimals ("two thirds", "two point five").
    """
    return _HAN_NUMBER.sub(_han_digits, _WORDS.sub(_word_digits, text))


def _decimal(match: re.Match[str]) -> str:
    return str(unicodedata.decimal(match[0]))


def _fraction(match: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", match[0]).partition("\N{FRACTION SLASH}")
    return rf"\frac{{{above}}}{{{below}}}"


def _word_digits(match: re.Match[str]) -> str:
    words = [word for word in re.split(r"[\s-]+", match[0].casefold()) if word not in ("and", "a", "an")]
    rest = match.string[match.end() : match.end() + 40]
    if _MORE_THAN_A_NUMBER.match(rest) or (words == ["one"] and not _ENDS.match(rest)):
        return match[0]
    value = _value_of_words(words)
    return match[0] if value is None else str(value)


def _value_of_words(words: list[str]) -> int | None:
    """None where the words are no one number: "one two", "seven twenty"."""
    total = current = 0
    least = 10**6  # what the next word must be below
    for word in words:
        if word in _SMALL and _SMALL[word] < least:
            current, least = current + _SMALL[word], (10 if _SMALL[word] >= 20 else 0)
        elif word == "thousand" and not total:
            total, current, least = (current or 1) * 1_000, 0, 1_000
        elif word in ("hundred", "dozen") and current < 100 and least:
            current, least = (current or 1) * _SCALES[word], 100
        elif word in ("hundred", "dozen") and 0 < current < 100:
            current, least = current * _SCALES[word], 100
        else:
            return None
    return total + current


def _han_digits(match: re.Match[str]) -> str:
    total = section = digit = 0
    previous = -1
    for character in match[0]:
        if character in _HAN:
            if previous > 0:
                return match[0]  # two digits in a row, as in a year
            digit = previous = _HAN[character]
            continue
        scale = _HAN_SCALES[character]
        if scale < 10**4:
            section, digit = section + (digit or 1) * scale, 0
        else:
            total, section, digit = (total + section + digit) * scale, 0, 0
        previous = -1
    return str(total + section + digit)
