"""The front page: checkpoints by tasks, to sort and to filter, and what each run came to beside its seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboards.render import CAPTION, POOLED_CAPTION, Board, Row, TaskView, arrow
from leaderboards.site.cells import Figure, shown
from leaderboards.site.folder import Chart, SiteFolder
from leaderboards.site.forests import forest_chart
from leaderboards.site.run import RunPage


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
        charts=[chart for n, view in enumerate(board.tasks, start=1) if (chart := _forest(folder, board, view, n))],
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


def _forest(folder: SiteFolder, board: Board, view: TaskView, number: int) -> Chart | None:
    """The headline's differences of each run's last round, of all its seeds together where there are several."""
    pooled = {row.run for row in board.rows if row.pooled}
    order = list(dict.fromkeys(row.run for row in board.rows))
    last = {(order.index(row.run), row.seeds): row for row in board.rows if row.pooled or row.run not in pooled}
    metric = view.headline
    lines = [
        (_called(row), cell) for _, row in sorted(last.items()) if (cell := row.cells.get((view.label, metric.name)))
    ]
    title = f"{view.label}: {metric.name}{arrow(metric)}"
    return forest_chart(folder, f"front-{number}", lines, title=title, minus="last round minus seed")


def _called(row: Row) -> str:
    """Of several seeds the run's name alone: it stands for all of them."""
    return row.run if row.pooled or not row.seeds else f"{row.run}, seed {row.seeds[0]}"
