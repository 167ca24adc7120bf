"""CHAIR at every length: the same captions cut short, so that saying less cannot pass for seeing better.

A model that stops earlier hallucinates less and recalls less. Cut at the k-th sentence and at the k-th word, its
captions give a curve of CHAIRi against recall; two models are compared where their recall is the same, not at the
lengths they happen to choose (protocols, CHAIR: "length fakes it").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from harness.marking import mark_answers
from harness.results import Marked
from harness.thoughts import answer_of
from harness.types import Sample
from tasks.chair.task import Chair
from tasks.reading.object_words import CaptionReader

Unit = Literal["sentences", "words"]

LENGTHS: Mapping[Unit, Sequence[int]] = MappingProxyType(
    {"sentences": tuple(range(1, 11)), "words": (5, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300)}
)
"""Where captions are cut; a length that no caption exceeds is left out."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """All captions with their first `k` sentences or words, marked; `k` None: whole.

    `shortened` counts those that were longer: of the others nothing was lost.
    """

    unit: Unit
    k: int | None
    shortened: int
    rows: tuple[Marked, ...]


def first_words(caption: str, k: int) -> str:
    """The first `k` words of a caption as white space parts them, its own spacing between them.

    Example:
        >>> first_words("A cat, a dog. A bus.", 4)
        'A cat, a dog.'
    """
    ends = [match.end() for match in _WORD.finditer(caption)]
    return caption[: ends[k - 1]] if len(ends) > k else caption


def cut_captions(samples: Sequence[Sample], captions: Sequence[str], reader: CaptionReader) -> Iterator[Cut]:
    """The cuts by sentences and then by words, each from the shortest to the whole captions.

    Sentences are those of the reader's normaliser, kept in their case and joined by one space; thoughts are cut off
    first.
    """
    task = Chair(bound=reader)
    answers = [answer_of(text).answer for text in captions]
    sentences = [reader.normaliser.sentences(caption) for caption in answers]
    counts = {"sentences": [len(parts) for parts in sentences], "words": [len(text.split()) for text in answers]}
    whole = mark_answers(task, samples, answers).rows
    for unit, lengths in LENGTHS.items():
        for k in lengths:
            shortened = sum(count > k for count in counts[unit])
            if not shortened:
                break
            if unit == "sentences":
                first = [" ".join(parts[:k]) for parts in sentences]
            else:
                first = [first_words(caption, k) for caption in answers]
            yield Cut(unit=unit, k=k, shortened=shortened, rows=mark_answers(task, samples, first).rows)
        yield Cut(unit=unit, k=None, shortened=0, rows=whole)
