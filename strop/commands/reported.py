"""`strop reported`: the published tables that boards can be held against, with a source for every figure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strop.options import JsonOption, writable_folder

if TYPE_CHECKING:
    from leaderboards.reported import Reported

TITLE = "Published figures"

FILES = ("published.md", "published.csv", "published.html")


def reported(
    benchmark: Annotated[str | None, typer.Option(help="Only the figures on this benchmark, e.g. POPE.")] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder for {', '.join(FILES[:2])} and {FILES[2]}.", callback=writable_folder)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List published figures, before and after, as printed and with their sources.

    **Examples**

    strop reported --benchmark POPE

    strop reported --out published
    """
    from leaderboards.reported import of_benchmark, read_tables

    figures = read_tables()
    if benchmark is not None:
        figures = of_benchmark(figures, benchmark)
    written = _write(figures, out) if out is not None else []
    if as_json:
        rows = [{**dataclasses.asdict(figure), "value": float(figure.value)} for figure in figures]
        typer.echo(json.dumps({"figures": rows, "files": written}, ensure_ascii=False))
    elif written:
        for path in written:
            typer.echo(f"written {path}")
    else:
        _print(figures)


def _write(figures: Sequence[Reported], out: Path) -> list[str]:
    """Write the pages; the names of the files."""
    from harness.files import write_text
    from leaderboards.beside import listing
    from leaderboards.render import sections_html, sections_markdown
    from leaderboards.reported import as_csv

    sections = listing(figures)
    pages = (sections_markdown(TITLE, sections), as_csv(figures), sections_html(TITLE, sections))
    for name, content in zip(FILES, pages, strict=True):
        write_text(out / name, content)
    return [str(out / name) for name in FILES]


def _print(figures: Sequence[Reported]) -> None:
    """A list for each benchmark; a note stands once, below them all."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from leaderboards.reported import STAGES, paired

    console = Console(markup=False, highlight=False)
    notes: dict[str, int] = {}
    for benchmark in dict.fromkeys(figure.benchmark for figure in figures):
        table = Table(title=Text(benchmark), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
        for heading in ("system", "metric", *STAGES, "source"):
            table.add_column(heading, no_wrap=heading in STAGES, overflow="fold")
        for stages in paired(figure for figure in figures if figure.benchmark == benchmark):
            figure, *_ = stages.values()
            printed = [stages[stage].printed if stage in stages else "" for stage in STAGES]
            mark = f" [{notes.setdefault(figure.note, len(notes) + 1)}]" if figure.note else ""
            who = ", ".join(filter(None, (_system(figure), figure.variant)))
            table.add_row(*map(Text, (who, figure.metric, *printed, figure.source + mark)))
        console.print(table)
        console.print()
    for note, number in notes.items():
        console.print(f"[{number}] {note}", markup=False)


def _system(figure: Reported) -> str:
    return f"{figure.system} on {figure.model}" if figure.system else figure.model
