"""Yes-or-no questions in POPE's words made of captions: is an object that they name in the picture, and one that they
do not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.data.captioned import CaptionedPicture
from tasks.pope.build import question_text
from tasks.pope.questions import INSTRUCTION
from tasks.reading.object_words import load_tables, merge_words, named_classes, normalisers

EACH = 4
"""Questions of a picture at most, half of them yes."""


def caption_questions(
    named: Mapping[str, Collection[str]], rng: np.random.Generator, each: int = EACH
) -> dict[str, list[tuple[str, bool]]]:
    """Picture -> (object, whether its captions name it), as many yes as no; `named` are the objects that they name.

    An object that is not named is drawn by how many pictures have it, so that asking says nothing of the answer. What
    captions leave out may be in the picture all the same: some of these answers are wrong.
    """
    counted = Counter(name for names in named.values() for name in set(names))
    kinds = sorted(counted)
    questions: dict[str, list[tuple[str, bool]]] = {}
    for picture in sorted(named):
        present = sorted(set(named[picture]))
        absent = [name for name in kinds if name not in present]
        count = min(each // 2, len(present), len(absent))
        weights = np.array([counted[name] for name in absent], dtype=float)
        yes: Sequence[str] = [str(name) for name in rng.permutation(present)[:count]]
        no = (
            [str(name) for name in rng.choice(absent, count, replace=False, p=weights / weights.sum())] if count else []
        )
        questions[picture] = [
            pair for one, other in zip(yes, no, strict=True) for pair in ((one, True), (other, False))
        ]
    return questions


def with_caption_questions(
    pictures: Iterable[CaptionedPicture], tables: Path, data: Path, seed: int = 0
) -> list[CaptionedPicture]:
    """The pictures with `caption_questions` beside those that they have; `tables` is a folder of CHAIR's synonyms.json
    and double_words.json, and the data folder `data` may have NLTK's (else lemminflect reads the captions).

    Raises `DataError` where a table is missing or has another layout.
    """
    pictures, words = list(pictures), load_tables(tables)
    normaliser = next(iter(normalisers(data).values()))
    named = {
        str(each.picture): {
            name
            for caption in each.captions
            for name in named_classes(merge_words(normaliser.words(caption), words), words)
        }
        for each in pictures
    }
    questions = caption_questions(named, np.random.default_rng(seed))
    return [
        replace(
            each,
            questions=(
                *each.questions,
                *(
                    (f"{question_text(name)}\n{INSTRUCTION}", "Yes" if there else "No")
                    for name, there in questions[str(each.picture)]
                ),
            ),
        )
        for each in pictures
    ]
