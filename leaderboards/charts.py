"""Charts as inline SVG; the only module that imports matplotlib.

A chart holds numbers only: names come from recipes and models and are put beside it by the page, which escapes them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SERIES_STYLES = (
    ("#3b82c4", "o", "●"),
    ("#d9772b", "s", "■"),
    ("#3f9d5d", "^", "▲"),
    ("#b565c2", "D", "◆"),
    ("#c9504f", "v", "▼"),
    ("#8a8f2a", "P", "✚"),
)
"""Colour, matplotlib's marker and the character that stands for it in a legend: told apart without colour, and
readable on white and on black."""

_INK = "#010203"  # a colour that nothing else has; replaced by the page's own, so that charts follow light and dark

_SETTINGS = {
    "svg.hashsalt": "strop",  # ids are drawn from this and the content: the same figures give the same bytes
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A figure of one round in the unit of the axis; `low` and `high` None draws no bar."""

    round: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One run's points, in the style `SERIES_STYLES[style]` (counted round)."""

    style: int
    points: Sequence[Point]


def rounds_chart(series: Sequence[Series], *, name: str) -> str:
    """A metric over rounds with interval bars, as an `<svg>` element that scales with the page.

    `name` is a word of our own that no other chart on the page has; every id in the drawing starts with it.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        axes = figure.add_subplot()
        for place, one in enumerate(series):
            colour, marker, _ = SERIES_STYLES[one.style % len(SERIES_STYLES)]
            # Runs of one round are set beside each other, or their bars would lie on one line.
            shift = 0.06 * (place - (len(series) - 1) / 2)
            x = [point.round + shift for point in one.points]
            axes.plot(x, [point.value for point in one.points], color=colour, marker=marker, linewidth=1.4)
            for at, point in zip(x, one.points, strict=True):
                if point.low is not None and point.high is not None:
                    axes.plot([at, at], [point.low, point.high], color=colour, linewidth=1.4, alpha=0.7)
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.06)
        axes.grid(axis="y", color=_INK, alpha=0.15)
        content = io.StringIO()
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(content.getvalue(), name)


def _inline(svg: str, name: str) -> str:
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    # Two charts share the shapes of their markers and the numbers of their groups; a page must not hold an id twice.
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    element = re.sub(r'\s(?:width|height)="[^"]*pt"', "", element)
    return element.replace(_INK, "currentColor").replace("<svg", '<svg role="img"', 1)
