"""Reading yes or no, or an option's letter, out of a model's answer: the rules in use elsewhere, and a strict one.

The rules agree on a bare "Yes" or "B" and on little else, so a POPE or ScienceQA figure means nothing without the name
of its reader. A reader takes the answer's text (and the options, where there are some) and returns what it reads, or
None where its rule finds nothing; none guesses. How an unread answer counts is the business of the task (e.g.
`tasks.pope.marks.score_pope`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from tasks.reading.numerals import plain_characters, plain_latex
from tasks.reading.option_text import MARKS_AROUND, option_by_text, option_by_value

YesNo = Literal["yes", "no"]
YesNoReader = Callable[[str], YesNo | None]
OptionReader = Callable[[str, Sequence[str]], str | None]
"""(answer, texts of the options) -> the letter of one of them, upper-case, or None."""

LETTERS = string.ascii_uppercase
"""The letters of options, in their order."""

_NEGATIONS = frozenset({"No", "not", "no"})

_VQA_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_PERIOD_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
_PERIODS_REMOVED = 32

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_BOTH_AT_ONCE = re.compile(
    r"\W*(?:(?:yes[^\w.!]+(?:(?:or|and)\W+)?no|no[^\w.!]+(?:(?:or|and)\W+)?yes)\b|(?:yes\W+no|no\W+yes)\b(?! \w))",
    re.IGNORECASE,
)

_NO_ANSWER = re.compile(
    r"\bno (?:doubt|idea|way|clue|clear|longer|matter|problem|question|information|reason|need|more|less|other than)\b"
    r"|\b(?:not|never|if|whether|neither|nor|than)\s+[*_\"']*(?:yes|no)(?:\s+or\s+(?:yes|no))?\b",
    re.IGNORECASE,
)

_LLAVA_LETTERS = "ABCDE"
# The last full stop is any character at the source, so "The answer is A" with nothing behind it is no hit.
_LLAVA_STATEMENT = re.compile(r"The answer is ([A-Z]).")
_VLMEVAL_MARKS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))

_BOX_OR_BRACE = re.compile(r"\\f?boxed? {0,3}\{|(?<!\\)[{}]")
_BOX_AT_MOST = 1_000
_LETTER_END = r"(?![^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|['’])"
_LETTER_SAID = (
    rf"[*_\"`$]*(?:\\(?:text|math)\w+\s*\{{|\\(?:text|bm|boldsymbol)\s*\{{)?"
    rf"(?:[(\[{{]\s*([A-Z])\s*[)\]}}]|'([A-Z])'|([A-Z]){_LETTER_END})"
)
_IS = r"(?i:is|(?:would|must|should|will)\s+be)\b(?:\s+(?i:therefore|thus|hence|clearly|likely|the\s+letter)\b)?"
_ANSWER_IS = re.compile(
    rf"(?:\b(?i:answer|ans\.?|correct\s+letter)[*_\"']*\s*(?:(?i:to\s+(?:the|this)\s+(?:question|problem))\s*)?(?:{_IS}\s*)?"
    r"|答案(?: ?应[选選]| ?[是为為])? ?|(?:答え|正解)は? ?|정답 ?[은는]? ?|(?<![不非别沒没无無])[选選][择擇]? ?)"
    r"(?:[:=-][*_\s]*)?(?:(?i:option|choice)\s+|[选選][项項]\s*)?" + _LETTER_SAID
)
_OPTION_NAMED = re.compile(
    r"(?:\b(?i:option|choice)|[选選][项項])\s*(?:(?i:is)\b\s*|[是为為] ?)?(?::\s*)?" + _LETTER_SAID
)
_LETTER_IN_BRACKETS = re.compile(r"(?<![^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])(?<!\()\(\s*([A-Z])\s*\)")
_LETTER_ALONE = re.compile(r"[ \t*_\"'`#$(]*([A-Z])[ \t*_\"'`$).]*")
_LETTER_AT_LINE_START = re.compile(r"^[ \t*_\"'`#]*([A-Z])(?:[.):](?=[\s*_]|$)|[*_ \t]*$)", re.MULTILINE)
_ANOTHER = re.compile(
    r"[*_\"'`)\]}$]*\s{0,3}(?:,?\s{0,3}(?:and|or)\b|[,/&、和或与與])\s{0,3}(?:(?:option|choice)\s+)?"
    r"[*_\"'`(\[{$]*([A-Z])" + _LETTER_END
)
_WRONG = re.compile(
    r"[*_\"'`)\]}$]*\s*(?:(?:is|was|looks|seems)\s+(?:\w+\s+)?(?:not|wrong|incorrect|false)\b"
    r"|(?:isn|wasn|can)'t\b|cannot\b|是?(?:错|錯|不))",
    re.IGNORECASE,
)
_DENIED = re.compile(r"(?:\b(?:not|nor|neither|never)|n't)\s+$", re.IGNORECASE)
_NEXT_WORD = re.compile(r"\s+(?!(?:because|since|as|for|which|with|and|or|is|but|due|so|if|the)\b)[a-z]")
_SECOND_LABEL = re.compile(r"[^\n]*[\s,;]\(?([A-Z])[.)]\s")
_LABEL = re.compile(r"(?:\(\s*([A-Z])\s*\)|([A-Z])[.):](?!\d))\s*")
_STATED = re.compile(
    r"(?:(?<!\bto )(?<!\bi )(?<!\bwe )(?<!\bcan )(?<!\bplease )\banswer\b"
    r"(?!\s+(?:the|this|that|these|those|your|it|an?)\b)"
    r"[^.\n]{0,60}?(?:\b(?:is|(?:must|should|would|will)\s+be)\b|[:=：])"
    r"|(?:答案|答え|正解|정답|답)\s*(?:[是为為はと은는]|[:：]))",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:if|whether|suppose|supposing|assume|assuming)\s+(?:that\s+)?(?:the|your|my|our)?\s*$", re.IGNORECASE
)
LOOKED_AT = 20_000
"""Characters of an answer that the strict rules for options and numbers look at: the last ones."""


def read_yes_no_official(answer: str) -> YesNo:
    """LLaVA's rule, behind every POPE figure that LLaVA and its descendants print. Always reads something.

    The text before the first full stop, commas removed, split on single spaces: "No", "not" or "no" among the pieces is
    no, anything else is yes. So a blank answer, "NO", "There isn't" and "Maybe" are all a yes.
    Source: haotian-liu/LLaVA, llava/eval/eval_pope.py (protocols, POPE, first row of the table).
    """
    first = answer.split(".", 1)[0].replace(",", "")
    # Only the space separates, as at the source: a line break glues "No" to the next word, which makes it a yes.
    return "no" if _NEGATIONS.intersection(first.split(" ")) else "yes"


def read_yes_no_lmms_eval(answer: str) -> YesNo | None:
    """lmms-eval's rule: lower-cased and stripped of white space the answer must equal "yes" or "no"; else unread.

    "Yes." with its full stop is therefore unread. Source: lmms-eval 0.7.3, tasks/pope/utils.py (protocols, second row).
    """
    return _exactly(answer.lower().strip())


def read_yes_no_vlmeval(answer: str) -> YesNo | None:
    """VLMEvalKit's rule: lower-case, punctuation removed, then yes or no among the words but not both; else unread.

    "Removed" is the VQA evaluation's treatment: each mark of ``;/[]"{}()=+\\_-><@`,?!`` vanishes where it stands beside
    a space anywhere in the text (or the text has a comma between digits) and becomes a space otherwise; then the first
    32 full stops with no digit behind them vanish. The apostrophe, colon and asterisk stay, so "**Yes**" is unread, and
    "yes.no" is one word. Source: open-compass/VLMEvalKit, vlmeval/dataset/utils/yorn.py (protocols, third row).
    """
    text = answer.lower()
    counts_as_number = _DIGIT_COMMA_DIGIT.search(text) is not None
    table = {
        ord(mark): "" if counts_as_number or f"{mark} " in text or f" {mark}" in text else " " for mark in _VQA_MARKS
    }
    # 32 is the value of a regular-expression flag that the source passes where the number of replacements belongs.
    words = _PERIOD_BEFORE_NO_DIGIT.sub("", text.translate(table), count=_PERIODS_REMOVED).split()
    return _one_of_two(words)


def read_yes_no_strict(answer: str) -> YesNo | None:
    """Our rule: what is not clear is unread.

    Words are runs of letters and digits, inner apostrophes and hyphens included, in any case. What the last "answer
    is" or "answer:" has for its first word, yes or no, is the answer; else the first word, where it is one of the two;
    otherwise exactly one of them must occur among the words. An answer that opens with both in one sentence ("yes or
    no", "Yes/No", "No, yes") is unread. Nothing is concluded from "not" or "there isn't", nor from a no
    about something else ("no doubt", "no idea", "no longer") or a word that is denied or a condition ("not yes", "if
    yes"). Full-width letters are letters. Other languages and other words (是, nope, yep, none) are unread.
    Source: this project; the rule is the definition of the profile "strict".
    """
    answer = _NO_ANSWER.sub(" ", plain_characters(answer[-LOOKED_AT:]))
    # Echoing the choice offered by the prompt is no answer, although its first word is one of the two.
    if _BOTH_AT_ONCE.match(answer):
        return None
    for line in reversed(stated(answer)):
        first = _WORD.search(line)
        if first and (first_word := _exactly(first[0].lower())) and not _BOTH_AT_ONCE.match(line):
            return first_word
    words = [word.lower() for word in _WORD.findall(answer)]
    return (_exactly(words[0]) if words else None) or _one_of_two(words)


YES_NO_PROFILES: Mapping[str, YesNoReader] = MappingProxyType(
    {
        "official": read_yes_no_official,
        "lmms-eval": read_yes_no_lmms_eval,
        "vlmeval": read_yes_no_vlmeval,
        "strict": read_yes_no_strict,
    }
)
"""Name of a profile -> its reader. "official" is LLaVA's."""


def read_option_official(answer: str, options: Sequence[str]) -> str | None:
    """LLaVA's rule, behind the ScienceQA figures that LLaVA and its descendants print.

    The answer is one of the letters A to E and nothing else; or begins with one, a full stop and a space; or states
    "The answer is X" with any character behind the letter exactly once. Nothing is stripped, so "B\\n", "B." and "b"
    are unread; so is an option that the question does not have.
    Source: haotian-liu/LLaVA, llava/eval/eval_science_qa.py (protocols, ScienceQA), where what is unread is wrong.
    """
    letters = _LLAVA_LETTERS[: len(options)]
    if answer[:1] in _LLAVA_LETTERS and (len(answer) == 1 or answer[1:3] == ". "):
        return _known(answer[0], letters)
    return _known(_only(_LLAVA_STATEMENT.findall(answer)), letters)


def read_option_lmms_eval(answer: str, options: Sequence[str]) -> str | None:
    """lmms-eval's rule: stripped of white space, a letter in either case, or an upper-case one and a full stop.

    What follows the full stop does not matter; "The answer is B." is unread.
    Source: lmms-eval 0.7.3, tasks/scienceqa/utils.py, as told in protocols, ScienceQA.
    """
    text = answer.strip()
    return _known(text.upper() if len(text) == 1 else text[:1] if text[1:2] == "." else None, LETTERS[: len(options)])


def read_option_vlmeval(answer: str, options: Sequence[str]) -> str | None:
    """VLMEvalKit's rules without what it does next, which is to ask a judge or to draw an option at random.

    The marks ``.()[],:;!*#{}`` become spaces; if exactly one option's upper-case letter is among the words, that is the
    answer ("A dog" is an A); a Z instead of any is its word for "none". Otherwise exactly one option's text must occur
    in the answer, in any case and anywhere, within other words as well.
    Later versions also want the letter among the last five words and the answer short; the refusals of other models
    that it knows by heart are left out here.
    Source: open-compass/VLMEvalKit, vlmeval/utils/matching_util.py at 18fc37a.
    """
    words = set(answer.translate(_VLMEVAL_MARKS).split())
    named = [letter for letter in LETTERS[: len(options)] if letter in words]
    if len(named) == 1:
        return named[0]
    if not named and "Z" in words:
        return None
    text = answer.lower()
    return _only([letter for letter, option in zip(LETTERS, options, strict=False) if option.lower() in text])


def read_option_strict(answer: str, options: Sequence[str]) -> str | None:
    r"""Our rule: what is not clear is unread.

    The first of these that names anything decides, and is unread where it names two options or one that is not there:
    an option's text and nothing else, unless that is an upper-case letter; a letter alone, in either case and between
    any marks; ``\boxed{}`` with a letter or an option's text or value, or both of one option; "answer is X" or
    "answer: X" (答案是, 选, 答え, 정답) with an upper-case letter; the first or last line, where it is X alone;
    "option X" and "(X)", unless the first line starts with another one and "."; a line that is X or starts with "X.",
    "X)" or "X:"; where the options are yes and no, `read_yes_no_strict`; then the text of one option and of no other
    that is not part of it (`tasks.reading.option_text.option_by_text`); at last the value of one,
    where the answer, or what "answer is" states, is a number and nothing else.
    A letter that another is joined to ("A or B", "A, C") names two. None is named by "not (A)" and "option A is wrong",
    nor by an "A" or "I" that the next word may make an article or a pronoun ("Answer: A dog"). Full-width letters are
    letters; Cyrillic or Greek ones that look like them are not.
    Source: this project, after protocols, MathVista ("the product reads by rule first"); the rule is the definition of
    the profile "strict".
    """
    letters = LETTERS[: len(options)]
    text = plain_characters(answer[-LOOKED_AT:])
    stripped, bare, lines = answer.strip(), text.strip(MARKS_AROUND), text.strip().split("\n")
    alone = len(bare) == 1 and bare.upper() in LETTERS
    exactly = [
        letter for letter, option in zip(LETTERS, options, strict=False) if stripped and option.strip() == stripped
    ]
    # Options of geometry are called "(b)" themselves; whoever says so in that very form means the text.
    if len(exactly) == 1 and not (alone and bare.isupper()):
        return exactly[0]
    if alone:
        return _known(bare.upper(), letters)
    label = _letters_named(_LETTER_AT_LINE_START, lines[0])
    further = (_letters_named(pattern, text) for pattern in (_OPTION_NAMED, _LETTER_IN_BRACKETS))
    mentions: list[list[str]] = [
        [_boxed_option(content, options) or "" for content in boxed(text)],
        _letters_named(_ANSWER_IS, text),
        [match[1] for line in (lines[0], lines[-1]) if (match := _LETTER_ALONE.fullmatch(line))],
        # who begins with "C. 5" and then names option A has answered C, or goes through them one by one
        *(named and label + named for named in further),
        _letters_named(_LETTER_AT_LINE_START, text),
    ]
    for named in mentions:
        if named:
            return _known(_only(sorted(set(named))), letters)
    names = [option.strip().casefold() for option in options]
    if sorted(names) == ["no", "yes"]:
        yes_or_no = read_yes_no_strict(text)
        return yes_or_no and LETTERS[names.index(yes_or_no)]
    return _option_in(text, options) or _only(
        [letter for line in stated(text)[-1:] if (letter := _letter(option_by_value(line, options)))]
    )


OPTION_PROFILES: Mapping[str, OptionReader] = MappingProxyType(
    {
        "official": read_option_official,
        "lmms-eval": read_option_lmms_eval,
        "vlmeval": read_option_vlmeval,
        "strict": read_option_strict,
    }
)
"""Name of a profile -> its reader. "official" is LLaVA's."""


def stated(answer: str) -> list[str]:
    """What stands behind each "answer is" or "answer:" (答案是, 答え, 정답) up to the end of its line or the next one.

    "To answer this: ..." and "if the answer is 5" state none.
    """
    heads = list(_STATED.finditer(answer))
    ends = [*(head.start() for head in heads[1:]), len(answer)]
    return [
        answer[head.end() : end].split("\n", 1)[0]
        for head, end in zip(heads, ends, strict=False)
        if not _SUPPOSED.search(answer, max(0, head.start() - 30), head.start())
    ]


def boxed(answer: str) -> list[str]:
    r"""What stands in each ``\boxed{}`` of an answer, braces within it balanced, in the order of their ends."""
    contents, opened = [], []
    for match in _BOX_OR_BRACE.finditer(answer):
        if match[0] != "}":
            opened.append((match.end(), match[0] != "{"))
        elif opened:
            start, is_box = opened.pop()
            if is_box:
                contents.append(answer[start : min(match.start(), start + _BOX_AT_MOST)].strip())
    return contents


def _known(letter: str | None, letters: str) -> str | None:
    return letter if letter and len(letter) == 1 and letter in letters else None


def _only(matches: Sequence[str]) -> str | None:
    return matches[0] if len(matches) == 1 else None


def _letters_named(pattern: re.Pattern[str], text: str) -> list[str]:
    """The letters that a pattern finds, and "" for one that is joined to another."""
    letters = []
    for match in pattern.finditer(text):
        letter = next(filter(None, match.groups()))
        if _WRONG.match(text, match.end()) or _DENIED.search(text, max(0, match.start() - 12), match.start()):
            continue
        if letter in "AI" and match[0].endswith(letter) and _NEXT_WORD.match(text, match.end()):
            continue
        another = _ANOTHER.match(text, match.end())
        if pattern is _LETTER_AT_LINE_START:
            another = _SECOND_LABEL.match(text, match.end())  # the options once more, in one line
        letters.append("" if another and another[1] != letter else letter)
    return letters


def _boxed_option(content: str, options: Sequence[str]) -> str | None:
    """What a box names, None where its letter and its text are those of two options."""
    text = plain_latex(content).strip()
    bare = text.strip(MARKS_AROUND)
    if len(bare) == 1 and bare.upper() in LETTERS:
        return bare.upper()
    label = _LABEL.match(text)
    by_text = _option_in(text[label.end() :] if label else text, options)
    if label is None:
        return by_text
    letter = label[1] or label[2]
    return letter if by_text in (None, letter) else None


def _option_in(text: str, options: Sequence[str]) -> str | None:
    index = option_by_text(text, options)
    return _letter(option_by_value(text, options) if index is None else index)


def _letter(index: int | None) -> str | None:
    return None if index is None or index >= len(LETTERS) else LETTERS[index]


def _exactly(word: str) -> YesNo | None:
    if word == "yes":
        return "yes"
    return "no" if word == "no" else None


def _one_of_two(words: list[str]) -> YesNo | None:
    if ("yes" in words) == ("no" in words):
        return None
    return "yes" if "yes" in words else "no"
