"""What the commands of `strop score` share on the command line, and how they find files that were not named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import DataError, UsageError
from strop.options import writable_file, writable_folder
from tasks.data.root import DATA_VARIABLE

ALL_PROFILES = "all"

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


def chosen_profiles(profile: str, names: Sequence[str], out: Path | None) -> Sequence[str]:
    """The profiles asked for, one or all; raises `UsageError` for an unknown one, and for all into one folder."""
    known_profile(profile, (*names, ALL_PROFILES))
    if profile != ALL_PROFILES:
        return (profile,)
    if out is not None:
        raise UsageError("--out holds one profile; name it, or leave --out away to see all of them")
    return names


def profile_beside(profiles: Sequence[str]) -> Sequence[str]:
    """The profiles whose headline is told beside these: strict beside official, and official beside strict."""
    from harness.profiles import PLAIN

    return ("official",) if PLAIN in profiles else (PLAIN,)


def judged_profiles(
    judge: str | None, profile: str | None, names: Sequence[str], out: Path | None, default: str = "official"
) -> Sequence[str]:
    """`chosen_profiles` where there may be a judge, who gets what strict leaves unread: then strict is the default.

    Raises `UsageError` as well where strict is not among them and there is a judge.
    """
    from harness.profiles import PLAIN

    profiles = chosen_profiles(profile or (PLAIN if judge else default), names, out)
    if judge and PLAIN not in profiles:
        raise UsageError(
            f"--judge is asked about what {PLAIN} leaves unread; leave --profile away, or name {PLAIN} or all"
        )
    return profiles


def known_profile(profile: str, names: Sequence[str]) -> None:
    """Raise `UsageError` with the nearest name for a profile that does not exist."""
    import difflib

    if profile not in names:
        near = difflib.get_close_matches(profile, names, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"unknown profile '{profile}'; {hint}profiles: {', '.join(names)}")


def in_data(option: str, folder: Path, candidates: Sequence[Path]) -> Path:
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise DataError(
        f"{option} was not given and {candidates[0]} does not exist; name the file, or put it into {folder} "
        f"(--data or {DATA_VARIABLE} say which folder that is in); `strop data list` says where it comes from"
    )


def if_there(path: Path) -> Path | None:
    return path if path.exists() else None
