"""Progress bars of long work: on stderr, gone when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from harness.wording import one_line


@contextmanager
def progress_bars(shown: bool = True) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Within it, ``bars(description, total)`` starts a bar and gives the function that moves it on; not `shown`, they
    draw nothing."""
    with _bars(MofNCompleteColumn(), shown=shown) as begin:
        yield begin


@contextmanager
def byte_bars() -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """The same for bytes, with their rate; a total of None means unknown."""
    with _bars(DownloadColumn(), TransferSpeedColumn()) as begin:
        yield begin


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """Within it, ``tell(words)`` says what is being done, where somebody watches."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda words: None
        return
    with console.status("") as status:
        yield lambda words: status.update(escape(one_line(words)))


@contextmanager
def _bars(*counted: ProgressColumn, shown: bool = True) -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *counted, TimeRemainingColumn())
    console = Console(stderr=True)
    # where nobody watches, a bar leaves empty lines behind
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bars:

        def begin(description: str, total: int | None) -> Callable[[int], None]:
            bar = bars.add_task(one_line(description), total=total)
            return lambda count: bars.advance(bar, count)

        yield begin
