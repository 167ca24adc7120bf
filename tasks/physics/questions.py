"""PHYSICS's problems, from the authors' JSON lines: a file a subject, or one of them all, gzipped or not."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL.Image import Image

from harness.errors import DataError, PictureError
from harness.files import digest_of_bytes
from harness.pictures import decode_picture
from harness.types import Picture, Sample
from harness.wording import counted
from tasks.data.rows import Row, read_rows, refuse_repeats

SUBJECTS = ("atomic", "electro", "mechanics", "optics", "quantum", "statistics")
VALIDATION: Mapping[str, int] = dict(zip(SUBJECTS, (45, 57, 50, 36, 53, 56), strict=True))
"""How many problems at the head of each subject's file the authors' PHYSICS-eval holds; PHYSICS-test has the rest."""

PARTS = ("figures", "text-only")
"""Problems with a figure, and the others: the cells that divide the set by what a model is shown."""

PROMPT = (
    "You are an AI expert specializing in answering advanced physics questions. Think step by step and provide "
    "solution and final answer. Provide the final answer at the end in Latex boxed format \\[\\boxed{}\\]. "
    "Example: \\[ \\boxed{ final_answer} \\]"
)
"""The authors' system message. Here it stands before the question, since not every model has a system turn."""

_EXPECTED = "the problems of yale-nlp/Physics: <subject>_dataset.jsonl, or problems.jsonl"
_FILES = re.compile(r"(?:(?P<subject>[a-z]+)_dataset|problems)\.jsonl(?:\.gz)?")
_DATA_URL = re.compile(r"data:[\w/+.-]*;base64,(?P<content>.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What an answer is marked by: the required answers as they stand, each once, and the cells it is counted in.

    `walk` are the required answers as the authors' script goes through them, the 51 repeated ones too.
    """

    answers: tuple[str, ...]
    walk: tuple[str, ...]
    subject: str
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many problems a set has, and how many of them have a figure."""

    questions: int
    with_figure: int


WHOLE = Size(questions=1297, with_figure=298)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that stands in the row itself, as a data URL; its bytes say of which type it is, the URL may not."""

    name: str
    content: bytes = field(repr=False)

    def __call__(self) -> Image:
        return decode_picture(self.content, self.name)


def problem_files(folder: Path) -> tuple[Path, ...]:
    """The files of problems in a folder, or in PHYSICS below it, in the order of the subjects; none where there are
    none."""
    for parent in (folder, folder / "PHYSICS"):
        paths = sorted(path for path in parent.glob("*.jsonl*") if _FILES.fullmatch(path.name))
        if paths:
            return tuple(paths)
    return ()


def load_problems(path: Path, size: Size | None = WHOLE) -> dict[str, Sample]:
    """Id -> problem of a file, or of all files in a folder, in their order; `Sample.target` is a `Problem`.

    `Sample.images` are its figures: files beside the rows' (`figures`: paths), or those in the rows (`graphs`: data
    URLs). Two problems with one text are one cluster. Raises `DataError` where the problems are not `size` in number
    (None: any), where an id is given twice, and for a row that is no problem.
    """
    paths = problem_files(path) if path.is_dir() else (path,)
    if not paths:
        raise DataError(
            f"{path} holds no <subject>_dataset.jsonl and no problems.jsonl; name a folder with {_EXPECTED}"
        )
    rows = [(row, file) for file in paths for row in read_rows(file, _EXPECTED)]
    refuse_repeats([(row.location, row.identifier("id")) for row, _ in rows], "id")
    places: Counter[str] = Counter()
    first: dict[str, str] = {}
    samples: dict[str, Sample] = {}
    for row, file in rows:
        subject = _subject(row, file)
        sample = _problem(row, file, subject, places[subject])
        places[subject] += 1
        samples[sample.id] = replace(sample, cluster=first.setdefault(row.text("questions").strip(), sample.id))
    _refuse_another_size(path, samples, size)
    return samples


def _subject(row: Row, file: Path) -> str:
    if "subject" in row.content:
        return row.one_of("subject", SUBJECTS)
    name = _FILES.fullmatch(file.name)
    subject = name["subject"] if name else None
    if subject not in SUBJECTS:
        raise DataError(
            f"{row.location}: neither a field 'subject' nor the file's name says one of {', '.join(SUBJECTS)}"
        )
    return str(subject)


def _problem(row: Row, file: Path, subject: str, row_number: int) -> Sample:
    walk = row.texts("final_answers")
    figures = tuple(_figures(row, file))
    split = row.one_of("split", ("val", "test")) if "split" in row.content else _split_of(subject, row_number)
    cells = (f"subject/{subject}", PARTS[0] if figures else PARTS[1], f"split/{split}")
    return Sample(
        id=row.identifier("id"),
        prompt=f"{PROMPT}\n\n{row.text('questions')}",
        images=figures,
        target=Problem(
            answers=tuple(dict.fromkeys(walk)),
            walk=walk,
            subject=subject,
            cells=(*cells, "hard") if row.content.get("hard") else cells,
        ),
        cluster=row.identifier("id"),
        meta={"question": row.text("questions")},
    )


def _split_of(subject: str, row_number: int) -> str:
    return "val" if row_number < VALIDATION[subject] else "test"


def _figures(row: Row, file: Path) -> Iterator[Picture]:
    name = "figures" if "figures" in row.content else "graphs"
    entries = row.content.get(name) or []
    if not isinstance(entries, list):
        raise row.wrong(name, "a list of figures")
    for number, entry in enumerate(entries, start=1):
        address = _address(entry)
        if address is None:
            raise row.wrong(name, "a list of paths or data URLs")
        url = _DATA_URL.fullmatch(address)
        if url is None:
            yield file.parent / address
            continue
        try:
            content = base64.b64decode(url["content"], validate=True)
        except binascii.Error as error:
            raise PictureError(f"{row.location}: figure {number} is no base64 ({error}); get the file again") from error
        yield Figure(f"{file.name}/{row.content['id']}/{number}/{digest_of_bytes(content)[:12]}", content)


def _address(entry: Any) -> str | None:
    """A path or URL: bare, or as the authors' scripts hand it to an API."""
    inner = entry.get("image_url") if isinstance(entry, dict) else entry
    address = inner.get("url") if isinstance(inner, dict) else inner
    return address if isinstance(address, str) else None


def _refuse_another_size(path: Path, samples: Mapping[str, Sample], size: Size | None) -> None:
    actual = Size(questions=len(samples), with_figure=sum(bool(sample.images) for sample in samples.values()))
    if size is not None and actual != size:
        raise DataError(
            f"{path} holds {counted(actual.questions, 'problem')}, {actual.with_figure} of them with a figure, but "
            f"PHYSICS has {size.questions} and {size.with_figure}; name a folder with the whole of {_EXPECTED}"
        )
