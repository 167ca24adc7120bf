"""Asks whoever sits at a terminal before NLTK's data are fetched, which make words of captions."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from harness.errors import DataError


def offer_download(packages: list[str], folder: Path) -> None:
    """Asks a person who is online, once, whether to download NLTK's `packages` into `folder`, and does so."""
    from tasks.reading import text

    # Asked only where somebody can answer: a script must neither hang nor download behind its owner's back.
    if not (sys.stdin.isatty() and sys.stderr.isatty() and text.can_download()):
        return
    question = f"NLTK's data are missing ({', '.join(packages)}). Download them into {folder}?"
    if typer.confirm(question, default=True, err=True):
        try:
            text.download(packages, folder)
        except DataError as error:
            typer.echo(str(error), err=True)
