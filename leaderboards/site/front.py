"""The front page: checkpoints by tasks, to sort and to filter, and what each run came to beside its seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboards.charts import Bar, forest
from leaderboards.render import CAPTION, POOLED_CAPTION, Board, Row, TaskView, arrow
from leaderboards.site.cells import Figure, bounds, judged, on_axis, shown
from leaderboards.site.folder import Chart, SiteFolder, visible
from leaderboards.site.run import RunPage

MOST_BARS = 40
"""Lines of a forest plot; a board of more runs says which were left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """A metric of a task; companions of the headline are shown when the task is chosen."""

    label: str
    name: str
    headline: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    row: Row
    href: str | None
    family: str
    figures: tuple[Figure, ...]


def write_front(folder: SiteFolder, pages: Sequence[RunPage], board: Board) -> None:
    """Write index.html."""
    lines = list(_lines(pages, board))
    folder.page(
        "index.html",
        "front.html.jinja",
        columns=[
            _Column(label=view.label, name=metric.name + arrow(metric), headline=metric == view.headline)
            for view in board.tasks
            for metric in view.shown
        ],
        lines=lines,
        choices={
            "family": _distinct(line.family for line in lines),
            "task": [view.label for view in board.tasks],
            "level": _distinct(line.row.level for line in lines),
            "verifier": _distinct(line.row.verifier for line in lines),
        },
        charts=[one for n, view in enumerate(board.tasks, start=1) for one in _forest(folder, board, view, n)],
        captions=[CAPTION, *([POOLED_CAPTION] if any(row.pooled for row in board.rows) else [])],
        notes=board.notes,
        runs=len(pages),
    )  # fmt: skip


def _lines(pages: Sequence[RunPage], board: Board) -> Iterable[_Line]:
    families: dict[str, str] = {}
    for page in pages:
        families.setdefault(page.entry.run.name, page.family)
        for row in page.rows.values():
            yield _Line(row=row, href=page.href, family=page.family, figures=_figures(board, row))
    for row in board.rows:
        if row.pooled:
            yield _Line(row=row, href=None, family=families[row.run], figures=_figures(board, row))


def _figures(board: Board, row: Row) -> tuple[Figure, ...]:
    return tuple(shown(row.cells.get((view.label, metric.name))) for view in board.tasks for metric in view.shown)


def _distinct(words: Iterable[str]) -> list[str]:
    return sorted({word for word in words if word})


def _forest(folder: SiteFolder, board: Board, view: TaskView, number: int) -> Iterable[Chart]:
    """The headline's differences of each run's last round, of all its seeds together where there are several."""
    pooled = {row.run for row in board.rows if row.pooled}
    order = list(dict.fromkeys(row.run for row in board.rows))
    last = {(order.index(row.run), row.seeds): row for row in board.rows if row.pooled or row.run not in pooled}
    metric, bars, words = view.headline, [], []
    for _, row in sorted(last.items()):
        cell = row.cells.get((view.label, metric.name))
        if cell is None or cell.difference is None or cell.difference.value is None:
            continue
        found = cell.difference
        seeds = f"mean of {len(row.seeds)} seeds" if row.pooled else "".join(f"seed {seed}" for seed in row.seeds)
        name = _short(visible(f"{row.run}, {seeds}" if seeds else row.run))
        bars.append(
            Bar(
                name=name,
                value=on_axis(cell.difference.value, metric),
                bounds=bounds(found.low, found.high, metric),
                better=judged(cell),
            )
        )
        figure = shown(cell)
        words.append(f"{name}: {figure.delta} {figure.delta_interval} {figure.verdict}")
    if bars:
        unit = " in points" if metric.percent else ""
        left_out = f", the first {MOST_BARS} of {len(bars)}" if len(bars) > MOST_BARS else ""
        yield folder.chart(
            f"front-{number}",
            forest(bars[:MOST_BARS], axis=f"Δ{unit}, last round minus seed"),
            title=f"{view.label}: {metric.name}{arrow(metric)}{left_out}",
            words=f"{view.label}, {metric.name}, last round minus seed. {'; '.join(words[:MOST_BARS])}.",
        )


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"{name[:34]}…"
