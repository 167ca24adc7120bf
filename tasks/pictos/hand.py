"""A hand in a scene, and the moves that bring it to a thing: the world behind `pictos_reach`.

A move shifts the hand by `STEP` pixels, and not beyond the picture's edge; take closes it on whatever is under its
middle. The picture is drawn anew after each move. Everything follows from the scene's seed and the moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from tasks.pictos.language import things_alone
from tasks.pictos.world import SIDE, Scene, Thing, compose, draw, pictogram

GLYPH = "\u270b"
HAND_SIDE = 11
"""The side of the hand's pictogram in pixels."""

STEP = 10
"""Pixels of a move."""

REACH = 6
"""How far the hand's middle may be from the middle of the thing, in each direction, to take it: every thing can be
taken from some place, since a place on the way is never further than `STEP` / 2."""

SMALLEST = 14
"""The least width and height in pixels of a thing that the hand is sent to: a smaller one hides behind it."""

AWAY = 2
"""The least number of moves from the hand to the thing at the start."""

TAKE = "take"
MOVES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
MOST_MOVES = 12
"""Moves of an episode, the last of which is take where it succeeds: the longest way needs 11, most need 3 to 6."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """A scene with a hand at (x, y), its middle in pixels, that is to be brought to the thing called `name`."""

    seed: int
    name: str
    x: int
    y: int
    taken: bool = False

    @property
    def prompt(self) -> str:
        return f"Bring the hand to the {self.name}. Answer with one word: left, right, up, down or take."

    @property
    def thing(self) -> Thing:
        """What the hand is to be brought to."""
        return next(thing for thing in compose(self.seed).things if thing.category.name == self.name)

    @property
    def reached(self) -> bool:
        """Whether taking now takes the thing."""
        return max(abs(distance) for distance in self.distance) <= REACH

    @property
    def distance(self) -> tuple[float, float]:
        """Pixels to the right and down from the hand's middle to the middle of the thing's box."""
        x, y, width, height = self.thing.box
        return x + width / 2 - self.x, y + height / 2 - self.y

    @property
    def best(self) -> str:
        """The move of the one who knows: sideways until the thing is above or below, then up or down, then take."""
        across, down = self.distance
        if abs(across) > REACH:
            return "right" if across > 0 else "left"
        if abs(down) > REACH:
            return "down" if down > 0 else "up"
        return TAKE

    def moved(self, move: str) -> Hand:
        """After that move; the same where it is none, or take with nothing within reach."""
        if move == TAKE:
            return replace(self, taken=self.reached)
        across, down = MOVES.get(move, (0, 0))
        half = HAND_SIDE // 2
        return replace(
            self,
            x=min(max(self.x + across * STEP, half), SIDE - 1 - half),
            y=min(max(self.y + down * STEP, half), SIDE - 1 - half),
        )

    def __call__(self) -> Image.Image:
        """The picture, RGB, SIDE x SIDE: the scene with the hand over it."""
        picture = _scenery(self.seed).copy()
        stamp = pictogram(GLYPH, HAND_SIDE)
        picture.paste(stamp, (self.x - HAND_SIDE // 2, self.y - HAND_SIDE // 2), stamp)
        return picture


def walked(hand: Hand, moves: Iterable[str]) -> Hand:
    """Where these moves lead."""
    for move in moves:
        hand = hand.moved(move)
    return hand


@lru_cache(maxsize=4_000)
def started(seed: int) -> Hand | None:
    """The hand at its start in the scene of a seed; None where no thing is large enough, alone of its kind and
    `AWAY` moves off."""
    scene = compose(seed)
    rng = np.random.default_rng((seed, 12))
    x, y = (int(value) for value in rng.integers(HAND_SIDE // 2, SIDE - HAND_SIDE // 2, 2))
    targets = [thing for thing in _large_alone(scene) if shortest(Hand(seed=seed, name=thing.category.name, x=x, y=y))]
    if not targets:
        return None
    return Hand(seed=seed, name=targets[rng.integers(len(targets))].category.name, x=x, y=y)


def shortest(hand: Hand) -> int | None:
    """The number of moves of the one who knows, take among them; None where it is nearer than `AWAY` moves or cannot
    be reached."""
    for number in range(MOST_MOVES):
        if hand.reached:
            return number + 1 if number >= AWAY else None
        hand = hand.moved(hand.best)
    return None


@lru_cache(maxsize=1_000)
def _scenery(seed: int) -> Image.Image:
    return draw(compose(seed))


def _large_alone(scene: Scene) -> list[Thing]:
    return [thing for thing in things_alone(scene) if min(thing.box[2:]) >= SMALLEST]
