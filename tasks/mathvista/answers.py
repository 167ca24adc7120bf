"""Files of published outputs for MathVista, joined to their questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.errors import DataError
from harness.marking import Answered
from harness.profiles import PLAIN, chosen_profiles
from harness.types import Sample
from tasks.data.defaults import optional_file
from tasks.data.rows import (
    Row,
    is_document,
    read_document,
    read_rows,
    refuse_repeats,
    refuse_unanswered,
    refuse_unknown,
)
from tasks.mathvista.marks import EXTRACTED, NAME, cells_of
from tasks.mathvista.questions import (
    TESTMINI,
    TESTMINI_FILE,
    Size,
    load_questions,
    question_sample,
    refuse_another_size,
    rows_by_pid,
)
from tasks.mathvista.readers import MATHVISTA_PROFILES
from tasks.mathvista.task import MathVista
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

_ANSWERS = "the file of outputs, output_<model>.json or rows with pid and response"


def load_answers(
    answers: Path, questions: Path | None = None, *, partial: bool = False, size: Size | None = TESTMINI
) -> Answered:
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
    pids = [(row.location, pid) for pid, row in rows]
    refuse_repeats(pids, "pid")
    by_pid = {} if questions is None else load_questions(questions, size)
    if questions is not None:
        refuse_unknown(pids, "pid", by_pid.keys(), questions)
    own = {pid: question_sample(pid, row) for pid, row in rows if _is_question(row, pid in by_pid)}
    for pid, row in rows:
        if pid not in own and pid not in by_pid:
            raise DataError(f"{row.location}: the row has no question in it; name {TESTMINI_FILE} with --questions")
    wrong = [claim for pid, row in rows for claim in _contradictions(row, by_pid.get(pid) or own[pid])]
    refuse_contradictions(
        wrong, len(rows), f"name the questions that were asked (--questions), or their own {TESTMINI_FILE}"
    )
    by_pid = {**by_pid, **own}
    if questions is None and not partial:
        refuse_another_size(answers, by_pid, size)
    unanswered = [pid for pid in by_pid if pid not in texts]
    refuse_unanswered(answers, unanswered, len(texts), partial)
    samples = tuple(sample for pid, sample in by_pid.items() if pid in texts)
    extractions = {pid: row.text("extraction") for pid, row in rows if row.content.get("extraction") is not None}
    extracted = {pid for pid, text in extractions.items() if pid in texts and text.strip()}
    blank = {pid: row for pid, row in rows if pid in texts and not texts[pid].strip()}
    programs = {pid for pid in blank if answer_field[pid] == "execution"}
    responses = tuple(texts[sample.id] for sample in samples)
    info = {
        "questions": answers.name if questions is None else questions.name,
        "cells": cells_of(samples),
        "unanswered": unanswered,
        "extracted": len(extracted),
        # Where the response is blank, what was extracted is the extracting model's own answer. A program has a response
        # and printed nothing; a blank extraction is nobody's.
        "extracted_from_blank": len(extracted & blank.keys() - programs),
        "blank_executions": len(programs),
        "unnamed": sum(pid not in own and names_nothing(row) for pid, row in rows),
        **echoes_in(answers, samples, responses),
    }
    return Answered(
        task=MathVista(about=info, extractions=extractions),
        samples=samples,
        answers=responses,
        files=(answers,),
        truth=questions or answers,
        # where hardly an extraction is stored, official is no figure to hold another against
        reference=EXTRACTED if 2 * len(extracted) > len(samples) else PLAIN,
    )


def open_answers(
    answers: Path,
    *,
    data: Path,
    questions: Path | None = None,
    profile: str | None = None,
    partial: bool = False,
) -> dict[str, Answered]:
    """Profile -> answers, for the profile of that name or "all"; default: official where most rows hold an extraction,
    else strict.

    As `load_answers`, with the questions of the data folder where they are not named.
    """
    if profile is not None:
        chosen_profiles(profile, MATHVISTA_PROFILES)  # before a file is read
    questions = questions or optional_file(data.expanduser() / NAME / "testmini.json")
    answered = load_answers(answers, questions, partial=partial)
    return dict.fromkeys(chosen_profiles(profile or answered.reference or PLAIN, MATHVISTA_PROFILES), answered)


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(pid, row) of either layout. A file that is one JSON document of objects is the first."""
    if is_document(path, _ANSWERS):
        document = read_document(path, _ANSWERS)
        if isinstance(document, dict) and "pid" not in document:
            yield from rows_by_pid(path, document, _ANSWERS)
            return
    for row in read_rows(path, _ANSWERS):
        yield row.identifier("pid"), row


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


def _contradictions(row: Row, sample: Sample) -> list[Contradiction]:
    """What a row says that is not so of a question: its picture, its text, its right answer.

    Not its options: the published outputs were asked pid 272 with others than they are marked by.
    """
    question, gold = sample.meta["question"], sample.target.answer
    wrong = picture_contradictions(row, sample.meta["image"])
    wrong += question_contradictions(row, question, lambda text: repeats(text, question, question))
    answer = row.content.get("answer")
    if answer is not None and not same_answer(answer, gold):
        wrong.append(Contradiction(row.location, "answer", str(answer), gold))
    return wrong
