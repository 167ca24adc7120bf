"""Forest plots: differences with their intervals below each other, as pages show them."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboards.beside import Comparison
from leaderboards.charts import Bar, forest
from leaderboards.render import Cell, arrow, figure
from leaderboards.site.cells import bounds, on_axis, shown
from leaderboards.site.folder import Chart, SiteFolder, visible

MOST_BARS = 40
"""Lines of a plot; the title of one that would have more says so."""


def forest_chart(
    folder: SiteFolder,
    name: str,
    lines: Sequence[tuple[str, Cell]],
    *,
    title: str,
    minus: str,
    corrected: Sequence[tuple[float, float] | None] = (),
) -> Chart | None:
    """Write the plot of some differences of one metric, by what each is called; None where there is no difference.

    `minus` says what was taken from what; `name` is a word of our own; `corrected` are wider intervals, as fractions,
    of all lines or of none.
    """
    bars, words = [], []
    for (called, cell), wide in zip(lines, corrected or [None] * len(lines), strict=True):
        if cell.difference is None or cell.difference.value is None:
            continue
        difference, label = cell.difference, visible(_short(called))
        value, ends = on_axis(cell.difference.value, cell.metric), bounds(difference.low, difference.high, cell.metric)
        moved = shown(cell)
        thin = bounds(*wide, cell.metric) if wide else None
        bars.append(Bar(name=label, value=value, bounds=ends, kind=moved.verdict, corrected=thin))
        words.append(f"{called}: {moved.delta} {moved.delta_interval} {moved.verdict}")
    if not bars:
        return None
    left_out = f", the first {MOST_BARS} of {len(bars)}" if len(bars) > MOST_BARS else ""
    points = " in points" if lines[0][1].metric.percent else ""
    return folder.chart(
        name,
        forest(bars[:MOST_BARS], axis=f"Δ{points}, {minus}", zero=True),
        title=f"{title}{left_out}",
        words=f"{title}, {minus}. {'; '.join(words[:MOST_BARS])}.",
    )


def level_chart(folder: SiteFolder, name: str, comparison: Comparison) -> Chart:
    """Write the plot of measured figures with their intervals above published ones."""
    bars, words = [], []
    for called, estimate in comparison.measured[:MOST_BARS]:
        if estimate.value is not None:
            ends = bounds(estimate.low, estimate.high, comparison.metric)
            value = on_axis(estimate.value, comparison.metric)
            bars.append(Bar(name=visible(_short(called)), value=value, bounds=ends, kind="measured"))
            words.append(f"{called}: {figure(estimate.value, comparison.metric)} measured")
    for called, value in comparison.published:
        value = on_axis(value, comparison.metric)
        bars.append(Bar(name=_short(called), value=value, bounds=None, kind="published"))
        words.append(f"{called}: {value:g} published")
    left_out = (
        f", the first {MOST_BARS} of {len(comparison.measured)} rows" if len(comparison.measured) > MOST_BARS else ""
    )
    title = f"{comparison.label}: {comparison.metric.name}{arrow(comparison.metric)}{left_out}"
    drawing = forest(bars, axis="%" if comparison.metric.percent else comparison.metric.name, zero=False)
    return folder.chart(name, drawing, title=title, words=f"{title}. {'; '.join(words)}.")


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"{name[:34]}…"
