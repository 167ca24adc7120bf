"""Reading yes or no out of a model's answer: the three rules in use elsewhere, exact to their quirks, and a strict one.

The rules agree on a bare "Yes" or "No" and on little else, so a POPE figure means nothing without the name of its
reader. A reader takes the answer's text and returns "yes", "no" or None where its rule finds neither; none guesses. How
an unread answer counts is the business of the task (`tasks.pope.score_pope`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

YesNo = Literal["yes", "no"]
YesNoReader = Callable[[str], YesNo | None]

_NEGATIONS = frozenset({"No", "not", "no"})

_VQA_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_PERIOD_BEFORE_NO_DIGIT = re.compile(r"\.(?!\d)")
_PERIODS_REMOVED = 32

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_BOTH_AT_ONCE = re.compile(r"\W*(?:yes\W+(?:(?:or|and)\W+)?no|no\W+(?:(?:or|and)\W+)?yes)\b", re.IGNORECASE)


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

    Words are runs of letters and digits, inner apostrophes and hyphens included, in any case. If the first word is yes
    or no, that is the answer; otherwise exactly one of the two must occur among the words. An answer that opens with
    both ("yes or no", "Yes/No", "No, yes") is unread. Nothing is concluded from "not" or "there isn't".
    Source: this project; the rule is the definition of the profile "strict".
    """
    # Echoing the choice offered by the prompt is no answer, although its first word is one of the two.
    if _BOTH_AT_ONCE.match(answer):
        return None
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


def _exactly(word: str) -> YesNo | None:
    if word == "yes":
        return "yes"
    return "no" if word == "no" else None


def _one_of_two(words: list[str]) -> YesNo | None:
    if ("yes" in words) == ("no" in words):
        return None
    return "yes" if "yes" in words else "no"
