"""The command line: commands in panels, errors as one line, signals.

Nothing heavy is imported before a command needs it, so that `strop --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

import typer
from rich.console import Console

from harness.disks import trouble
from harness.errors import StoppedError, StropError
from harness.wording import one_line
from strop.commands.bench import bench
from strop.commands.board import board
from strop.commands.build_vlm import build_vlm
from strop.commands.calibrate import calibrate
from strop.commands.chaos import chaos
from strop.commands.check import check
from strop.commands.compare import compare
from strop.commands.data import data_app
from strop.commands.diff import diff
from strop.commands.eval import evaluate
from strop.commands.export import export
from strop.commands.grid import grid
from strop.commands.judges import judges
from strop.commands.parity import parity
from strop.commands.plan import plan
from strop.commands.recipes import recipes
from strop.commands.reported import reported
from strop.commands.rerun import rerun
from strop.commands.rescore import rescore
from strop.commands.run import run
from strop.commands.score import score_app
from strop.commands.serve import serve
from strop.commands.show import show
from strop.commands.tasks import tasks
from strop.commands.verify import verify
from strop.parsing import OnceCommand, current_word
from strop.terminal import harmless_streams

app = typer.Typer(
    help="""Hone a vision-language model on its own answers, and measure whether it got better. Examples:

    strop eval --model pictos-seed --tasks pictos_pope,pictos_chair --out runs/seed\\
    strop run judge_free --out runs/demo\\
    strop compare runs/demo:0 runs/demo:2
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"token_normalize_func": current_word},
)

PANELS: Mapping[str, Mapping[str, Callable[..., None] | typer.Typer]] = {
    "Measure": {
        "eval": evaluate,
        "score": score_app,
        "rescore": rescore,
        "tasks": tasks,
        "check": check,
        "judges": judges,
        "bench": bench,
        "serve": serve,
        "data": data_app,
    },
    "Hone": {"run": run, "plan": plan, "recipes": recipes, "verify": verify, "grid": grid, "build-vlm": build_vlm},
    "Compare": {
        "compare": compare,
        "parity": parity,
        "diff": diff,
        "show": show,
        "rerun": rerun,
        "calibrate": calibrate,
    },
    "Publish": {"board": board, "export": export, "reported": reported},
}
"""The commands by the panel of `strop --help` that shows them, in its order."""

for panel, commands in PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, cls=OnceCommand, rich_help_panel=panel)(command)

app.command("chaos", cls=OnceCommand, hidden=True)(chaos)  # no study needs it; docs/reliability.md has it

WIDE = "160"
"""Columns of output into a file or a pipe."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Each of these stops a command as Ctrl-C does."""

PATIENCE = 5.0
"""Seconds after the first signal in which a second one is ignored, so that the first one's message is not lost."""


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and a non-zero exit."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' bars; ours name what they count
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by our parent
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", WIDE)  # a file has no edge at which a table must break
    _handle_signals()
    with harmless_streams():
        _run()


def _run() -> None:
    try:
        app()
    except StropError as error:
        _print_error(error, "; ".join([str(error), *getattr(error, "__notes__", ())]))
        sys.exit(error.exit_code)
    except OSError as error:
        _print_error(error, "; ".join([trouble(error), *getattr(error, "__notes__", ())]))
        sys.exit(StropError.exit_code)
    except KeyboardInterrupt:  # before a command was at work
        _print_error(StoppedError(), "stopped")
        sys.exit(StoppedError.exit_code)


def _handle_signals() -> None:
    """Handle `SIGNALS`, except those that the parent process ignores for us (nohup)."""
    first: list[float] = []

    def stop(number: int, frame: object) -> None:
        if not first:
            first.append(monotonic())
            raise KeyboardInterrupt
        if monotonic() - first[0] > PATIENCE:
            os._exit(StoppedError.exit_code)

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def _print_error(error: Exception, line: str) -> None:
    """Print an error on stderr, which may be gone with its terminal."""
    begin = "" if isinstance(error, StoppedError) else "[bold red]error:[/] "
    with contextlib.suppress(OSError):
        Console(stderr=True, highlight=False, soft_wrap=True).print(begin + _escaped(line))


def _escaped(text: str) -> str:
    return one_line(text).replace("[", r"\[")
