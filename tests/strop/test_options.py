"""An option that several commands have is declared once: its help reads the same in all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from strop.app import app

MEAN_ANOTHER_THING = {
    "--out", "--answers", "--truth", "--questions", "--profile", "--tasks", "--seed", "--draws", "--runs", "--images",
    "--coco", "--pictures", "--from", "--file", "--set",
}  # fmt: skip
"""Options whose meaning is the command's own: what is written, which files, which draws, whose fields."""


def _options(command: Any, *above: str) -> Iterator[tuple[str, str, str]]:
    """(command, option, help) of a command and of all below it."""
    for parameter in command.params:
        for flag in parameter.opts if parameter.param_type_name == "option" else ():
            yield " ".join(above), flag, str(parameter.help)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _options(inner, *above, name)


def test_an_option_of_several_commands_reads_the_same_in_all() -> None:
    texts: dict[str, set[str]] = {}
    for _, flag, text in _options(typer.main.get_command(app)):
        texts.setdefault(flag, set()).add(text)
    assert {flag for flag, each in texts.items() if len(each) > 1} <= MEAN_ANOTHER_THING
