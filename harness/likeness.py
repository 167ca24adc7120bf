"""Whether two pictures are one, of which the other is a copy that was scaled or saved again with losses.

A perceptual hash finds candidates: 64 bits, each whether one of a picture's 64 lowest frequencies (DCT-II of its 32x32
grey copy) is above their median. It is pHash as Zauner describes it ("Implementation and Benchmarking of Perceptual
Image Hash Functions", 2010, 3.2.1) with the coefficients that the ImageHash library takes. Candidates are then held
against each other in small, colour by colour: pictures that share a layout (maps of which one country is marked,
charts) have like hashes and are no copies. What was cropped, framed, turned or mirrored is another picture here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

SIDE, FREQUENCIES, SMALL = 32, 8, 16

BITS_APART = 8
"""Hashes of copies differ in so many bits at most."""

LEVELS_APART = 48
"""No colour of a copy at `SMALL` x `SMALL` pixels is further from the original's, of 255."""

FLAT = 4.0
"""A picture whose grey levels at `SIDE` x `SIDE` pixels have a smaller standard deviation is next to one colour: it has
nothing to be recognised by."""

_COSINES = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * (2 * np.arange(SIDE)[None] + 1) / (2 * SIDE))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """What a picture is recognised by: its hash of 64 bits, and its colours in small: (SMALL, SMALL, 3), of 255."""

    bits: np.uint64
    colours: np.ndarray


def fingerprint(image: Image.Image) -> Fingerprint | None:
    """The fingerprint of an RGB picture; None of one that is next to one colour."""
    small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    grey = np.asarray(small.convert("L"), dtype=np.float64)
    if grey.std() < FLAT:
        return None
    frequencies = _COSINES @ grey @ _COSINES.T
    bits = np.packbits(frequencies > np.median(frequencies)).view(np.uint64)[0]
    return Fingerprint(bits=bits, colours=np.asarray(small.reduce(SIDE // SMALL), dtype=np.int16))


class Album:
    """Fingerprints by name, among which copies are looked for."""

    def __init__(self, prints: Mapping[str, Fingerprint]) -> None:
        self._names, self._prints = [*prints], [*prints.values()]
        self._bits = np.array([each.bits for each in self._prints], dtype=np.uint64)

    def copies(self, other: Fingerprint) -> list[str]:
        """The names of those that are of the picture that `other` is of."""
        near = np.flatnonzero(np.bitwise_count(self._bits ^ other.bits) <= BITS_APART)
        return [
            self._names[place]
            for place in near
            if np.abs(self._prints[place].colours - other.colours).max() <= LEVELS_APART
        ]
