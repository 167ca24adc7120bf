"""Charts as SVG, inline for the board and as files in light and dark for the site; the only importer of matplotlib.

An inline chart holds numbers only: names come from recipes and models and are put beside it by the page, which escapes
them. A chart in a file may hold names: matplotlib escapes them, and in a picture nothing runs.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#7f868d"
"""Okabe and Ito's colours, which the colour-blind tell apart (Color Universal Design, 2008), and a grey."""

SERIES_STYLES = (
    (BLUE, "o", "●"),
    (VERMILLION, "s", "■"),
    (GREEN, "^", "▲"),
    (PURPLE, "D", "◆"),
    (ORANGE, "v", "▼"),
    (GREY, "P", "✚"),
)
"""Colour, matplotlib's marker and the character that stands for it in a legend: told apart without colour, and
readable on white and on black."""

BAR_STYLES = {
    "better": (BLUE, "o", BLUE),
    "worse": (VERMILLION, "X", VERMILLION),
    "unclear": (GREY, "o", "none"),
    "measured": (BLUE, "o", BLUE),
    "published": (GREY, "D", "none"),
}
"""Colour, marker and what fills it."""

_DASHES = ("-", "--", "-.", ":")

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A line of a forest plot: a figure with its interval (None draws none), in the unit of the axis; `kind` is one of
    `BAR_STYLES`, `corrected` a wider interval, drawn thin."""

    name: str
    value: float
    bounds: tuple[float, float] | None
    kind: str
    corrected: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A line through points of a unit square, in the style `SERIES_STYLES[style]` (counted round)."""

    name: str
    style: int
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A chart as two SVG documents, for paper and for the dark."""

    light: str
    dark: str


def rounds_chart(series: Sequence[Series], *, name: str) -> str:
    """A metric over rounds with interval bars, as an `<svg>` element that scales with the page.

    `name` is a word of our own that no other chart on the page has; every id in the drawing starts with it.
    """
    with matplotlib.rc_context(_SETTINGS):
        return _inline(_svg(_rounds(series, (6.4, 3.2))), name)


def rounds_drawing(series: Sequence[Series]) -> Drawing:
    """The same as files, small enough to be read on a phone."""
    with matplotlib.rc_context(_SETTINGS):
        return _drawing(_rounds(series, (3.4, 2.3)))


def forest(bars: Sequence[Bar], *, axis: str, zero: bool) -> Drawing:
    """Figures with their intervals below each other, with a line at zero where they are differences."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(4.8, 0.8 + 0.27 * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        if zero:
            axes.axvline(0, color=_INK, linewidth=1, alpha=0.6)
        for position, bar in enumerate(bars):
            colour, marker, face = BAR_STYLES[bar.kind]
            if bar.corrected:
                axes.plot(bar.corrected, [position, position], color=colour, linewidth=0.8, solid_capstyle="butt")
            if bar.bounds:
                axes.plot(bar.bounds, [position, position], color=colour, linewidth=2.4, solid_capstyle="butt")
            axes.plot(bar.value, position, marker=marker, color=colour, markerfacecolor=face, markersize=7)
        axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure.supxlabel(axis, fontsize="medium")  # over the whole width: long names leave the axes little
        axes.grid(axis="x", color=_INK, alpha=0.15)
        return _drawing(figure)


def unit_square(curves: Sequence[Curve], *, x: str, y: str) -> Drawing:
    """Curves from (0, 0) to (1, 1), as of shares of true over shares of false alarms, with the diagonal of chance."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(3.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, alpha=0.5, linestyle=":")
        for curve in curves:
            colour, _, _ = SERIES_STYLES[curve.style % len(SERIES_STYLES)]
            dash = _DASHES[curve.style % len(_DASHES)]
            axes.plot(curve.x, curve.y, color=colour, linewidth=1.8, linestyle=dash, label=curve.name)
        axes.set_aspect("equal")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.legend(loc="lower right", frameon=False)
        return _drawing(figure)


def _rounds(series: Sequence[Series], size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for index, line in enumerate(series):
        # Runs of one round are set beside each other, or their bars would lie on one line.
        _one_series(axes, line, 0.06 * (index - (len(series) - 1) / 2))
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.margins(x=0.06)
    axes.grid(axis="y", color=_INK, alpha=0.15)
    return figure


def _one_series(axes: Axes, series: Series, shift: float) -> None:
    colour, marker, _ = SERIES_STYLES[series.style % len(SERIES_STYLES)]
    x = [point.round + shift for point in series.points]
    axes.plot(x, [point.value for point in series.points], color=colour, marker=marker, linewidth=1.4)
    for at, point in zip(x, series.points, strict=True):
        if point.low is not None and point.high is not None:
            axes.plot([at, at], [point.low, point.high], color=colour, linewidth=1.4, alpha=0.7)


def _svg(figure: Figure) -> str:
    content = io.StringIO()
    with warnings.catch_warnings():
        # Letters that matplotlib's own font lacks are drawn by the reader's; only their width is guessed.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _drawing(figure: Figure) -> Drawing:
    svg = re.sub(r"<metadata>.*?</metadata>", "", _svg(figure), flags=re.DOTALL)
    return Drawing(
        light=svg.replace(_INK, "#1b1f24"),
        # Okabe and Ito's sky blue stands for their blue on black, where that one is hard to see.
        dark=svg.replace(_INK, "#e4e8ec").replace(BLUE, "#56b4e9"),
    )


def _inline(svg: str, name: str) -> str:
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    # Two charts share the shapes of their markers and the numbers of their groups; a page must not hold an id twice.
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", element)
    element = re.sub(r'\s(?:width|height)="[^"]*pt"', "", element)
    return element.replace(_INK, "currentColor").replace("<svg", '<svg role="img"', 1)
