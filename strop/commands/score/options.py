"""The options that the commands of `strop score` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError
from strop.options import writable_file, writable_folder

AnswersOption = Annotated[
    Path,
    typer.Option(
        "--answers",
        help="The model's answers: JSON lines, a JSON list, CSV, TSV, .xlsx or Parquet, gzipped or not; also the files "
        "of VLMEvalKit, lm-eval and lmms-eval.",
    ),
]
IdKeyOption = Annotated[
    str | None,
    typer.Option("--id-key", help="The field that says what an answer is to, where it has a name of its own."),
]
AnswerKeyOption = Annotated[
    str | None,
    typer.Option("--answer-key", help="The field that holds the answer, where it has a name of its own."),
]
CategoryAnswersOption = Annotated[
    list[str],
    typer.Option(
        "--answers",
        metavar="FILE or CATEGORY=FILE,...",
        help="The model's answers: a file of any kind that `strop score` reads, or a file a category, with commas "
        "between or one by one.",
    ),
]
PartialOption = Annotated[bool, typer.Option("--partial", help="Accept questions without an answer, and list them.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Also write a results folder, for `strop compare` and `strop board`.", callback=writable_folder
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="The model's name in the results (default: the answer file's).")
]
DisagreementsOption = Annotated[
    Path | None,
    typer.Option(
        "--disagreements",
        help="With --profile all: write the answers read differently, as JSON lines.",
        callback=writable_file,
    ),
]

CaptionProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Who makes words of captions. official: OPERA's port, by NLTK; lemminflect: needs no data; all: both, "
        "side by side. Default: official, and lemminflect where NLTK's data are missing.",
        show_default=False,
    ),
]


def answer_files(values: Sequence[str]) -> Path | Mapping[str, Path]:
    """What `CategoryAnswersOption` names: one file, or one a category; raises `UsageError` where it is neither."""
    if len(values) == 1 and ("=" not in values[0] or Path(values[0]).exists()):
        return Path(values[0])
    files: dict[str, Path] = {}
    for piece in (piece for value in values for piece in value.split(",")):
        category, _, path = piece.partition("=")
        if not category.strip() or not path.strip():
            raise UsageError(
                f"--answers {piece}: of several files each is one category's; say --answers random=FILE,popular=FILE"
            )
        if category.strip() in files:
            raise UsageError(f"--answers names {category.strip()} twice; keep one file of each category")
        files[category.strip()] = Path(path.strip())
    return files
