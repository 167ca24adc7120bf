"""The site: a board as static pages, with every run, every verifier and the samples behind the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.runs.names import judged_rounds
from leaderboards.ablation import Ablation
from leaderboards.beside import Published, listing, set_beside
from leaderboards.build import Entry, measured, task_labels
from leaderboards.render import Board, Row, cost_csv, csv_text
from leaderboards.site.ablations import write_ablation
from leaderboards.site.folder import Link, site_folder, slug
from leaderboards.site.forests import level_chart
from leaderboards.site.front import write_front
from leaderboards.site.run import RunPage, write_run
from leaderboards.site.samples import FindTask, write_samples
from leaderboards.site.verifiers import FindPool, write_verifiers


def write_site(
    entries: Sequence[Entry],
    board: Board,
    out: Path,
    published: Published,
    ablations: Sequence[Ablation],
    *,
    find_task: FindTask,
    find_pool: FindPool,
    rest: int,
) -> None:
    """Write the site of a board into the folder `out`, whole or not at all.

    `find_task` and `find_pool` give the questions behind answers, with pictures and gold, and raise `DataError` where
    these are not at hand; pages then say so. `rest` is how many samples of each task the sample browser holds besides
    those worth a look. Raises as `site_folder`.
    """
    labels = task_labels(entries)
    with site_folder(out) as folder:
        pages = [
            RunPage(entry=entry, slug=slug(number, entry.name), rows=rows)
            for number, (entry, rows) in enumerate(_rows(entries, board), start=1)
        ]
        grids = {
            f"ablation-{slug(number, ablation.grid.name)}.html": ablation
            for number, ablation in enumerate(ablations, start=1)
        }
        judged = any(judged_rounds(entry.run.folder) for entry in entries)
        folder.menu = (
            Link(title="Board", href="index.html"),
            *([Link(title="Verifiers", href="verifiers.html")] if judged else []),
            *[Link(title=f"Ablation {ablation.grid.name}", href=href) for href, ablation in grids.items()],
            Link(title="Published", href="published.html"),
        )
        for page in pages:
            browsers = write_samples(folder, page, labels, find_task, rest)
            write_run(folder, page, board, browsers)
        if judged:
            write_verifiers(folder, pages, find_pool)
        for href, ablation in grids.items():
            write_ablation(folder, href, ablation)
        beside = set_beside(measured(entries, board), published)
        charts = [
            level_chart(folder, f"published-{n}", comparison)
            for n, comparison in enumerate(beside.comparisons, start=1)
        ]
        folder.page(
            "published.html", "published.html.jinja", beside=beside, charts=charts, listing=listing(published.figures)
        )
        folder.text("board.csv", csv_text(board))
        folder.text("cost.csv", cost_csv(board))
        write_front(folder, pages, board)


def _rows(entries: Sequence[Entry], board: Board) -> list[tuple[Entry, dict[int | None, Row]]]:
    """Each run with its own rows by round, in the board's order."""
    rows = iter(row for row in board.rows if not row.pooled)
    return [(entry, {number: next(rows) for number in entry.run.rounds}) for entry in entries]
