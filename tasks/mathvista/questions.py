"""MathVista's questions: testmini and its prompts, in the authors' layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError
from harness.types import Sample
from harness.wording import counted
from tasks.data.rows import Row, as_row, read_document
from tasks.mathvista.marks import KEYS
from tasks.mathvista.readers import Question

_QUESTION_TYPES = ("multi_choice", "free_form")
_ANSWER_TYPES = ("text", "integer", "float", "list")
TESTMINI_FILE = "testmini.json of lupantech/MathVista"


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many questions a split has, and how many of them have options."""

    questions: int
    multi_choice: int


TESTMINI = Size(questions=1000, multi_choice=540)


def rows_by_pid(path: Path, document: Mapping[str, object], expected: str) -> Iterator[tuple[str, Row]]:
    for key, content in document.items():
        row = as_row(f"{path}: pid {key}", content, expected)
        if "pid" in row.content and row.identifier("pid") != key:
            raise row.wrong("pid", f"the row's own key, {key}")
        yield key, row


def load_questions(path: Path, size: Size | None = TESTMINI) -> dict[str, Sample]:
    """Pid -> question of a testmini.json, in the file's order; `DataError` where they are not `size` in number.

    `Sample.images` is empty; `Sample.meta["image"]` names the picture as the authors do, e.g. "images/1.jpg".
    """
    document = as_row(str(path), read_document(path, TESTMINI_FILE), TESTMINI_FILE).content
    samples = {pid: question_sample(pid, row) for pid, row in rows_by_pid(path, document, TESTMINI_FILE)}
    refuse_another_size(path, samples, size)
    return samples


def load_prompts(path: Path, pids: Iterable[str]) -> dict[str, str]:
    """Pid -> prompt of the authors' query.json: the hint first, then the question and its choices."""
    row = as_row(str(path), read_document(path, "query.json of lupantech/MathVista"))
    return {pid: row.text(pid) for pid in pids}


def question_sample(pid: str, row: Row) -> Sample:
    """A question with its `Question` for target; the prompt is the row's `query` where it has one."""
    return Sample(
        id=pid,
        prompt=row.text("query") if "query" in row.content else row.text("question"),
        # The pictures are not needed to mark published answers and are not part of the answer file.
        images=(),
        target=_question(row),
        cluster=row.text("image"),
        meta={"image": row.text("image"), "question": row.text("question")},
    )


def _question(row: Row) -> Question:
    question_type = row.one_of("question_type", _QUESTION_TYPES)
    answer_type = row.one_of("answer_type", _ANSWER_TYPES)
    options = row.texts("choices") if question_type == "multi_choice" else ()
    answer = row.text("answer")
    if options and answer not in options:
        raise row.wrong("answer", "one of the choices")
    metadata = row.inner("metadata")
    values = {key: metadata.texts(key) if key == "skills" else (metadata.text(key),) for key in KEYS}
    return Question(
        question_type=question_type,
        answer_type=answer_type,
        answer=answer,
        options=options,
        precision=row.integer("precision") if answer_type == "float" else None,
        cells=(
            f"question_type/{question_type}",
            f"answer_type/{answer_type}",
            *(f"{key}/{value}" for key, entries in values.items() for value in dict.fromkeys(entries)),
        ),
    )


def refuse_another_size(path: Path | str, samples: Mapping[str, Sample], size: Size | None) -> None:
    """Raise `DataError` where the questions are not `size` in number (None: any will do)."""
    kinds = Counter(sample.target.question_type for sample in samples.values())
    actual = Size(questions=len(samples), multi_choice=kinds["multi_choice"])
    if size is not None and actual != size:
        raise DataError(
            f"{path} holds {counted(actual.questions, 'question')}, {actual.multi_choice} of them with options, but "
            f"testmini has {size.questions} and {size.multi_choice}; get the whole of it, or {TESTMINI_FILE} for "
            "--questions"
        )
