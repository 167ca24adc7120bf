"""The command line, and the composition root: here models, tasks, loops and boards meet. Nothing heavy is imported
before a command needs it, so that `strop --help` answers at once."""

from __future__ import annotations

import os
import signal
import sys

import typer
from rich.console import Console

from harness.cli.bench import bench
from harness.cli.board import board
from harness.cli.calibrate import calibrate
from harness.cli.check import check
from harness.cli.compare import compare
from harness.cli.data import data_app
from harness.cli.diff import diff
from harness.cli.eval import evaluate, tasks
from harness.cli.export import export
from harness.cli.grid import grid
from harness.cli.once import OnceCommand
from harness.cli.reported import reported
from harness.cli.rerun import rerun
from harness.cli.rescore import rescore
from harness.cli.run import run
from harness.cli.score import score_app
from harness.cli.show import show
from harness.errors import StropError
from harness.wording import one_line

app = typer.Typer(
    help="""Hone a vision-language model on its own answers, and measure honestly whether it got better.

    **Examples**

    strop eval --model pictos-seed --tasks pictos_pope,pictos_chair --out runs/seed

    strop run judge_free --out runs/demo

    strop board runs/demo --out runs/demo/board
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("eval", cls=OnceCommand)(evaluate)
app.command("run", cls=OnceCommand)(run)
app.command("grid", cls=OnceCommand)(grid)
app.add_typer(score_app, name="score")
app.command("rescore", cls=OnceCommand)(rescore)
app.add_typer(data_app, name="data")
app.command("board", cls=OnceCommand)(board)
app.command("export", cls=OnceCommand)(export)
app.command("compare", cls=OnceCommand)(compare)
app.command("calibrate", cls=OnceCommand)(calibrate)
app.command("reported", cls=OnceCommand)(reported)
app.command("show", cls=OnceCommand)(show)
app.command("rerun", cls=OnceCommand)(rerun)
app.command("diff", cls=OnceCommand)(diff)
app.command("tasks", cls=OnceCommand)(tasks)
app.command("check", cls=OnceCommand)(check)
app.command("bench", cls=OnceCommand)(bench)

INTERRUPTED = 130
"""The exit code of a command that was stopped."""

WIDE = "160"
"""Columns of what is printed into a file or a pipe."""


def main() -> None:
    """Run the command line; a user's mistake becomes one line on stderr and a non-zero exit."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' bars; ours name what they count
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", WIDE)  # a file has no edge at which a table must break
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us may: it is as Ctrl-C
    try:
        app()
    except StropError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error:[/] {_escaped(str(error))}")
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer's way to end on Ctrl-C
            Console(stderr=True).print("stopped; what was finished is kept, the same command goes on from here")
        raise


def _escaped(text: str) -> str:
    return one_line(text).replace("[", r"\[")
