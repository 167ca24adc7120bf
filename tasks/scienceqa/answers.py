"""Files of published answers to ScienceQA, joined to their questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.marking import Answered
from harness.profiles import chosen_profiles
from harness.types import Sample
from tasks.data.defaults import default_file, optional_file
from tasks.data.rows import (
    Row,
    as_row,
    is_document,
    read_document,
    read_rows,
    refuse_repeats,
    refuse_unanswered,
    refuse_unknown,
)
from tasks.reading.readers import LETTERS, OPTION_PROFILES, read_option_official
from tasks.reading.row_claims import (
    Contradiction,
    echoes_in,
    holds,
    names_nothing,
    picture_contradictions,
    question_contradictions,
    refuse_contradictions,
    repeats,
)
from tasks.scienceqa.marks import CELLS, NAME, Problem
from tasks.scienceqa.questions import INSTRUCTION, TEST, Size, load_questions
from tasks.scienceqa.task import ScienceQa

_ANSWERS = "the file of answers"


def load_answers(
    answers: Path, questions: Path, truth: Path | None = None, *, partial: bool = False, size: Size | None = TEST
) -> Answered:
    """Published answers joined to questions by id; `Sample.target` is a `Problem`.

    `answers` is one JSON document with the texts under "outputs" (id -> text: the layout of LLaVA's and ScienceQA's own
    result files) or LLaVA's JSON lines with `question_id` and `text`. `questions` is LLaVA's llava_test_CQM-A.json or
    ScienceQA's problems.json; both hold the right options, and the second also subject and grade, which then become
    cells. `truth` is pid_splits.json: it says which problems are the test split, where problems.json does not, and
    other ids in llava_test_CQM-A.json are refused. The questions must be `size` in number (None: any), or it is not the
    test split, and `DataError` says which file to get.

    A result file may also hold `results`, the options that its maker counted (0 for A). They are no answers and no
    profile looks at them; `info["stored_picks"]` tells how many are right and how many the reader of LLaVA does not
    find in the outputs, which is what a published figure that does not follow from its own outputs comes from.

    Answers that are missing raise `DataError` unless `partial`; then `info["unanswered"]` lists the questions left out.
    A row that names its picture (`image`) or repeats its question (`prompt`, `question`) must name those of its id's,
    else `DataError` counts and shows the rows that do not. Other faults raise `DataError` with file and line, or file
    and key.
    """
    by_id = load_questions(questions, truth, size)
    rows, picks = _rows(answers)
    ids = [(row.location, identifier) for identifier, row in rows]
    refuse_repeats(ids, "question_id")
    refuse_unknown(ids, "question_id", by_id.keys(), questions)
    wrong = [claim for identifier, row in rows for claim in _contradictions(row, by_id[identifier])]
    refuse_contradictions(
        wrong, len(rows), "name the questions that were asked (--questions), and give each row its own id"
    )
    texts = {identifier: row.text("text") for identifier, row in rows}
    unanswered = [identifier for identifier in by_id if identifier not in texts]
    refuse_unanswered(answers, unanswered, len(texts), partial)
    samples = tuple(sample for identifier, sample in by_id.items() if identifier in texts)
    outputs = tuple(texts[sample.id] for sample in samples)
    info: dict[str, Any] = {
        "questions": questions.name,
        "cells": list(dict.fromkeys([*CELLS, *(cell for sample in samples for cell in sample.target.cells)])),
        "unanswered": unanswered,
        "unnamed": sum(names_nothing(row) for _, row in rows),
        **echoes_in(answers, samples, outputs),
    }
    if picks is not None:
        info["stored_picks"] = _stored_picks(answers, samples, outputs, picks)
    return Answered(
        task=ScienceQa(about=info),
        samples=samples,
        answers=outputs,
        files=(answers,),
        truth=questions,
        reference="official",
    )


def open_answers(
    answers: Path,
    *,
    data: Path,
    questions: Path | None = None,
    truth: Path | None = None,
    profile: str | None = None,
    partial: bool = False,
) -> dict[str, Answered]:
    """Profile -> answers, for the profile of that name (default: official) or "all".

    As `load_answers`, with the questions of the data folder where they are not named.
    """
    profiles = chosen_profiles(profile or "official", OPTION_PROFILES)
    folder = data.expanduser() / NAME
    questions = questions or default_file("--questions", folder, "llava_test_CQM-A.json", "problems.json")
    truth = truth or optional_file(folder / "pid_splits.json")
    return dict.fromkeys(profiles, load_answers(answers, questions, truth, partial=partial))


def _rows(path: Path) -> tuple[list[tuple[str, Row]], Mapping[str, Any] | None]:
    """(id, row with `text`) of each answer, and the options that the file's maker counted if it holds them."""
    document = read_document(path, _ANSWERS) if is_document(path, _ANSWERS) else None
    if not isinstance(document, dict) or "question_id" in document:
        rows = [(row.identifier("question_id"), row) for row in read_rows(path)]
        for _, row in rows:
            row.text("text")
        return rows, None
    outputs = as_row(str(path), document).inner("outputs")
    texts = [(key, outputs.text(key)) for key in outputs.content]
    return [(key, Row(outputs.location, {"text": text})) for key, text in texts], document.get("results")


def _contradictions(row: Row, sample: Sample) -> list[Contradiction]:
    """What a row says that is not so of a question: its picture, its prompt or the line that asks with its options."""
    wrong = picture_contradictions(row, sample.meta["image"])
    return wrong + question_contradictions(row, sample.prompt, lambda text: _may_ask(text, sample))


def _may_ask(text: str, sample: Sample) -> bool:
    if "Context: " in text and "\nA. " in text:  # LLaVA's own layout, in which questions may differ in context alone
        return holds(text, sample.prompt.removesuffix(INSTRUCTION))
    question = sample.prompt.split("\nA. ", 1)[0].splitlines()[-1:]
    return repeats(text, sample.prompt, "".join(question), sample.target.options)


def _stored_picks(path: Path, samples: Sequence[Sample], answers: Sequence[str], picks: Any) -> dict[str, int]:
    row = as_row(f"{path}: results", picks)
    right = image_right = unlike = 0
    for sample, answer in zip(samples, answers, strict=True):
        problem: Problem = sample.target
        pick = row.integer(sample.id)
        hit = pick == LETTERS.index(problem.gold)
        right += hit
        image_right += hit and "image" in problem.cells
        read = read_option_official(answer, problem.options)
        # A maker who guesses nothing stores -1 for what cannot be read.
        unlike += pick != (LETTERS.index(read) if read else -1)
    return {"correct": right, "image_correct": image_right, "not_in_outputs": unlike}
