"""Scenes made of a description: what somebody imagines in the language of captions, drawn so that all of it is true."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from harness.sentences import split_sentences
from tasks.pictos.catalogue import BY_NAME, CATEGORIES
from tasks.pictos.language import NUMBERS, PLACES, Claim, claims
from tasks.pictos.world import SIDE, Glyph, Scene, arranged, draw

TRIES = 60
"""Arrangements that are tried for a description, a few milliseconds each."""

MOST_THINGS = 8
"""More of them have no room in a picture of `SIDE` x `SIDE` pixels."""

_SIZES = {"small": (10, 13), "large": (22, 28), None: (14, 22)}
"""The side of a pictogram, in pixels, that is called so."""


@dataclass(frozen=True, slots=True)
class DescribedPicture:
    """The picture of a described scene, drawn when it is called."""

    text: str
    seed: int

    def __call__(self) -> Image.Image:
        scene = scene_of(self.text, self.seed)
        if scene is None:
            raise ValueError(f"nothing to draw is described by {self.text!r}")
        return draw(scene)


@lru_cache(maxsize=1)
def _sentences() -> dict[str, Claim]:
    """Every sentence of a caption, with what it says."""
    names, places = [category.name for category in CATEGORIES], (*PLACES, None)
    every = [
        Claim(name=name, count=count, place=place, size=size)
        for name in names
        for count in range(1, len(NUMBERS))
        for place in places
        for size in (("small", "large", None) if count == 1 else (None,))
    ]
    return {claim.sentence(): claim for claim in every}


def read_claims(text: str) -> list[Claim] | None:
    """What a caption says, sentence by sentence; None for a text with any other sentence, or with two of one category.

    Example:
        >>> [(claim.count, claim.name, claim.place) for claim in read_claims("A small cat on the left. Two dogs.")]
        [(1, 'cat', 'on the left'), (2, 'dog', None)]
    """
    spoken = [_sentences().get(sentence) for sentence in split_sentences(text)]
    said = [claim for claim in spoken if claim is not None]
    if not said or len(said) < len(spoken) or len({claim.name for claim in said}) < len(said):
        return None
    return said


def scene_of(text: str, seed: int) -> Scene | None:
    """A scene of which every sentence is true and that holds nothing else; None where the text is no caption, or none
    of `TRIES` arrangements makes it true."""
    described = read_claims(text)
    if described is None or sum(claim.count for claim in described) > MOST_THINGS:
        return None
    rng = np.random.default_rng((seed, 3))
    sentences = {claim.sentence() for claim in described}
    for _ in range(TRIES):
        glyphs = [(claim.name, _placed(claim, rng)) for claim in described for _ in range(claim.count)]
        scene = arranged(seed, glyphs)
        if scene is not None and {claim.sentence() for claim in claims(scene)} == sentences:
            return scene
    return None


def _placed(claim: Claim, rng: np.random.Generator) -> Glyph:
    """A pictogram of what is claimed, as large as it says and in the third of the picture that it names."""
    smallest, largest = _SIZES[claim.size]
    side = int(rng.integers(smallest, largest + 1))
    left, right = 0, SIDE - side
    if claim.place is not None:
        third = PLACES.index(claim.place)
        middle = SIDE * third / 3, SIDE * (third + 1) / 3
        left, right = max(left, round(middle[0] - side / 2)), min(right, round(middle[1] - side / 2))
    return Glyph(
        text=BY_NAME[claim.name].glyph,
        side=side,
        mirrored=bool(rng.random() < 0.5),
        turn=int(rng.choice((-15, 0, 0, 15))),
        x=int(rng.integers(left, right + 1)),
        y=int(rng.integers(0, SIDE - side + 1)),
    )
