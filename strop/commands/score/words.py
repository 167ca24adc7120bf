"""Who makes words of captions: NLTK where its data are, else what needs none; asked of whoever sits at a terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.errors import DataError

if TYPE_CHECKING:
    from tasks.data.rows import AnswerFile
    from tasks.reading.object_words import Normaliser


def caption_reader(profile: str | None, truth: Path, data: Path) -> tuple[str, Normaliser]:
    """The profile to use and its normaliser; NLTK's data may lie in `truth`, beside it or above, or in `data`."""
    from tasks.reading import text
    from tasks.reading.object_words import PROFILES

    near = truth.resolve()
    text.look_in(*(folder / "nltk_data" for folder in (near, *near.parents[:2], data)))
    profile = _available(profile, data / "nltk_data")
    return profile, PROFILES[profile]


def _available(wanted: str | None, folder: Path) -> str:
    """The profile to use: what is wanted, else the official one if NLTK's data are there or can be had.

    A person at a terminal who is online is asked once whether to download them into `folder`.
    """
    from tasks.reading import text

    if wanted == "lemminflect":
        return wanted
    missing = text.missing_data()
    # Asked only where somebody can answer: a script must neither hang nor download behind its owner's back.
    if missing and sys.stdin.isatty() and sys.stderr.isatty() and text.can_download():
        question = f"NLTK's data are missing ({', '.join(missing)}). Download them into {folder}?"
        if typer.confirm(question, default=True, err=True):
            try:
                text.download(missing, folder)
            except DataError as error:
                typer.echo(str(error), err=True)
            missing = text.missing_data()
    # An explicit wish for the official profile is not silently turned into another: NLTK's complaint names the remedy.
    return wanted or ("lemminflect" if missing else "official")


def read_by(normaliser: Normaliser, found: AnswerFile) -> AnswerFile:
    """The answers with the name and version of what makes words of them."""
    from dataclasses import replace
    from importlib.metadata import version

    return replace(found, info={**found.info, "normaliser": f"{normaliser.package} {version(normaliser.package)}"})
