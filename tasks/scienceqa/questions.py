"""ScienceQA's questions: the test split of LLaVA's or the authors' files as samples in LLaVA's prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types import Sample
from harness.wording import counted
from tasks.data.rows import Row, as_row, listed, read_document, refuse_repeats
from tasks.reading.readers import LETTERS, OPTION_PROFILES
from tasks.scienceqa.marks import CELLS, Problem

INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""The last line of LLaVA's prompt."""

_WANTED = "LLaVA's llava_test_CQM-A.json, or the problems.json of lupantech/ScienceQA with its pid_splits.json"
_SPLITS = "pid_splits.json of lupantech/ScienceQA"
_GRADES = {f"grade{grade}": "grade/1-6" if grade <= 6 else "grade/7-12" for grade in range(1, 13)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many questions a split has, and how many of them have a picture."""

    questions: int
    with_image: int


TEST = Size(questions=4241, with_image=2017)


def scienceqa_prompt(question: str, options: Sequence[str], hint: str = "") -> str:
    """LLaVA's CQM-A prompt: the hint as context where there is one, the question, an option a line, the instruction."""
    context = [f"Context: {hint}"] if hint else []
    lettered = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([*context, question, *lettered, INSTRUCTION])


def load_questions(questions: Path, truth: Path | None = None, size: Size | None = TEST) -> dict[str, Sample]:
    """Id -> question, in the file's order: those that `load_answers` joins answers to, with its errors.

    `Sample.images` is empty; `Sample.meta["image"]` names the picture below the folder of the split's pictures.
    """
    samples = _questions(questions, truth)
    refuse_another_size(questions, samples, size)
    return samples


def refuse_another_size(questions: Path | str, samples: Mapping[str, Sample], size: Size | None) -> None:
    """Raise `DataError` that says which file to get where the questions are not `size` in number (None: any)."""
    actual = Size(questions=len(samples), with_image=sum("image" in sample.target.cells for sample in samples.values()))
    if size is not None and actual != size:
        raise DataError(
            f"{questions} gives {counted(actual.questions, 'question')}, {actual.with_image} of them with a picture, "
            "but "
            f"the test split has {size.questions} and {size.with_image}; get the whole of {_WANTED} (--truth)"
        )


def _questions(path: Path, truth: Path | None) -> dict[str, Sample]:
    """Id -> question, in the file's order."""
    document = read_document(path, _WANTED)
    split = None if truth is None else _test_ids(truth)
    if isinstance(document, list):
        samples = [_of_llava(as_row(f"{path}: [{index}]", content, _WANTED)) for index, content in enumerate(document)]
        refuse_repeats([(f"{path}: [{index}]", sample.id) for index, sample in enumerate(samples)], "id")
        samples_by_id = {sample.id: sample for sample in samples}
        if split is not None and samples_by_id.keys() != set(split):
            other = sorted(samples_by_id.keys() ^ set(split))
            raise DataError(f"{path} and {truth} differ in the test split ({listed(other)}); get {_WANTED}")
        return samples_by_id
    problems = as_row(str(path), document, _WANTED).content
    if split is None:
        return _of_split(path, problems, "test")
    missing = [key for key in split if key not in problems]
    if missing:
        raise DataError(f"{path} has no problem {listed(missing)} of {truth}; get {_WANTED}")
    return {key: problem_sample(key, as_row(f"{path}: {key}", problems[key], _WANTED)) for key in split}


def load_split(path: Path, split: str) -> dict[str, Sample]:
    """Id -> question of a split of problems.json, in the file's order, however many there are."""
    return _of_split(path, as_row(str(path), read_document(path, _WANTED), _WANTED).content, split)


def _of_split(path: Path, problems: Mapping[str, Any], split: str) -> dict[str, Sample]:
    rows = ((key, as_row(f"{path}: {key}", content, _WANTED)) for key, content in problems.items())
    return {key: problem_sample(key, row) for key, row in rows if row.text("split") == split}


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
        raise DataError(f"{row.location}: the first turn does not end in options 'A. ...', 'B. ...'; get {_WANTED}")
    gold = _gold(row.location, reply, options)
    return _sample(
        identifier, f"{text}\n{INSTRUCTION}", image, options, gold, _context(image, text.startswith("Context: "))
    )


def _turns(row: Row) -> tuple[str, str]:
    turns = row.content.get("conversations")
    if not isinstance(turns, list) or len(turns) != 2:
        raise DataError(f"{row.location}: field 'conversations' must be a list of two turns, a question and a letter")
    first, second = (as_row(f"{row.location}: turn {number}", turn) for number, turn in enumerate(turns, start=1))
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


def read_letter(prompt: str, answer: str, profile: str) -> str | None:
    """The letter that an answer to such a prompt is read as under one of `OPTION_PROFILES`, by the options that the
    prompt shows."""
    options = _options_at_the_end(prompt.removesuffix(f"\n{INSTRUCTION}"))
    return OPTION_PROFILES[profile](answer, options or ())


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


def _gold(location: str, reply: str, options: Sequence[str]) -> str:
    if len(reply) != 1 or reply not in LETTERS[: len(options)]:
        raise DataError(
            f"{location}: the reply must be the letter of one of {len(options)} options, found {reply[:60]!r}; "
            f"get {_WANTED}"
        )
    return reply
