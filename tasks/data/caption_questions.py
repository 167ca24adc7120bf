"""Yes-or-no questions made of captions: is an object that they name in the picture, and one that they do not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

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
