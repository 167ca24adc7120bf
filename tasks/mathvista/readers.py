"""Reading MathVista's answers: the authors' rules, those of two harnesses, and a strict one.

A reader takes a reply and the question, since what is read has the form that the question wants. None asks a model.
Source: lupantech/MathVista (Lu et al., MathVista, 2023), evaluation/extract_answer.py and calculate_score.py;
protocols, MathVista.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tasks.reading.expressions import Expression, Passage, read_passage
from tasks.reading.numerals import with_digits
from tasks.reading.readers import LETTERS, LOOKED_AT, boxed, read_option_strict, read_option_vlmeval, stated

_OFFICIAL_STATEMENT = ('The answer is "', '".')
_LETTER_IN_BRACKETS = re.compile(r"\(([a-zA-Z])\)")

_JOINED = re.compile(r"\s*(?:[,;/&]|(?:,\s*)?(?:and|or)\b|[和与與或])\s*", re.IGNORECASE)
_NEXT_SENTENCE = re.compile(r"[.!?;。]\s|\n")
_COMPARED = re.compile(r"\s*(?:is|are|was|were)\b")
_DERIVED = re.compile(r"\b(?:by|between|from|in|sum|difference|product)\b", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]")
_LIST = re.compile(r"\[([^\[\]]*)\]")
_FULL_WIDTH_MARKS = str.maketrans("［］，、", "[],,")
_AT_MOST = 20
_OF_A_LINE = 400
"""How many boxes, statements and lists are looked at, the last ones, and how many characters of a line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What an answer is marked by. `answer` is the gold: an option's text, or a number or list as the authors print it.

    `precision` is a float's number of decimals. `cells` name where it is counted, e.g. "skills/logical reasoning".
    """

    question_type: str
    answer_type: str
    answer: str
    options: tuple[str, ...] = ()
    precision: int | None = None
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A model's response, and the short answer that a language model took from it (None: none is stored)."""

    response: str
    extraction: str | None = None


Reader = Callable[[Reply, Question], str | None]
"""(reply, question) -> the answer in the form of the gold one, or None where nothing is read."""


def read_official(reply: Reply, question: Question) -> str | None:
    """The authors' script of today: the stored extraction, else their short-cuts, then their normalisation.

    Short-cuts (the response is blank, is an option, is a number of the wanted kind, or states 'The answer is "X".')
    stand in where no extraction is stored; where the authors would ask a language model, nothing is read.
    With options: the first letter in brackets, else the text itself; a letter names its option, anything else the
    option at the smallest edit distance. So a blank becomes the shortest option, a free guess that this profile keeps.
    Integers are int(float(x)), which makes 3 of "3.7"; floats are rounded to the question's precision; lists are
    compared as text. What Python cannot convert is unread.
    Source: lupantech/MathVista, evaluation/extract_answer.py (with quick_extract) and calculate_score.py.
    """
    return _official(reply, question, lambda text: int(float(text)))


def read_official_old_integers(reply: Reply, question: Question) -> str | None:
    """`read_official` with the integers of the published tables: int(x), to which "5.0" is no integer and unread.

    Source: lupantech/MathVista, results/; all of the published score files but one (llavar) follow from this rule
    (conformance/README.md, "Integer rule").
    """
    return _official(reply, question, int)


