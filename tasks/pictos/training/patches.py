"""What each patch of a picture is taught to tell: what fills it, and the numbers that are asked about that.

As object detectors are taught (the distances of every location to the edges of its object: FCOS, Tian et al.,
arXiv 1904.01355), so that one look from a name to any of its patches fetches the box and the count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.data import IterableDataset

from tasks.pictos.catalogue import BY_NAME, CATEGORIES
from tasks.pictos.charts import Chart, compose_chart, draw_chart, stamp_boxes
from tasks.pictos.hand import GLYPH, HAND_SIDE, Hand
from tasks.pictos.training.build import PATCH
from tasks.pictos.world import SIDE, SPLITS, Scene, compose, corners, draw, owners_of, pictogram

IGNORE = -100
HAND = 1 + len(CATEGORIES)
"""The label of the hand, behind those of the categories; 0 is nothing."""

LABELS = HAND + 1
LEAST = PATCH * PATCH // 5
"""Pixels of a patch that a thing must cover for the patch to be its own, and more than any other thing does."""

CHART_SHARE, HAND_SHARE = 0.1, 0.15

BLOCK, SEVERAL_SHARE = 8, 0.35
"""Seeds that each picture is chosen from. Few scenes have several things of one kind, which are to be counted."""

MEAN, STD = 0.5, 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Patches:
    """Of each patch, row by row: `labels` (P,): what fills it; `numbers` (P, 5): left, top, right and bottom edge of
    that in pixels, 0 to SIDE - 1, and how many: things of its kind in a scene, units of its bar in a chart, IGNORE
    where nothing is to be told; `middle` (P,): whether the middle of that lies in it, so that things can be counted."""

    labels: np.ndarray
    numbers: np.ndarray
    middle: np.ndarray


def pixels_of(picture: Image.Image) -> torch.Tensor:
    """(3, SIDE, SIDE) as the processor makes it."""
    array = np.asarray(picture, dtype=np.float32) / 255
    return torch.from_numpy((array - MEAN) / STD).permute(2, 0, 1)


def scene_patches(scene: Scene, hand: Hand | None = None) -> Patches:
    owners = owners_of(scene)
    counts = scene.counts()
    facts = [
        (1 + CATEGORIES.index(thing.category), (*corners(thing.box), counts[thing.category.name]))
        for thing in scene.things
    ]
    if hand is not None:
        x, y, width, height = hand.box
        window = owners[y : y + height, x : x + width]
        window[np.asarray(pictogram(GLYPH, HAND_SIDE))[:, :, 3] > 100] = len(facts)
        facts.append((HAND, (*corners(hand.box), 1)))
    return _told(owners, facts)


def chart_patches(chart: Chart) -> Patches:
    """The pictograms at the foot, each with the height of its bar."""
    owners = np.full((SIDE, SIDE), -1, dtype=np.int16)
    facts = []
    for index, ((name, height), (x, y, width, tall)) in enumerate(zip(chart.bars, stamp_boxes(chart), strict=True)):
        owners[y : y + tall, x : x + width] = index
        facts.append((1 + CATEGORIES.index(BY_NAME[name]), (*corners((x, y, width, tall)), height)))
    return _told(owners, facts)


def _told(owners: np.ndarray, facts: Sequence[tuple[int, tuple[int, ...]]]) -> Patches:
    """`owners` (SIDE, SIDE) names the fact of each pixel, -1 for none."""
    grid = SIDE // PATCH
    tiles = owners.reshape(grid, PATCH, grid, PATCH).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
    covered = np.stack([(tiles == index).sum(1) for index in range(len(facts))])
    best = covered.argmax(0)
    labels = np.array([label for label, _ in facts])[best]
    numbers = np.array([numbers for _, numbers in facts])[best]
    enough = covered.max(0) > LEAST
    across, down = (numbers[:, side] + numbers[:, side + 2] for side in (0, 1))
    middle = down // (2 * PATCH) * grid + across // (2 * PATCH) == np.arange(grid * grid)
    return Patches(
        labels=np.where(enough, labels, 0),
        numbers=np.where(enough[:, None], numbers, IGNORE),
        middle=(middle & enough).astype(np.float32),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """pixels (B, 3, SIDE, SIDE) float; labels (B, P), numbers (B, P, 5) long, middle (B, P) float, as in `Patches`."""

    pixels: torch.Tensor
    labels: torch.Tensor
    numbers: torch.Tensor
    middle: torch.Tensor


class LabelledPictures(IterableDataset[Labelled]):
    """Batches of scenes, of scenes with a hand somewhere, and of charts, with what their patches are taught to tell."""

    def __init__(self, start: int, steps: int, batch: int) -> None:
        self.start, self.steps, self.batch = start, steps, batch

    def __iter__(self) -> Iterator[Labelled]:
        for step in range(self.steps):
            first = self.start + step * self.batch
            rows = [self._row(number) for number in range(first, first + self.batch)]
            yield Labelled(
                pixels=torch.stack([pixels_of(picture) for picture, _ in rows]),
                labels=torch.from_numpy(np.stack([patches.labels for _, patches in rows])),
                numbers=torch.from_numpy(np.stack([patches.numbers for _, patches in rows])),
                middle=torch.from_numpy(np.stack([patches.middle for _, patches in rows])),
            )

    def _row(self, number: int) -> tuple[Image.Image, Patches]:
        rng = np.random.default_rng((number, 13))
        seed, chance = chosen_seed(number, rng), rng.random()
        if chance < CHART_SHARE:
            chart = compose_chart(seed)
            return draw_chart(chart), chart_patches(chart)
        scene = compose(seed)
        if chance < CHART_SHARE + HAND_SHARE:
            hand = hand_somewhere(scene, rng)
            return hand(), scene_patches(scene, hand)
        return draw(scene), scene_patches(scene)


def chosen_seed(number: int, rng: np.random.Generator) -> int:
    """The seed of the picture with that number: the first of its block, or, in `SEVERAL_SHARE` of all cases, the one
    whose scene has the most things of one kind."""
    block = SPLITS["models"][number * BLOCK : (number + 1) * BLOCK]
    if rng.random() < SEVERAL_SHARE:
        return max(block, key=lambda seed: max(compose(seed).counts().values()))
    return block[0]


def hand_somewhere(scene: Scene, rng: np.random.Generator) -> Hand:
    x, y = (int(value) for value in rng.integers(HAND_SIDE // 2, SIDE - HAND_SIDE // 2, 2))
    return Hand(seed=scene.seed, name=scene.things[0].category.name, x=x, y=y)
