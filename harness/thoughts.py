"""Thought is not answer: what a model writes before a closing thought tag is no part of what is marked or trained on.

The rule, for asked models and for files of answers alike:

1. Text behind the last closing tag of a thought is the answer; the opening tag may be missing, since many chat
   templates write it themselves.
2. A thought that is never closed was cut: there is no answer, whatever stands in the thought. An opening tag counts
   where it begins the text, a line, or what follows another tag: prose may mention it.
3. Of that, where a part is marked as the answer (`<answer>`, `<CONCLUSION>`, ...), the last such part is it.
4. A tag in quotation marks is a mention. Text without any of these tags is the answer as it stands.

Tags are those of published models, in either case: `<think>` (Qwen, DeepSeek, GLM, ...) and its like, `[THINK]`
(Magistral), `◁think▷` (Kimi-VL), `<|begin_of_thought|>` (Sky-T1), `<|START_THINKING|>` (Command A), the channels of
gpt-oss and of Gemma 4, also as a tokenizer leaves them that drops special tokens ("analysis...assistantfinal..."), and
Granite's "Here is my thought process:".

Where it applies: `harness.profiles` hands the answer alone to every profile that is ours; a profile that does what
somebody else's script does (`harness.types.Replicating`) is given the whole text. lmms-eval 0.7 takes `<think>` away
before its readers by default (its examples say so); the profile named after it is of the readers alone and does not.
Profiles of captions differ in who makes words of them; what the caption is, all of them are told.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.types import Sample, Score, Scorer

_NAMES = r"think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|rationale|scratchpad|cot"
_LEFT, _RIGHT = r"(?:<|&lt;|＜)", r"(?:>|&gt;|＞)"
_NAMED = rf"(?:[a-z]+:)?(?P<{{side}}>{_NAMES})"

_OPENING = re.compile(
    rf"""
    {_LEFT}\s*{_NAMED.format(side="angled")}(?:\s[^<>]*)?{_RIGHT}
    | \[\s*(?P<square>think(?:ing)?)\s*\]
    | ◁\s*(?P<kimi>think)\s*▷
    | <\|\s*(?:(?:begin|start)_(?:of_)?)?(?P<bars>think(?:ing)?|thought|reasoning)(?:_start)?\s*\|>
    | (?P<harmony><\|channel\|>\s*(?:analysis|commentary)\b[^<]*(?:<\|message\|>)?)
    | (?P<gemma><\|channel>\s*thought\b)
    | (?P<bare>(?-i:\Aanalysis(?=[A-Z"“'‘])))
    | (?P<granite>Here(?:\sis|'s|’s)\smy\sthought\sprocess:)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CLOSING = re.compile(
    rf"""
    {_LEFT}\s*\\?/\s*{_NAMED.format(side="angled")}\s*{_RIGHT}
    | \[\s*/\s*(?P<square>think(?:ing)?)\s*\]
    | ◁\s*/\s*(?P<kimi>think)\s*▷
    | <\|\s*(?:/|end_(?:of_)?)(?P<bars>think(?:ing)?|thought|reasoning)\s*\|>
    | <\|(?P<ended>think(?:ing)?)_end\|>
    | (?P<harmony><\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>)
    | (?P<gemma><channel\|>)
    | (?P<bare>(?-i:assistantfinal))
    | (?P<granite>Here(?:\sis|'s|’s)\smy\sresponse:)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PART = re.compile(
    rf"""
    {_LEFT}\s*(?P<angled>(?:final[_ ])?answer|conclusion|output|solution|response)\s*{_RIGHT}
    | <\|(?:begin|start)_(?:of_)?(?P<bars>solution|response|answer|box)\|>
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PART_END = re.compile(
    rf"""
    {_LEFT}\s*\\?/\s*(?P<angled>(?:final[_ ])?answer|conclusion|output|solution|response)\s*{_RIGHT}
    | <\|end_(?:of_)?(?P<bars>solution|response|answer|box)\|>
    """,
    re.IGNORECASE | re.VERBOSE,
)
_TURN_ENDS = ("<|return|>", "<|end|>", "<|call|>", "<|im_end|>", "<|eot_id|>")
_TURN_START = "<|start|>assistant"
_QUOTES = dict(zip("`\"'“‘«「", "`\"'”’»」", strict=True))
_TAG_ENDS = (">", "&gt;", "]", "▷", "＞", _TURN_START)
_MARKS = ("<", "＜", "&lt;", "[", "◁", "assistantfinal", "thought process:")


@dataclass(frozen=True, slots=True)
class ThoughtTags:
    """What a model writes before its thought and behind it."""

    opening: str
    closing: str


TAGS = (
    ThoughtTags("<think>", "</think>"),
    ThoughtTags("<thinking>", "</thinking>"),
    ThoughtTags("<thought>", "</thought>"),
    ThoughtTags("<reasoning>", "</reasoning>"),
    ThoughtTags("[THINK]", "[/THINK]"),
    ThoughtTags("◁think▷", "◁/think▷"),
    ThoughtTags("<|begin_of_thought|>", "<|end_of_thought|>"),
    ThoughtTags("<|START_THINKING|>", "<|END_THINKING|>"),
    ThoughtTags("<|channel>thought", "<channel|>"),
)
"""Pairs that a model can be made to close a thought by; gpt-oss's channels, which end a turn, are none."""


def tags_of(texts: Iterable[str], vocabulary: Container[str]) -> ThoughtTags | None:
    """The tags of a model: those of its chat template or system prompt, else those whose closing one its vocabulary has
    a token for; None of a model that has no such tag."""
    written = "\n".join(texts)
    in_text = [tags for tags in TAGS if tags.closing in written or tags.opening in written]
    return next(iter([*in_text, *(tags for tags in TAGS if tags.closing in vocabulary)]), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a model's text comes to. `thought` says that more than tags and blanks was taken off, `finished` is False
    where a thought was never closed, and the answer empty."""

    answer: str
    thought: bool = False
    finished: bool = True


def answer_of(text: str) -> Told:
    """The answer in a model's text, by the rule above; text without a tag is its own answer, blanks and all.

    Example:
        >>> answer_of("<think>There might be no dog.</think>Yes").answer
        'Yes'
        >>> answer_of("<think>There might be no dog").finished
        False
    """
    lower = text.lower()
    if not (any(mark in lower for mark in _MARKS) or lower.startswith("analysis")):
        return Told(answer=text)
    closings = [tag for tag in _CLOSING.finditer(text) if not _is_mentioned(text, tag)]
    behind = closings[-1].end() if closings else 0
    if _is_unclosed(text, closings, behind):
        return Told(answer="", thought=True, finished=False)
    begins, ends = _part(text, behind)
    if not closings and (begins, ends) == (0, len(text)):
        return Told(answer=text)
    answer = text[begins:ends].strip()
    while answer.endswith(_TURN_ENDS):
        answer = answer[: answer.rindex("<|")].rstrip()
    return Told(answer=answer, thought=_says_more(text[:begins] + text[ends:]))


def without_thought(score: Scorer) -> Scorer:
    """Marks the answer in a text and nothing before it."""

    def score_answer(sample: Sample, answer: str) -> Score:
        return score(sample, answer_of(answer).answer)

    return score_answer


def thoughts_in(texts: Iterable[str], *, marked: bool) -> dict[str, Any]:
    """For the results' `info`: how many of a model's texts hold a thought, how many of those were never finished, and
    whether the thoughts were `marked` with the answers, as replicas of others' scripts do; nothing where none holds
    one."""
    answers = [answer_of(text) for text in texts]
    thoughts = sum(answer.thought for answer in answers)
    unfinished = sum(not answer.finished for answer in answers)
    return {"thoughts": {"answers": thoughts, "unfinished": unfinished, "marked": marked}} if thoughts else {}


def _is_unclosed(text: str, closings: Sequence[re.Match[str]], behind: int) -> bool:
    """Whether a thought was opened behind the last closing tag, or one that begins the text has none of its name."""
    closed = {_kind(tag) for tag in closings}
    for tag in _OPENING.finditer(text):
        if _is_mentioned(text, tag) or not _begins_something(text, tag):
            continue
        begins_text = not text[: tag.start()].strip()
        if tag.start() >= behind or (begins_text and _kind(tag) not in closed):
            return True
    return False


def _part(text: str, behind: int) -> tuple[int, int]:
    """Where the last part marked as the answer begins and ends; without one, all that stands behind the thoughts."""
    begin, end = behind, len(text)
    openings = [tag for tag in _PART.finditer(text, behind) if not _is_mentioned(text, tag)]
    endings = [tag for tag in _PART_END.finditer(text, behind) if not _is_mentioned(text, tag)]
    if not openings:
        return (begin, endings[-1].start()) if endings else (begin, end)
    last = openings[-1]
    own = [tag for tag in endings if tag.start() >= last.end() and _kind(tag) == _kind(last)]
    if own:
        return last.end(), own[0].start()
    # cut, or its end was the stop string; in the middle of a line it is a mention
    return (last.end(), end) if _begins_something(text, last) else (begin, end)


def _begins_something(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag begins the text, a line, or what follows another tag."""
    before = text[: tag.start()]
    stripped = before.rstrip()
    return not stripped or stripped.endswith(_TAG_ENDS) or "\n" in before[len(stripped) :]


def _kind(tag: re.Match[str]) -> str:
    """What a closing tag must have in common with the opening one."""
    group, name = next((group, name) for group, name in tag.groupdict().items() if name is not None)
    return name.lower() if group in ("angled", "square", "kimi", "bars", "ended") else group


def _is_mentioned(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag stands in quotation marks of its own; a quotation may also end where a thought does."""
    before, behind = text[: tag.start()], text[tag.end() : tag.end() + 1]
    opens = not before[:-1] or before[-2].isspace() or before[-2] in "(["
    return bool(before and behind) and opens and _QUOTES.get(before[-1]) == behind


def _says_more(text: str) -> bool:
    """Whether anything but tags and blanks stands in it: templates write an empty thought where none is wanted."""
    for pattern in (_OPENING, _CLOSING, _PART, _PART_END):
        text = pattern.sub("", text)
    for mark in (*_TURN_ENDS, _TURN_START):
        text = text.replace(mark, "")
    return bool(text.strip())