def read_strict(reply: Reply, question: Question) -> str | None:
    r"""Our rule: the model's own response, read by rule, and nothing is guessed. A stored extraction is not looked at.

    With options: `tasks.reading.readers.read_option_strict`, or the very text of one. Numbers: those in the last
    ``\boxed{}`` that has one, which must agree; else the first behind the last "answer is" or "answer:" (答案是, 答え,
    정답), on its line, and unread where another is joined to it by a comma or conjunction, or where words before it
    tell how the answer comes about ("by subtracting 3 from 10, which is 7") and another follows; else the
    last in the text, but for what says how it was rounded or names a figure or a step. Where that is a
    bound ("3 bars larger than 40"), the one before it in its sentence; where the response has no digits
    and is nothing else, number words, which boxes and "answer is" may hold too.
    A number is the whole expression that it stands in (`tasks.reading.expressions`), evaluated, or unread where that is
    more than arithmetic or may be meant in two ways; it is never cut out of one. Mixed numbers, fractions, roots,
    powers, pi, thousands parted by comma, space, apostrophe or LaTeX's ``{,}`` and ``\,``, minus signs of every kind
    and digits of every script are read; units, currency and a percent sign are left off (50% is 50). Unread are
    variables, ranges, ratios, dates, ordinals, tuples, scales ("5 million", which a chart's own unit may hold), decimal
    commas (3,14) and infinities. A number that is no integer where one is wanted is read as it is, and wrong. Lists:
    the last one in square brackets whose items all are such numbers. Of an answer its last 20,000 characters are looked
    at, for a last number its last 4,000.
    Source: this project, after protocols, MathVista ("the product reads by rule first"); the rule is the definition of
    the profile "strict".
    """
    if question.options:
        letter = read_option_strict(reply.response, question.options)
        if letter is not None:
            return question.options[LETTERS.index(letter)]
        # Two options with one text have no letter to choose between, and need none.
        text = reply.response.strip()
        return text if text in question.options else None
    if question.answer_type == "list":
        return _list_in(reply.response[-LOOKED_AT:])
    number = _number_in(reply.response[-LOOKED_AT:])
    if number is None:
        return None
    if question.answer_type == "float":
        return _rounded(number, question.precision)
    return str(int(number)) if number.is_integer() else str(number)


def read_lmms_eval(reply: Reply, question: Question) -> str | None:
    """lmms-eval's rules without the language model that reads whatever is not bare: that is unread here.

    The response, stripped, is blank, is an option, or is a number of the wanted kind; it is then normalised as by
    `read_official`, so that a blank becomes the shortest option. 'The answer is "X".' is no short-cut there, nor is a
    letter: lmms-eval shows nearly all answers to its language model.
    Source: EvolvingLMMs-Lab/lmms-eval, tasks/mathvista/mathvista_evals.py, and mathvista.yaml (quick_extract: false).
    """
    text = _bare(reply.response.strip(), question)
    return None if text is None else _normalised(text, question, lambda text: int(float(text)))


def read_vlmeval(reply: Reply, question: Question) -> str | None:
    """VLMEvalKit's rules without the language model that reads the rest: that is unread here.

    With options: `tasks.reading.readers.read_option_vlmeval`. Integers are int(x); floats are compared as numbers, not
    rounded. A list is unread: the kit compares none with what was said, and counts all of them as wrong.
    Source: open-compass/VLMEvalKit, vlmeval/dataset/utils/mathvista.py (post_check), whose first look at a number keeps
    it only where it is right and else asks its language model for it.
    """
    if question.options:
        letter = read_option_vlmeval(reply.response, question.options)
        return None if letter is None else question.options[LETTERS.index(letter)]
    try:
        if question.answer_type == "integer":
            return str(int(reply.response))
        if question.answer_type == "float":
            number = float(reply.response)
            return question.answer if number == float(question.answer) else str(number)
    except ValueError:
        pass
    return None


MATHVISTA_PROFILES: Mapping[str, Reader] = MappingProxyType(
    {
        "official": read_official,
        "official/integer_old": read_official_old_integers,
        "lmms-eval/rules": read_lmms_eval,
        "vlmeval/rules": read_vlmeval,
        "strict": read_strict,
    }
)
"""Name of a profile -> its reader. Of two harnesses these are the rules: what they show a language model is unread."""


def edit_distance(text: str, other: str) -> int:
    """Levenshtein's distance: the fewest characters to insert, delete or replace that turn one text into the other."""
    before = list(range(len(other) + 1))
    for row, left in enumerate(text, start=1):
        current = [row]
        for column, right in enumerate(other, start=1):
            current.append(min(before[column] + 1, current[-1] + 1, before[column - 1] + (left != right)))
        before = current
    return before[-1]


def _official(reply: Reply, question: Question, integer: Callable[[str], int]) -> str | None:
    text = _short_cut(reply.response, question) if reply.extraction is None else reply.extraction
    return None if text is None else _normalised(text, question, integer)


