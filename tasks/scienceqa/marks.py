"""ScienceQA: science questions with two to five options. Marking of the letters, and published answer files.

Protocol: the test split has 4241 questions, 2017 of them with a picture (SQA-IMG, which tables of VLMs print). The
prompt is LLaVA's CQM-A: context, question, options, and the letter is asked for. What is not a bare letter is read in
four ways (`tasks.reading.readers.OPTION_PROFILES`), one reason why a single model has been reported from 36 to 69.5.
An answer that cannot be read is wrong under every profile and counted as unread; the authors of ScienceQA, and
VLMEvalKit after its rules, put a random option there, which no profile here does.
Source: lupantech/ScienceQA (Lu et al., Learn to Explain, 2022); haotian-liu/LLaVA; protocols, ScienceQA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError
from harness.profiles import PLAIN
from harness.types import Metric, Sample, Score
from harness.wording import counted
from tasks.data.rows import (
    AnswerFile,
    Row,
    as_row,
    is_document,
    listed,
    read_document,
    read_rows,
    refuse_repeats,
    refuse_unanswered,
    refuse_unknown,
)
from tasks.reading.cells import cell_metrics, cell_score
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

NAME = "scienceqa"
VERSION = 2
HEADLINE = "image/accuracy"
INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""The last line of LLaVA's prompt."""

REPLICAS = frozenset(OPTION_PROFILES) - {PLAIN}
"""The profiles that read what somebody else's script reads, thoughts and all (`harness.types.Replicating`)."""

CELLS = ("image", "text", "no context")
"""Questions with a picture, with a text (the hint), with neither: the paper's IMG, TXT, NO. The first two overlap."""

