"""The image-caption set (IC): which objects a caption names, and whether its counts agree, against annotated objects.

Precision, recall and F1 are over the distinct classes that a caption names, by CHAIR's own reading of captions
(`tasks.chair.marks`); `tasks.ic.build` says which pictures are asked about. The truth is what is annotated and nothing
that a human caption names, so people score less than 100 % too: see docs/log/0008-image-caption-set.md for photographs.

A count is what a number says of the object it stands before, with nothing between them but words of a list (colours,
sizes, ages ...): "two large brown dogs"; "two of the dogs" says nothing of how many there are, nor do "two men walking
dogs". Not read either: hedged numbers ("at least two", "two or three"), and classes that a caption mentions by several
words ("a man and two women"), with several numbers, or also one by one ("two dogs and another dog"), where the numbers
are of parts. What is not read is neither right nor wrong. Source: this project; the rule is the definition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from harness.types import Metric, Score
from tasks.chair.marks import CHAIR_METRICS, score_caption
from tasks.reading.object_words import ChairTables, merge_words, named_places

NAME = "ic"
VERSION = 1
HEADLINE = "f1"

OBJECT_METRICS: tuple[Metric, ...] = (
    Metric(name="precision", terms={"recalled": 1}, over={"distinct_named": 1}),
    *(metric for metric in CHAIR_METRICS if metric.name in ("recall", "f1", "words", "repeated", "unread")),
)
"""precision: distinct right classes / distinct classes named; the others as `tasks.chair.marks.CHAIR_METRICS` has
them."""

IC_METRICS: tuple[Metric, ...] = (
    *OBJECT_METRICS,
    Metric(name="counts_right", terms={"counts_right": 1}, over={"counts_compared": 1}),
    Metric(name="counts_said", terms={"counts_said": 1}, over={"captions": 1}, better="neither", percent=False),
)
"""counts_right: counts that are the truth's / counts said of objects that are there and counted; its `n` is the number
of captions that say one. counts_said: such counts a caption."""

_NUMBER_WORDS = "one two three four five six seven eight nine ten eleven twelve"
_NUMBERS: Mapping[str, int] = MappingProxyType(
    {word: number for number, word in enumerate(_NUMBER_WORDS.split(), start=1)}
)
_LARGEST_DIGITS = 2  # the number before "1957 trucks" is a year
_HEDGES = frozenset({"least", "most", "than", "about", "nearly", "almost", "approximately", "roughly", "or", "maybe"})
_ONE_BY_ONE = frozenset({"a", "an", "another", "other"})
# As either normaliser leaves them, "parked" as "park" too.
_ADJECTIVES = (
    "small large big little tiny huge giant tall short long young old older elderly new dark light bright "
    "black white brown red blue green yellow gray grey pink purple gold golden silver tan beige "
    "colorful colourful beautiful cute fluffy fresh ripe raw cooked empty full open closed different separate "
    "wooden wood glass metal plastic ceramic paper stuffed stuff toy parked park"
)
_DESCRIBING = frozenset(_ADJECTIVES.split())


def score_ic(words: Sequence[str], target: Mapping[str, int | None], tables: ChairTables) -> Score:
    """Mark one caption, given as normalised words, against class -> how many are there (None: nobody counted).

    As `tasks.chair.marks.score_caption`, with `counts_said` among the counts: how many are said of objects that are
    there and counted. Where there is one, `counts_compared` is the same and `counts_right` how many of them are right;
    the mentions in `parsed` then carry it as "said" beside the truth's "there".
    """
    score = score_caption(words, set(target), tables)
    counted = {name: count for name, count in target.items() if count is not None}
    stated = {name: count for name, count in said_counts(merge_words(words, tables), tables).items() if name in counted}
    if not stated:
        return dataclasses.replace(score, counts={**score.counts, "counts_said": 0})
    mentions = [
        {**mention, "said": stated[mention["name"]], "there": counted[mention["name"]]}
        if mention["name"] in stated
        else mention
        for mention in score.parsed
    ]
    right = sum(counted[name] == count for name, count in stated.items())
    counts = {**score.counts, "counts_said": len(stated), "counts_compared": len(stated), "counts_right": right}
    return dataclasses.replace(score, parsed=mentions, counts=counts)


def said_counts(merged: Sequence[str], tables: ChairTables) -> dict[str, int]:
    """Class -> how many a caption says there are, by the rule above; `merged` are its words after `merge_words`.

    Example:
        >>> said_counts("two brown dog on a couch".split(), ChairTables(synonyms={"dog": ["dog"], "couch": ["couch"]}))
        {'dog': 2}
    """
    counts: dict[str, set[int | None]] = {}
    forms: dict[str, set[str]] = {}
    for index, name in named_places(merged, tables).items():
        forms.setdefault(name, set()).add(merged[index])
        counts.setdefault(name, set()).update(_count_before(merged, index))
    only = {name: next(iter(numbers)) for name, numbers in counts.items() if len(numbers) == len(forms[name]) == 1}
    return {name: number for name, number in only.items() if number is not None}


def _count_before(merged: Sequence[str], index: int) -> set[int | None]:
    """What is said of the object at a place: its number; None where that is of a part, or a guess; or nothing."""
    at = index - 1
    while at >= 0 and merged[at] in _DESCRIBING:
        at -= 1
    if at < 0:
        return set()
    number = _number(merged[at])
    if number is None:
        return {None} if merged[at] in _ONE_BY_ONE else set()
    *_, earlier, before = "", "", *merged[:at]
    ranged = before == "to" and _number(earlier) is not None
    return {None if before in _HEDGES or _number(before) is not None or ranged else number}


def _number(word: str) -> int | None:
    """The number of a word, from one on."""
    if word.isascii() and word.isdigit() and len(word) <= _LARGEST_DIGITS:
        return int(word) or None
    return _NUMBERS.get(word)
