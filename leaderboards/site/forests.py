"""Forest plots: differences with their intervals below each other, as pages show them."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboards.charts import Bar, forest
from leaderboards.render import Cell
from leaderboards.site.cells import bounds, judged, on_axis, shown
from leaderboards.site.folder import Chart, SiteFolder, visible

MOST_BARS = 40
"""Lines of a plot; the title of one that would have more says so."""


def forest_chart(
    folder: SiteFolder, name: str, lines: Sequence[tuple[str, Cell]], *, title: str, minus: str
) -> Chart | None:
    """Write the plot of some differences of one metric, by what each is called; None where there is no difference.

    `minus` says what was taken from what; `name` is a word of our own.
    """
    bars, words = [], []
    for called, cell in lines:
        if cell.difference is None or cell.difference.value is None:
            continue
        found, label = cell.difference, visible(_short(called))
        value, ends = on_axis(cell.difference.value, cell.metric), bounds(found.low, found.high, cell.metric)
        bars.append(Bar(name=label, value=value, bounds=ends, better=judged(cell)))
        figure = shown(cell)
        words.append(f"{called}: {figure.delta} {figure.delta_interval} {figure.verdict}")
    if not bars:
        return None
    left_out = f", the first {MOST_BARS} of {len(bars)}" if len(bars) > MOST_BARS else ""
    points = " in points" if lines[0][1].metric.percent else ""
    return folder.chart(
        name,
        forest(bars[:MOST_BARS], axis=f"Δ{points}, {minus}"),
        title=f"{title}{left_out}",
        words=f"{title}, {minus}. {'; '.join(words[:MOST_BARS])}.",
    )


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"{name[:34]}…"