_WANTED = "LLaVA's llava_test_CQM-A.json, or the problems.json of lupantech/ScienceQA with its pid_splits.json"
_ANSWERS = "the file of answers"
_SPLITS = "pid_splits.json of lupantech/ScienceQA"
_GRADES = {f"grade{grade}": "grade/1-6" if grade <= 6 else "grade/7-12" for grade in range(1, 13)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What an answer is marked by: the options' texts, the letter of the right one, and the cells it is counted in."""

    options: tuple[str, ...]
    gold: str
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many questions a split has, and how many of them have a picture."""

    questions: int
    with_image: int


TEST = Size(questions=4241, with_image=2017)


def scienceqa_metrics(cells: Sequence[str] = CELLS) -> tuple[Metric, ...]:
    """Accuracy and unread share as fractions, of all questions and of each cell, e.g. `image/accuracy`."""
    return cell_metrics(cells)


def scienceqa_prompt(question: str, options: Sequence[str], hint: str = "") -> str:
    """LLaVA's CQM-A prompt: the hint as context where there is one, the question, an option a line, the instruction."""
    context = [f"Context: {hint}"] if hint else []
    lettered = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([*context, question, *lettered, INSTRUCTION])


def score_scienceqa(problem: Problem, answer: str, profile: str = "strict") -> Score:
    """Mark one answer; `profile` is one of `tasks.reading.readers.OPTION_PROFILES`, `parsed` the letter read or None.

    Raises `UsageError` for an unknown profile.
    """
    if profile not in OPTION_PROFILES:
        raise UsageError(f"ScienceQA has no profile '{profile}'; it has {', '.join(OPTION_PROFILES)}")
    read = OPTION_PROFILES[profile](answer, problem.options)
    return cell_score(read == problem.gold, read, problem.cells)


def load_answers(
    answers: Path, questions: Path, truth: Path | None = None, *, partial: bool = False, size: Size | None = TEST
) -> AnswerFile:
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
    asked = load_questions(questions, truth, size)
    rows, picks = _rows(answers)
    ids = [(row.place, identifier) for identifier, row in rows]
    refuse_repeats(ids, "question_id")
    refuse_unknown(ids, "question_id", asked.keys(), questions)
    wrong = [claim for identifier, row in rows for claim in _contradictions(row, asked[identifier])]
    refuse_contradictions(
        wrong, len(rows), "name the questions that were asked (--questions), and give each row its own id"
    )
    texts = {identifier: row.text("text") for identifier, row in rows}
    unanswered = [identifier for identifier in asked if identifier not in texts]
    refuse_unanswered(answers, unanswered, len(texts), partial)
    samples = tuple(sample for identifier, sample in asked.items() if identifier in texts)
    found = tuple(texts[sample.id] for sample in samples)
    info: dict[str, Any] = {
        "questions": questions.name,
        "cells": list(dict.fromkeys([*CELLS, *(cell for sample in samples for cell in sample.target.cells)])),
        "unanswered": unanswered,
        "unnamed": sum(names_nothing(row) for _, row in rows),
        **echoes_in(answers, samples, found),
    }
    if picks is not None:
        info["stored_picks"] = _stored_picks(answers, samples, found, picks)
    return AnswerFile(samples=samples, answers=found, info=info)


def load_questions(questions: Path, truth: Path | None = None, size: Size | None = TEST) -> dict[str, Sample]:
    """Id -> question, in the file's order: those that `load_answers` joins answers to, with its errors.

    `Sample.images` is empty; `Sample.meta["image"]` names the picture below the folder of the split's pictures.
    """
    asked = _questions(questions, truth)
    refuse_another_size(questions, asked, size)
    return asked


def refuse_another_size(questions: Path | str, asked: Mapping[str, Sample], size: Size | None) -> None:
    """Raise `DataError` that says which file to get where the questions are not `size` in number (None: any)."""
    found = Size(questions=len(asked), with_image=sum("image" in sample.target.cells for sample in asked.values()))
    if size is not None and found != size:
        raise DataError(
            f"{questions} gives {counted(found.questions, 'question')}, {found.with_image} of them with a picture, but "
            f"the test split has {size.questions} and {size.with_image}; get the whole of {_WANTED} (--truth)"
        )


def _questions(path: Path, truth: Path | None) -> dict[str, Sample]:
    """Id -> question, in the file's order."""
    document = read_document(path, _WANTED)
    split = None if truth is None else _test_ids(truth)
    if isinstance(document, list):
        samples = [_of_llava(as_row(f"{path}: [{index}]", content, _WANTED)) for index, content in enumerate(document)]
        refuse_repeats([(f"{path}: [{index}]", sample.id) for index, sample in enumerate(samples)], "id")
        asked = {sample.id: sample for sample in samples}
        if split is not None and asked.keys() != set(split):
            other = sorted(asked.keys() ^ set(split))
            raise DataError(f"{path} and {truth} differ in the test split ({listed(other)}); get {_WANTED}")
        return asked
    problems = as_row(str(path), document, _WANTED).content
    if split is None:
        rows = ((key, as_row(f"{path}: {key}", content, _WANTED)) for key, content in problems.items())
        return {key: problem_sample(key, row) for key, row in rows if row.text("split") == "test"}
    missing = [key for key in split if key not in problems]
    if missing:
        raise DataError(f"{path} has no problem {listed(missing)} of {truth}; get {_WANTED}")
    return {key: problem_sample(key, as_row(f"{path}: {key}", problems[key], _WANTED)) for key in split}


def _test_ids(path: Path) -> tuple[str, ...]:
    return as_row(str(path), read_document(path, _SPLITS), _SPLITS).texts("test")


def _of_llava(row: Row) -> Sample:
    """A record of llava_test_CQM-A.json: the prompt as it was shown but for its last line, and the letter as reply."""
    identifier = row.identifier("id")
    prompt, reply = _turns(row)
    image = row.text("image") if "image" in row.content else None
    text = prompt.replace("<image>\n", "", 1)
    options = _options_at_the_end(text)
    if options is None:
        raise DataError(f"{row.place}: the first turn does not end in options 'A. ...', 'B. ...'; get {_WANTED}")
    gold = _gold(row.place, reply, options)
    return _sample(
        identifier, f"{text}\n{INSTRUCTION}", image, options, gold, _context(image, text.startswith("Context: "))
    )


def _turns(row: Row) -> tuple[str, str]:
    turns = row.content.get("conversations")
    if not isinstance(turns, list) or len(turns) != 2:
        raise DataError(f"{row.place}: field 'conversations' must be a list of two turns, a question and a letter")
    first, second = (as_row(f"{row.place}: turn {number}", turn) for number, turn in enumerate(turns, start=1))
    return first.text("value"), second.text("value")


def _options_at_the_end(prompt: str) -> tuple[str, ...] | None:
    """The options that close a prompt. They may have several lines, so each reaches to the next letter in turn."""
    lines = f"\n{prompt}"
    start = lines.rfind("\nA. ")
    if start < 0:
        return None
    options = []
    for following in LETTERS[1:]:
        end = lines.find(f"\n{following}. ", start + 1)
        options.append(lines[start + len("\nA. ") : end if end >= 0 else None])
        if end < 0:
            break
        start = end
    return tuple(options)


def problem_sample(identifier: str, row: Row) -> Sample:
    """A problem of problems.json. Its picture is named below the split's folder, by id and file."""
    options = row.texts("choices")
    index = row.integer("answer")
    if not 0 <= index < len(options):
        raise row.wrong("answer", f"an index below {len(options)}, the number of choices")
    hint, grade = row.text("hint"), row.text("grade")
    if grade not in _GRADES:
        raise row.wrong("grade", "grade1 to grade12")
    image = row.text("image") if row.content.get("image") else None
    cells = (*_context(image, bool(hint)), f"subject/{row.text('subject')}", _GRADES[grade])
    prompt = scienceqa_prompt(row.text("question"), options, hint)
    return _sample(identifier, prompt, image and f"{identifier}/{image}", options, LETTERS[index], cells)


def _sample(
    identifier: str, prompt: str, image: str | None, options: tuple[str, ...], gold: str, cells: tuple[str, ...]
) -> Sample:
    return Sample(
        id=identifier,
        prompt=prompt,
        # The pictures are not needed to mark published answers and are not part of the answer file.
        images=(),
        target=Problem(options=options, gold=gold, cells=cells),
        # No two questions share a picture file.
        cluster=identifier,
        meta={"image": image},
    )


def _context(image: str | None, has_text: bool) -> tuple[str, ...]:
    with_image, with_text, with_neither = CELLS
    cells = ((with_image,) if image else ()) + ((with_text,) if has_text else ())
    return cells or (with_neither,)


def _gold(place: str, reply: str, options: Sequence[str]) -> str:
    if len(reply) != 1 or reply not in LETTERS[: len(options)]:
        raise DataError(
            f"{place}: the reply must be the letter of one of {len(options)} options, found {reply[:60]!r}; "
            f"get {_WANTED}"
        )
    return reply


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
    return [(key, Row(outputs.place, {"text": text})) for key, text in texts], document.get("results")


def _contradictions(row: Row, sample: Sample) -> list[Contradiction]:
    """What a row says that is not so of a question: its picture, its prompt or the line that asks with its options."""
    wrong = picture_contradictions(row, sample.meta["image"])
    return wrong + question_contradictions(row, sample.prompt, lambda text: _may_ask(text, sample))


def _may_ask(text: str, sample: Sample) -> bool:
    if "Context: " in text and "\nA. " in text:  # LLaVA's own layout, in which questions may differ in context alone
        return holds(text, sample.prompt.removesuffix(INSTRUCTION))
    asked = sample.prompt.split("\nA. ", 1)[0].splitlines()[-1:]
    return repeats(text, sample.prompt, "".join(asked), sample.target.options)


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
