"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def print_table(
    console: Console, title: str, headings: Sequence[str], lines: Sequence[Sequence[str]], names: int
) -> None:
    """A table, its first `names` columns words and the others figures; nothing where it has no lines."""
    from rich import box
    from rich.table import Table

    if not lines:
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="left" if column < names else "right")
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print()
