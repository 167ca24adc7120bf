"""Files of published responses to PHYSICS and their stored evaluations, joined to the problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.marking import Answered
from harness.profiles import chosen_profiles
from harness.thoughts import answer_of
from harness.types import Sample
from harness.wording import counted
from tasks.data.rows import Row, listed, read_rows, refuse_repeats, refuse_unanswered, refuse_unknown
from tasks.physics.evaluations import Evaluation, is_evaluated, is_lost, read_evaluation, summary
from tasks.physics.marks import NAME, OFFICIAL, RULE, SCORED
from tasks.physics.questions import PARTS, SUBJECTS, WHOLE, Size, load_problems, problem_files
from tasks.physics.rule import judge_pairs, pairs_of
from tasks.physics.task import Physics
from tasks.reading.row_claims import Contradiction, echoes_in, holds, refuse_contradictions

_ANSWERS = "the responses or evaluations of one model: a folder of yale-nlp/Physics outputs/, or a file of rows"
_FILE = re.compile(
    rf"(?:.*/)?(?P<subject>{'|'.join(SUBJECTS)})[^/]*[/.](?P<kind>response|final_evaluation)\.jsonl(?:\.gz)?"
)
_TEXTS = ("solution", "llm_answers", "response", "text", "answer")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """The rows of a model's files: evaluated ones, responses alone, and how many of each subject were lost ("": of
    which, the file does not say)."""

    evaluated: tuple[tuple[str, Row], ...]
    responses: tuple[tuple[str, Row], ...]
    lost: Mapping[str, int]


def load_answers(answers: Path, questions: Path, *, partial: bool = False, size: Size | None = WHOLE) -> Answered:
    """A model's responses joined to problems by id; `Sample.target` is a `Problem`.

    `answers` is a folder with a file a subject, in the authors' layout (`<subject>_dataset/response.jsonl` and
    `final_evaluation.jsonl`, also `_textonly`; or `<subject>.response.jsonl.gz`), or one file of rows. A row holds `id`
    and its text (`solution`, `llm_answers`, `response`, `text` or `answer`; null where the model gave none), and an
    evaluated one the boxes and verdicts that `tasks.physics.evaluations` replays. A lost row has no id: which problems
    were lost, the responses beside it say, else it is those of the set without a row.

    `questions` is the file or folder of problems. A model that was asked no problem with a figure, or no other, is
    marked on that part. Other problems without an answer raise `DataError` unless `partial`; then
    `info["unanswered"]` lists them. `info["evaluation"]` has by subject and in all what the authors store. A row that
    repeats its question (`questions`) must repeat its id's. Other faults raise `DataError` with file and line.
    """
    samples = load_problems(questions, size)
    files = _files(answers)
    rows = _read(files)
    for pairs in (rows.evaluated, rows.responses):
        located = [(row.location, identifier) for identifier, row in pairs]
        refuse_repeats(located, "id")
        refuse_unknown(located, "id", samples.keys(), questions)
    refuse_contradictions(
        [claim for identifier, row in rows.responses for claim in _contradictions(row, samples[identifier])],
        len(rows.responses),
        "name the problems that were asked (--questions)",
    )
    evaluations = {identifier: read_evaluation(row, samples[identifier].target) for identifier, row in rows.evaluated}
    texts = {identifier: _text(row) for identifier, row in (*rows.responses, *rows.evaluated)}
    lost = _lost(answers, rows, samples, evaluations, texts)
    part = _part(samples, texts)
    unanswered = [identifier for identifier in part if identifier not in texts and identifier not in lost]
    refuse_unanswered(answers, unanswered, len(texts), partial)
    present = tuple(
        _with_cell(sample, lost) for identifier, sample in part.items() if identifier in texts or identifier in lost
    )
    responses = tuple(texts.get(sample.id, "") for sample in present)
    cells = dict.fromkeys(cell for sample in present for cell in sample.target.cells)
    info: dict[str, Any] = {
        "questions": questions.name,
        "cells": sorted(cells, key=_order_of_cells),
        "unanswered": unanswered,
        **echoes_in(answers, present, responses),
    }
    if evaluations:
        info["evaluation"] = _evaluation(samples, evaluations, lost)
    return Answered(
        task=Physics(about=info, evaluations=evaluations or None, lost=lost),
        samples=present,
        answers=responses,
        files=files,
        truth=questions if questions.is_file() else None,
    )


def open_answers(
    answers: Path,
    *,
    data: Path,
    questions: Path | None = None,
    profile: str | None = None,
    partial: bool = False,
) -> dict[str, Answered]:
    """Profile -> answers, for the profile of that name or "all"; default: official where evaluations are stored, else
    rule.

    As `load_answers`, with the problems of the data folder where they are not named.
    """
    if profile is not None:
        chosen_profiles(profile, (OFFICIAL, RULE))  # before a file is read
    answered = load_answers(answers, questions or _questions(data.expanduser() / NAME), partial=partial)
    task = answered.task
    assert isinstance(task, Physics)
    default = RULE if task.evaluations is None else OFFICIAL
    if profile == OFFICIAL and task.evaluations is None:
        raise DataError(f"{answers} holds no evaluations to replay; mark its responses by --profile {RULE}")
    profiles = chosen_profiles(profile or default, task.profiles)
    if RULE in profiles:
        judge_pairs(  # all at once: what takes time is compared by several processes, and remembered
            pair
            for sample, text in zip(answered.samples, answered.answers, strict=True)
            for pair in pairs_of(sample.target, answer_of(text).answer)
        )
    return dict.fromkeys(profiles, answered)


def _questions(folder: Path) -> Path:
    if not problem_files(folder):
        raise DataError(
            f"--questions was not given and {folder} holds no <subject>_dataset.jsonl; name the problems, or put them "
            "there (`strop data list` says where they come from)"
        )
    return folder


def _files(answers: Path) -> tuple[Path, ...]:
    """The file itself, or those of a folder by subject and kind; raises `DataError` for several models' folder."""
    if not answers.is_dir():
        return (answers,)
    by_place: dict[tuple[str, str], Path] = {}
    for path in sorted(answers.rglob("*.jsonl*")):
        match = _FILE.fullmatch(path.relative_to(answers).as_posix())
        if match is None:
            continue
        place = match["subject"], match["kind"]
        if place in by_place:
            raise DataError(f"{answers} holds {by_place[place]} and {path}; name the folder of one model")
        by_place[place] = path
    if not by_place:
        raise DataError(f"{answers} holds no <subject>_dataset/response.jsonl; name {_ANSWERS}")
    return tuple(by_place.values())


