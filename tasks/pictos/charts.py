"""Bar charts of pictograms: the pictures behind MathVista-format questions about figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from tasks.pictos.catalogue import BY_NAME, CATEGORIES
from tasks.pictos.language import LETTERS, Question, hinted
from tasks.pictos.world import SIDE, Box, pictogram
from tasks.scienceqa.questions import scienceqa_prompt

HIGHEST_BAR = "Which has the highest bar?"

TALLEST = 9
"""The greatest height of a bar."""

_UNIT = 5
_COLOURS = ((66, 120, 180), (220, 130, 50), (90, 160, 90), (170, 90, 160))


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """Bars from left to right: (category name, height in units of 1..9)."""

    seed: int
    bars: tuple[tuple[str, int], ...]

    @property
    def highest(self) -> str:
        """The category of the highest bar."""
        return max(self.bars, key=lambda bar: bar[1])[0]


@lru_cache(maxsize=4_000)
def compose_chart(seed: int) -> Chart:
    """The chart of a seed: three or four bars, exactly one of them the highest."""
    rng = np.random.default_rng((seed, 3))
    names = [CATEGORIES[index].name for index in rng.choice(len(CATEGORIES), rng.integers(3, 5), replace=False)]
    heights = [int(height) for height in rng.integers(1, TALLEST, len(names))]
    highest = int(rng.integers(len(names)))
    heights[highest] = max(heights) + 1
    return Chart(seed=seed, bars=tuple(zip(names, heights, strict=True)))


def draw_chart(chart: Chart) -> Image.Image:
    """The picture, RGB, SIDE x SIDE: pictograms along the foot, bars above them, a tick at each unit."""
    rng = np.random.default_rng((chart.seed, 4))
    picture = Image.new("RGB", (SIDE, SIDE), (250, 250, 246))
    pen = ImageDraw.Draw(picture)
    floor, width = SIDE - 15, SIDE // len(chart.bars)
    colour = _COLOURS[rng.integers(len(_COLOURS))]
    for unit in range(1, TALLEST + 1):
        pen.line((0, floor - unit * _UNIT, SIDE, floor - unit * _UNIT), fill=(222, 222, 218))
    for index, (_, height) in enumerate(chart.bars):
        left = index * width + 2
        pen.rectangle((left, floor - height * _UNIT, left + width - 5, floor), fill=colour)
    for (name, _), (x, y, side, _) in zip(chart.bars, stamp_boxes(chart), strict=True):
        stamp = pictogram(BY_NAME[name].glyph, side)
        picture.paste(stamp, (x, y), stamp)
    return picture


def stamp_boxes(chart: Chart) -> list[Box]:
    """Where the pictogram of each bar is pasted."""
    width = SIDE // len(chart.bars)
    return [(index * width + 2 + (width - 17) // 2, SIDE - 14, 13, 13) for index in range(len(chart.bars))]


def height_of(name: str) -> str:
    return f"How many {BY_NAME[name].plural} does the chart show?"


def chart_questions(chart: Chart, rng: np.random.Generator) -> list[Question]:
    """A height as a number, and the name of the highest bar as an option letter."""
    name, height = chart.bars[rng.integers(len(chart.bars))]
    names = [bar[0] for bar in chart.bars]
    rng.shuffle(names)
    return [
        Question(kind="chart-number", prompt=hinted(height_of(name)), answer=str(height)),
        Question(
            kind="chart-option",
            prompt=scienceqa_prompt(HIGHEST_BAR, names),
            answer=LETTERS[names.index(chart.highest)],
        ),
    ]