def _normalised(text: str, question: Question, integer: Callable[[str], int]) -> str | None:
    if question.options:
        return _official_option(text.strip(), question.options)
    try:
        if question.answer_type == "integer":
            return str(integer(text))
        if question.answer_type == "float":
            return str(round(float(text), question.precision))
    except (ValueError, OverflowError):
        return None
    return text


def _short_cut(response: str, question: Question) -> str | None:
    """What the authors extract without a language model, None where they would ask one."""
    if (text := _bare(response, question)) is not None:
        return text
    opening, closing = _OFFICIAL_STATEMENT
    for line in response.split("\n"):
        _, opened, rest = line.partition(opening)
        stated, closed, _ = rest.rpartition(closing)
        if opened and closed:
            return stated
    return None


def _bare(response: str, question: Question) -> str | None:
    """A response that is nothing but an answer: blank, an option, or a number of the wanted kind."""
    if not response or response in question.options:
        return response
    try:
        if question.answer_type == "integer":
            return str(int(response))
        if question.answer_type == "float":
            return str(float(response))
    except ValueError:
        pass
    return None


def _official_option(text: str, options: Sequence[str]) -> str:
    bracketed = _LETTER_IN_BRACKETS.search(text)
    letter = bracketed[1].upper() if bracketed else text
    if len(letter) == 1 and letter in LETTERS[: len(options)]:
        return options[LETTERS.index(letter)]
    return min(options, key=lambda option: edit_distance(letter, option))


def _number_in(response: str) -> float | None:
    for content in boxed(response)[: -_AT_MOST - 1 : -1]:
        numbers = read_passage(with_digits(content)).expressions
        if numbers:
            return _agreed(numbers)
    for line in stated(response)[: -_AT_MOST - 1 : -1]:
        passage = read_passage(with_digits(line[:_OF_A_LINE]))
        if passage.expressions:
            derived = _DERIVED.search(passage.plain, 0, passage.expressions[0].start)
            return _agreed(passage.expressions if derived else _enumerated(passage))
    passage = read_passage(response)
    if passage.expressions:
        return _last_value(passage)
    words = read_passage(with_digits(response[:_OF_A_LINE]))
    alone = len(words.expressions) == 1 and not _LETTERS.search(_around(words))
    return words.expressions[0].value if alone else None


def _last_value(passage: Passage) -> float | None:
    """The last number's; where that is a bound, the one's before it in its sentence, of which more is said thereby."""
    last = passage.expressions[-1]
    for number in reversed(passage.expressions):
        between = passage.plain[number.end : last.start]
        if _NEXT_SENTENCE.search(between) or _COMPARED.match(between):
            return None
        if not number.is_bound:
            return number.value
    return None


def _agreed(numbers: Sequence[Expression]) -> float | None:
    """The value that all have."""
    values = {number.value for number in numbers}
    return values.pop() if len(values) == 1 else None


def _enumerated(passage: Passage) -> list[Expression]:
    """The first number, and those that follow it with nothing but a comma or a conjunction between."""
    first, *others = passage.expressions
    numbers = [first]
    for number in others:
        if not _JOINED.fullmatch(passage.plain, numbers[-1].end, number.start):
            break
        numbers.append(number)
    return numbers


def _around(passage: Passage) -> str:
    """What stands before and behind the first expression."""
    first = passage.expressions[0]
    return passage.plain[: first.start] + passage.plain[first.end :]


def _rounded(number: float, precision: int | None) -> str:
    return str(round(number, precision) + 0.0)  # no gold answer is a negative zero


def _list_in(response: str) -> str | None:
    for content in _LIST.findall(response.translate(_FULL_WIDTH_MARKS))[: -_AT_MOST - 1 : -1]:
        numbers = [_item(item) for item in content.split(",")] if len(content) <= _OF_A_LINE else [None]
        values = [int(number) if number.is_integer() else number for number in numbers if number is not None]
        if len(values) == len(numbers):
            return str(values)
    return None


def _item(text: str) -> float | None:
    passage = read_passage(text)
    return passage.expressions[0].value if len(passage.expressions) == 1 and not _around(passage).strip() else None