def _read(files: Sequence[Path]) -> _Rows:
    """The rows of files. A subject's responses beside its final_evaluation are responses, whatever else they hold."""
    places = {path: _FILE.fullmatch(path.as_posix()) for path in files}
    judged = {match["subject"] for match in places.values() if match and match["kind"] == "final_evaluation"}
    evaluated: list[tuple[str, Row]] = []
    responses: list[tuple[str, Row]] = []
    lost: Counter[str] = Counter()
    for path, match in places.items():
        subject = match["subject"] if match else ""
        are_responses = match is not None and match["kind"] == "response" and subject in judged
        for row in read_rows(path, _ANSWERS):
            if are_responses or not is_evaluated(row):
                responses.append((row.identifier("id"), row))
            elif is_lost(row):
                lost[subject] += 1
            else:
                evaluated.append((row.identifier("id"), row))
    return _Rows(evaluated=tuple(evaluated), responses=tuple(responses), lost=lost)


def _text(row: Row) -> str:
    """The response, blank where the model gave none; raises `DataError` for a row without a field that may hold it."""
    name = next((name for name in _TEXTS if name in row.content), _TEXTS[0])
    return "" if row.content.get(name, "") is None else row.text(name)


def _contradictions(row: Row, sample: Sample) -> list[Contradiction]:
    text, question = row.content.get("questions"), sample.meta["question"]
    if not isinstance(text, str) or not text.strip() or holds(text, question) or holds(question, text):
        return []
    return [Contradiction(row.location, "questions", text, question)]


def _part(samples: Mapping[str, Sample], texts: Iterable[str]) -> dict[str, Sample]:
    """The problems that a model was asked: those without a figure, or with one, where it answered no others."""
    parts = {part for identifier in texts for part in PARTS if part in samples[identifier].target.cells}
    return {
        identifier: sample
        for identifier, sample in samples.items()
        if len(parts) != 1 or not parts.isdisjoint(sample.target.cells)
    }


def _lost(
    answers: Path,
    rows: _Rows,
    samples: Mapping[str, Sample],
    evaluations: Mapping[str, Evaluation],
    texts: Mapping[str, str],
) -> frozenset[str]:
    """The problems whose evaluation was lost; raises `DataError` where the files do not say which."""
    responded = [identifier for identifier, _ in rows.responses]
    part = list(_part(samples, texts))
    lost: set[str] = set()
    for subject, count in rows.lost.items():

        def of_subject(identifiers: Iterable[str], subject: str = subject) -> list[str]:
            return [name for name in identifiers if subject in ("", samples[name].target.subject)]

        asked = of_subject(responded) or of_subject(part)
        missing = [identifier for identifier in asked if identifier not in evaluations]
        if len(missing) != count:
            raise DataError(
                f"{answers}: of {subject or 'the problems'} {counted(count, 'row was', 'rows were')} lost and "
                f"{counted(len(missing), 'problem has', 'problems have')} no verdict ({listed(missing)}); put "
                "response.jsonl beside it, which says what was asked"
            )
        lost.update(missing)
    return frozenset(lost)


def _with_cell(sample: Sample, lost: frozenset[str]) -> Sample:
    """With the cell of what was not lost, where something was."""
    if not lost or sample.id in lost:
        return sample
    return replace(sample, target=replace(sample.target, cells=(*sample.target.cells, SCORED)))


def _order_of_cells(cell: str) -> tuple[int, str]:
    return (SCORED, *PARTS, "subject", "split", "hard").index(cell.split("/", 1)[0]), cell


def _evaluation(
    samples: Mapping[str, Sample], evaluations: Mapping[str, Evaluation], lost: frozenset[str]
) -> dict[str, Any]:
    def of(subjects: Sequence[str]) -> dict[str, Any]:
        here = [each for identifier, each in evaluations.items() if samples[identifier].target.subject in subjects]
        return summary(here, sum(samples[identifier].target.subject in subjects for identifier in lost))

    present = {samples[identifier].target.subject for identifier in (*evaluations, *lost)}
    return {
        "all": of(SUBJECTS),
        "subjects": {subject: of((subject,)) for subject in SUBJECTS if subject in present},
        "lost": sorted(lost),
    }
