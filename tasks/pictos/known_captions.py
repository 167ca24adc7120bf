"""Sentences and captions of scenes of which it is known what is wrong with them: what judges of the loops are measured
on. One claim is changed, or a sentence added or left out. Scenes are of the split dev."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.examination import KnownTexts
from tasks.pictos.benchmarks import ScenePicture
from tasks.pictos.language import DESCRIBE, PLACES, Claim, claims, tempting_absent
from tasks.pictos.world import SPLITS, Scene, compose

CHANGES = ("another object", "another place", "another number", "another size")
LENGTHS = ("one more", "one left out")
ALIKE = "another order"


def known_sentences(count: int, seed: int = 0) -> list[KnownTexts]:
    """`count` sentences with each of `CHANGES`, and the true ones that they were; the same for the same seed."""
    cases = []
    for kind, scene, true, changed in _changed(CHANGES, count, seed):
        (true_one,), (false_one,) = set(true) - set(changed), set(changed) - set(true)
        cases += [_case(kind, scene, (true_one.sentence(),), 0), _case(kind, scene, (false_one.sentence(),), None)]
    return cases


def known_captions(count: int, seed: int = 0) -> list[KnownTexts]:
    """`count` pairs of captions of each kind, the same for the same seed: the whole scene, in every other pair first,
    beside one with one of `CHANGES` or `LENGTHS`; and beside its own sentences in reverse, which say the same."""
    cases = []
    for number, (kind, scene, true, changed) in enumerate(_changed((*CHANGES, *LENGTHS, ALIKE), count, seed)):
        case = _case(kind, scene, (_caption(true), _caption(changed)), None if kind == ALIKE else 0)
        cases.append(case.reversed() if number % 2 else case)
    return cases


Changed = tuple[str, Scene, Sequence[Claim], Sequence[Claim]]
"""(kind, a scene, its claims, the claims changed)."""


def _changed(kinds: Sequence[str], count: int, seed: int) -> Iterator[Changed]:
    """`count` changes of each kind, each about another scene, in the order of the scenes."""
    missing = Counter(dict.fromkeys(kinds, count))
    for number in SPLITS["dev"]:
        if not missing.total():
            return
        scene, rng = compose(number), np.random.default_rng((number, seed))
        true = claims(scene)
        changes = _changes(scene, true, rng)
        kind = max((kind for kind in kinds if kind in changes), key=missing.__getitem__)
        if missing[kind]:
            missing[kind] -= 1
            yield kind, scene, true, changes[kind]


def _changes(scene: Scene, true: Sequence[Claim], rng: np.random.Generator) -> Mapping[str, Sequence[Claim]]:
    """What may be said of a scene in the place of its claims, by kind, as far as it has something to change."""
    index = int(rng.integers(len(true)))
    claim, absent = true[index], tempting_absent(scene, rng)
    places = [other for other in PLACES if other != claim.place]
    changes = {
        "another object": [replace(claim, name=absent)],
        "another number": [replace(claim, count=claim.count + 1, size=None)],  # of fewer it might be called true
        "one more": [claim, replace(claim, name=absent)],
    }
    if claim.place:
        changes["another place"] = [replace(claim, place=places[rng.integers(len(places))])]
    if claim.size:
        changes["another size"] = [replace(claim, size="small" if claim.size == "large" else "large")]
    if len(true) > 1:
        changes["one left out"] = []
    changed = {kind: [*true[:index], *instead, *true[index + 1 :]] for kind, instead in changes.items()}
    return changed | ({ALIKE: true[::-1]} if len(true) > 1 else {})


def _case(kind: str, scene: Scene, texts: tuple[str, ...], right: int | None) -> KnownTexts:
    return KnownTexts(kind=kind, question=DESCRIBE, pictures=(ScenePicture(scene.seed),), texts=texts, right=right)


def _caption(statements: Sequence[Claim]) -> str:
    return " ".join(claim.sentence() for claim in statements)
