"""MathVista: mathematics in pictures, by option or by number. Extraction by rule, marking, and published outputs.

Protocol: testmini has 1000 questions, 540 with options and 460 that want an integer, a float or a list. The answer is
free text; the authors let a language model take the short answer out of it, store that beside the response, and compare
by rule. What a figure is read from is its profile's business: `read_official` and `read_official_old_integers` start
from the extraction where one is stored, the others from the model's own words, so that what a second model made up is
no mark of the first. No profile here asks a model. An answer from which nothing is read is wrong and counted as
unread.
Source: lupantech/MathVista (Lu et al., MathVista, 2023), evaluation/extract_answer.py and calculate_score.py;
protocols, MathVista.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.profiles import PLAIN
from harness.types import Metric, Sample, Score
from harness.wording import counted
from tasks.data.rows import (
    AnswerFile,
    Row,
    as_row,
    is_document,
    read_document,
    read_rows,
    refuse_repeats,
    refuse_unanswered,
    refuse_unknown,
)
from tasks.mathvista.readers import MATHVISTA_PROFILES, Question, Reply
from tasks.reading.cells import cell_metrics, cell_score
from tasks.reading.row_claims import (
    Contradiction,
    echoes_in,
    names_nothing,
    picture_contradictions,
    question_contradictions,
    refuse_contradictions,
    repeats,
    same_answer,
)

NAME = "mathvista"
VERSION = 2
HEADLINE = "accuracy"
EXTRACTED = "official"
"""The profile of the authors' script, which starts from the short answer that a language model took out."""

REPLICAS = frozenset(MATHVISTA_PROFILES) - {PLAIN}
"""The profiles that read what somebody else's script reads, thoughts and all (`harness.types.Replicating`)."""

KEYS = ("language", "source", "category", "task", "context", "grade", "skills")
"""What the authors break accuracy down by, after the types of question and answer. A question has several skills."""

_QUESTION_TYPES = ("multi_choice", "free_form")
_ANSWER_TYPES = ("text", "integer", "float", "list")
_WANTED = "testmini.json of lupantech/MathVista"
_ANSWERS = "the file of outputs, output_<model>.json or rows with pid and response"


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many questions a split has, and how many of them have options."""

    questions: int
    multi_choice: int


TESTMINI = Size(questions=1000, multi_choice=540)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFile(AnswerFile):
    """Published outputs: `answers[i]` is a response; `extractions` holds, by id, what is stored beside some of them."""

    extractions: Mapping[str, str]

    def reply(self, pid: str, response: str) -> Reply:
        return Reply(response=response, extraction=self.extractions.get(pid))


def mathvista_metrics(cells: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Accuracy and unread share as fractions, of all questions and of each cell, e.g. `grade/college/accuracy`."""
    return cell_metrics(cells)


def score_mathvista(question: Question, reply: Reply, profile: str = "strict") -> Score:
    """Mark one answer; `profile` is one of `MATHVISTA_PROFILES`. `parsed` is what is compared with the gold, or None.

    Raises `UsageError` for an unknown profile.
    """
    if profile not in MATHVISTA_PROFILES:
        raise UsageError(f"MathVista has no profile '{profile}'; it has {', '.join(MATHVISTA_PROFILES)}")
    read = MATHVISTA_PROFILES[profile](reply, question)
    return cell_score(read == question.answer, read, question.cells)


