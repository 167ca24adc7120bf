"""What an answer row says of its question besides the id, held against the question that the id stands for.

Ids restart in every category, begin at 0 or 1 and are handed out anew by every script, so that an id alone joins the
answers of one set to the questions of another without a fault. A row that names its picture or repeats its question
must therefore name those of the question it is joined to. A row that names neither claims nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import DataError
from harness.types import Sample
from harness.wording import counted
from tasks.data.rows import Row

PICTURE_FIELDS = ("image", "image_id", "image_file", "image_path", "image_source", "file_name")
QUESTION_FIELDS = ("prompt", "question", "query")

LISTED = 3
"""How many contradictions a refusal shows."""

LONGEST_NAME = 300
"""Characters of a name of a picture; beyond them a field "image" holds the picture itself, in base 64."""
_NUMBER_AT_THE_END = re.compile(r"(?P<before>.*?)0*(?P<number>\d+)")
_TURNS = re.compile(r"\b(?:user|human|system|assistant|gpt|question|answer|inst)\b|[\W_]")
"""Whose turn it is, as chat templates write it, and what is no word."""
_OPEN_NUMBER = re.compile(r"n_\d+")


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row (`where`: file and line) that says one thing in `field` where the joined question is another."""

    where: str
    field: str
    row_says: str
    question: str


def pictures_named(row: Row) -> dict[str, str]:
    """Field -> the name of a picture in it, as a file name, a stem or a number; pictures themselves are no names."""
    texts = {field: _name(row.content.get(field)) for field in PICTURE_FIELDS}
    return {field: text for field, text in texts.items() if 0 < len(text) < LONGEST_NAME}


def questions_named(row: Row) -> dict[str, str]:
    """Field -> the question or prompt that a row repeats."""
    named = {field: row.content.get(field) for field in QUESTION_FIELDS}
    return {field: value for field, value in named.items() if isinstance(value, str) and value.strip()}


def same_picture(name: str, other: str) -> bool:
    """Whether two names can be one picture's: "310196", "000000310196" and "COCO_val2014_000000310196.jpg" are.

    Folders count only where both are bare numbers, as ScienceQA's "5/image.png" and "7/image.png" are.
    """
    left, right = (PurePosixPath(text.replace("\\", "/")) for text in (name, other))
    folders = left.parent.name, right.parent.name
    if all(folder.isdecimal() for folder in folders) and folders[0].lstrip("0") != folders[1].lstrip("0"):
        return False
    stems = left.stem.casefold(), right.stem.casefold()
    if stems[0] == stems[1]:
        return True
    matches = [_NUMBER_AT_THE_END.fullmatch(stem) for stem in stems]
    if matches[0] is None or matches[1] is None or matches[0]["number"] != matches[1]["number"]:
        return False
    return matches[0]["before"] == matches[1]["before"] or "" in (matches[0]["before"], matches[1]["before"])


def picture_number(name: str) -> str:
    """What `same_picture` names have in common, to look them up by: the number at the end, else the stem."""
    stem = PurePosixPath(name.replace("\\", "/")).stem.casefold()
    match = _NUMBER_AT_THE_END.fullmatch(stem)
    return match["number"] if match else stem


def plain(text: str) -> str:
    """Text as it is compared: one space between words, any case, no marks of pictures and no lines of their own."""
    return " ".join(text.replace("<image>", " ").split()).casefold()


def holds(text: str, words: str) -> bool:
    """Whether words stand in a text; a number left open in them (MathVista's older "N_0") stands for any."""
    text, end = plain(text), 0
    for index, piece in enumerate(_OPEN_NUMBER.split(plain(words))):
        end = text.find(piece, end + (index > 0))  # at least a character of a number between two pieces
        if end < 0:
            return False
        end += len(piece)
    return True


def repeats(text: str, prompt: str, question: str, options: Sequence[str] = ()) -> bool:
    """Whether what a row repeats can be a prompt: it is a piece of it, or holds its question and behind that, in their
    order, its options in a layout of its own."""
    if holds(prompt, text):
        return True
    if not options:
        return holds(text, question)
    words = plain(text)
    _, repeated, rest = words.rpartition(plain(question)) if plain(question) else ("", " ", words)
    for option in filter(None, map(plain, options)):
        _, offered, rest = rest.partition(option)
        if not offered:
            return False
    return bool(repeated)


def picture_contradictions(row: Row, picture: str | None) -> list[Contradiction]:
    """The pictures that a row names and that are not the joined question's (None: it has none, or none with a name)."""
    if picture is None:
        return []
    named = pictures_named(row)
    return [
        Contradiction(row.location, field, name, picture)
        for field, name in named.items()
        if not same_picture(name, picture)
    ]


def question_contradictions(row: Row, prompt: str, fits: Callable[[str], bool]) -> list[Contradiction]:
    """The questions that a row repeats and that are not the joined one; `fits` compares, `prompt` is shown."""
    return [
        Contradiction(row.location, field, text, prompt)
        for field, text in questions_named(row).items()
        if not fits(text)
    ]


def echoes_in(path: Path, samples: Sequence[Sample], answers: Sequence[str]) -> dict[str, int]:
    """For a result's `info`: how many answers are their question and nothing else, but for whose turn it is; nothing
    where none is. Raises `DataError` where most are: then a file of questions, or of prompts, is named for answers."""
    echoes = sum(_is_echo(sample, answer) for sample, answer in zip(samples, answers, strict=True))
    if 2 * echoes > len(answers):
        raise DataError(
            f"{path} holds questions and no answers: {echoes:,} of {counted(len(answers), 'text')} only "
            f"{'repeats' if echoes == 1 else 'repeat'} what is asked; name the answers"
        )
    return {"echoes": echoes} if echoes else {}


def _is_echo(sample: Sample, answer: str) -> bool:
    words, prompt = plain(answer), plain(sample.prompt)
    if prompt.startswith(words) and 2 * len(words) > len(prompt):  # all but the instruction, say
        return True
    questions = (sample.prompt, str(sample.meta.get("question", "")), sample.prompt.split("\n", 1)[0])
    question = next((text for text in map(plain, questions) if text and text in words), None)
    return question is not None and not _TURNS.sub("", words.replace(question, "", 1))


def names_nothing(row: Row) -> bool:
    """Whether nothing but the id says which question a row answers."""
    return not pictures_named(row) and not questions_named(row)


def refuse_contradictions(contradictions: Sequence[Contradiction], rows: int, remedy: str) -> None:
    """Raise `DataError` that counts the rows which name another question or picture, and shows the first few."""
    rows_named = list(dict.fromkeys(contradiction.where for contradiction in contradictions))
    if not rows_named:
        return
    shown = "; ".join(
        f"{claim.where}: {claim.field} is {_short(claim.row_says)} where the question joined is "
        f"{_short(claim.question)}"
        for claim in contradictions[:LISTED]
    )
    more = f"; and {len(contradictions) - LISTED} more" if len(contradictions) > LISTED else ""
    rows_name = f"{len(rows_named)} of {counted(rows, 'row')} {'names' if len(rows_named) == 1 else 'name'}"
    raise DataError(f"{rows_name} another question or picture than the joined one ({shown}{more}); {remedy}")


def same_answer(answer: object, other: str) -> bool:
    """Whether a right answer that a row holds is another, as a text or, since tables turn "5" into 5.0, as a number."""
    try:
        return str(answer) == other or float(str(answer)) == float(other)
    except ValueError:
        return False


def _name(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _short(text: str) -> str:
    words = " ".join(text.split())
    return repr(words if len(words) <= 80 else f"{words[:79]}…")