def load_answers(
    answers: Path, questions: Path | None = None, *, partial: bool = False, size: Size | None = TESTMINI
) -> OutputFile:
    """Published outputs joined to questions by pid; `Sample.target` is a `Question`.

    `answers` is the authors' layout, one JSON document of pid -> row, gzipped or not, or the same rows as JSON lines
    with `pid`. A row holds `response` (where there is `execution`, what the program in the response printed, that is
    the answer, unless it is blank in every row) and maybe `extraction`. A row with the question in it, as the authors'
    have, is marked and broken down by that one: testmini.json was annotated again later, and published breakdowns do
    not follow from it. Other rows, and those that hold a part of their question where `questions` are given,
    need `questions`, a testmini.json.

    A row with an `error` and no `response` is an outage and no answer. Missing answers raise `DataError` unless
    `partial`; then `info["unanswered"]` lists the questions left out. The questions must be `size` in number (None:
    any; not looked at for a part without `questions`), else `DataError` says which file to get. A row that names its
    picture (`image`), repeats its question (`query`, `question`, `prompt`) or holds the right answer (`answer`) must
    name those of its pid's, else `DataError` counts and shows the rows that do not. Other faults (an unknown type, a
    pid given twice) raise `DataError` with file and line, or file and pid.
    """
    rows = list(_rows(answers))
    # first of all, since rows without a response are another file's
    answer_field = _answer_fields(rows)
    texts = {pid: row.text(answer_field[pid]) for pid, row in rows if not _is_outage(row)}
    given = [(row.place, pid) for pid, row in rows]
    refuse_repeats(given, "pid")
    asked = {} if questions is None else load_questions(questions, size)
    if questions is not None:
        refuse_unknown(given, "pid", asked.keys(), questions)
    own = {pid: question_sample(pid, row) for pid, row in rows if _is_question(row, pid in asked)}
    for pid, row in rows:
        if pid not in own and pid not in asked:
            raise DataError(f"{row.place}: the row has no question in it; name {_WANTED} with --questions")
    wrong = [claim for pid, row in rows for claim in _contradictions(row, asked.get(pid) or own[pid])]
    refuse_contradictions(wrong, len(rows), f"name the questions that were asked (--questions), or their own {_WANTED}")
    asked = {**asked, **own}
    if questions is None and not partial:
        refuse_another_size(answers, asked, size)
    unanswered = [pid for pid in asked if pid not in texts]
    refuse_unanswered(answers, unanswered, len(texts), partial)
    samples = tuple(sample for pid, sample in asked.items() if pid in texts)
    extractions = {pid: row.text("extraction") for pid, row in rows if row.content.get("extraction") is not None}
    extracted = {pid for pid, text in extractions.items() if pid in texts and text.strip()}
    blank = {pid: row for pid, row in rows if pid in texts and not texts[pid].strip()}
    programs = {pid for pid in blank if answer_field[pid] == "execution"}
    said = tuple(texts[sample.id] for sample in samples)
    return OutputFile(
        samples=samples,
        answers=said,
        extractions=extractions,
        info={
            "questions": answers.name if questions is None else questions.name,
            "cells": cells_of(samples),
            "unanswered": unanswered,
            "extracted": len(extracted),
            # Where the response is blank, what was extracted is the extracting model's own answer. A program has a
            # response and printed nothing; a blank extraction is nobody's.
            "extracted_from_blank": len(extracted & blank.keys() - programs),
            "blank_executions": len(programs),
            "unnamed": sum(pid not in own and names_nothing(row) for pid, row in rows),
            **echoes_in(answers, samples, said),
        },
    )


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(pid, row) of either layout. A file that is one JSON document of objects is the first."""
    if is_document(path, _ANSWERS):
        document = read_document(path, _ANSWERS)
        if isinstance(document, dict) and "pid" not in document:
            yield from _by_pid(path, document, _ANSWERS)
            return
    for row in read_rows(path, _ANSWERS):
        yield row.identifier("pid"), row


def _by_pid(path: Path, document: Mapping[str, object], wanted: str) -> Iterator[tuple[str, Row]]:
    for key, content in document.items():
        row = as_row(f"{path}: pid {key}", content, wanted)
        if "pid" in row.content and row.identifier("pid") != key:
            raise row.wrong("pid", f"the row's own key, {key}")
        yield key, row


def load_questions(path: Path, size: Size | None = TESTMINI) -> dict[str, Sample]:
    """Pid -> question of a testmini.json, in the file's order; `DataError` where they are not `size` in number.

    `Sample.images` is empty; `Sample.meta["image"]` names the picture as the authors do, e.g. "images/1.jpg".
    """
    document = as_row(str(path), read_document(path, _WANTED), _WANTED).content
    asked = {pid: question_sample(pid, row) for pid, row in _by_pid(path, document, _WANTED)}
    refuse_another_size(path, asked, size)
    return asked


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
            *(f"{key}/{value}" for key, held in values.items() for value in dict.fromkeys(held)),
        ),
    )


def _is_question(row: Row, is_asked: bool) -> bool:
    """Whether a row is marked by the question in it. What harnesses keep of it (no picture, no metadata, choices as one
    text) is no question to mark by where the questions are there."""
    if is_asked:
        return all(name in row.content for name in ("question", "image", "answer", "answer_type", "metadata"))
    return "question_type" in row.content


def _answer_fields(rows: Sequence[tuple[str, Row]]) -> dict[str, str]:
    """Pid -> the field that its answer is in: what a program printed, else the response."""
    programs = {pid: row.content["execution"] for pid, row in rows if row.content.get("execution") is not None}
    if len(programs) == len(rows) and not any(str(printed).strip() for printed in programs.values()):
        programs = {}  # a table has the column in every row, also where no program was run
    return {pid: "execution" if pid in programs else "response" for pid, _ in rows}


def _is_outage(row: Row) -> bool:
    return row.content.get("response") is None and bool(row.content.get("error"))


def default_profile(outputs: OutputFile) -> str:
    """The profile that reads these outputs best: the authors' where most rows hold an extraction, else the strict."""
    return EXTRACTED if 2 * outputs.info["extracted"] > len(outputs.samples) else PLAIN


def _contradictions(row: Row, sample: Sample) -> list[Contradiction]:
    """What a row says that is not so of a question: its picture, its text, its right answer.

    Not its options: the published outputs were asked pid 272 with others than they are marked by.
    """
    asked, gold = sample.meta["question"], sample.target.answer
    wrong = picture_contradictions(row, sample.meta["image"])
    wrong += question_contradictions(row, asked, lambda text: repeats(text, asked, asked))
    answer = row.content.get("answer")
    if answer is not None and not same_answer(answer, gold):
        wrong.append(Contradiction(row.place, "answer", str(answer), gold))
    return wrong


def refuse_another_size(path: Path | str, asked: Mapping[str, Sample], size: Size | None) -> None:
    """Raise `DataError` where the questions are not `size` in number (None: any will do)."""
    kinds = Counter(sample.target.question_type for sample in asked.values())
    found = Size(questions=len(asked), multi_choice=kinds["multi_choice"])
    if size is not None and found != size:
        raise DataError(
            f"{path} holds {counted(found.questions, 'question')}, {found.multi_choice} of them with options, but "
            f"testmini has {size.questions} and {size.multi_choice}; get the whole of it, or {_WANTED} for --questions"
        )


def cells_of(samples: Sequence[Sample]) -> list[str]:
    """Every cell that occurs, in the order of the keys and, within one, of the names."""
    order = ("question_type", "answer_type", *KEYS)
    cells = {cell for sample in samples for cell in sample.target.cells}
    return sorted(cells, key=lambda cell: (order.index(cell.split("/", 1)[0]), cell))
