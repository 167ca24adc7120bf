"""Answers to POPE joined to its questions: by id, by number in a category, by what is asked of which image, by order.

LLaVA numbers the questions of all categories through; POPE's own label files, and answers in VCD's layout, begin at 1
in each; POPE's own answers have no number at all. A way of joining holds only where it gives every row a question of
its own and no row names another category, picture or object than its question's. The first that holds is taken; where
none does, the rows are refused and nothing is guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

from harness.errors import DataError
from harness.wording import counted
from tasks.data.rows import Row, listed, refuse_repeats, refuse_unknown
from tasks.reading.row_claims import (
    Contradiction,
    holds,
    picture_contradictions,
    picture_number,
    pictures_named,
    question_contradictions,
    questions_named,
    refuse_contradictions,
)

BY_ID = "question_id"
BY_NUMBER = "category and the question_id within it"
BY_CONTENT = "category, image and object"
BY_ORDER = "order, since every row repeats its question"

A_FILE_EACH = "where ids restart in each category name a file for each: --answers random=FILE,popular=FILE"

_OBJECT = re.compile(r"\bis there an? (?P<object>.+?) in the (?:image|imange)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question with its label. `id` is unique in the set, `set_id` what a file of all categories calls it (None:
    there is no such file), `number` the question_id of the label file, unique in the category at most. `label` is None
    where no label file was given for the category."""

    location: str
    id: str
    set_id: str | None
    number: str | None
    category: str
    image: str
    object: str
    prompt: str
    label: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer row, the text of it that is to be read, and its id and category where it says them."""

    row: Row
    text: str
    id: str | None
    category: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """The question of each answer, in the rows' order, and the way in which they were found."""

    questions: tuple[Question, ...]
    by: str


Way = Sequence[Question | None]
"""A question for each answer, None where it has none."""

Look = Callable[[Answer], Question | None]


def join(answers: Sequence[Answer], questions: Sequence[Question], path: Path, source: Path) -> Joined:
    """Each answer's question; `path` is the answers' file and `source` that of the questions.

    Raises `DataError` where no way of joining holds: for ids given twice or unknown, for rows that name another
    question than theirs (their number and the first few), for rows without an id that do not repeat the questions in
    their order, and where several categories fit alike.
    """
    proved = all(map(objects_named, answers))
    fitting: dict[tuple[Question, ...], str] = {}
    for by, ways in _ways(answers, questions):
        holding = [tuple(question for question in way if question) for way in ways if _holds(answers, way)]
        if proved and len(holding) == 1:
            return Joined(questions=holding[0], by=by)
        # Rows that do not repeat their question fit any category that has their numbers: all show the same pictures.
        fitting = {**dict.fromkeys(holding, by), **fitting}
    if len(fitting) != 1:
        raise _refusal(answers, questions, path, source)
    ((joined, by),) = fitting.items()
    return Joined(questions=joined, by=by)


def object_in(text: str) -> str | None:
    """The object of the one POPE question that a prompt holds, whatever else it says; None where there is not one."""
    objects = {match["object"].strip().lower() for match in _OBJECT.finditer(text)}
    return objects.pop() if len(objects) == 1 else None


def contradictions(answer: Answer, question: Question) -> list[Contradiction]:
    """What a row says that is not so of a question: its category, its picture, the object that is asked for."""
    wrong = []
    if answer.category not in (None, question.category):
        wrong.append(Contradiction(answer.row.location, "category", str(answer.category), question.category))
    wrong += picture_contradictions(answer.row, question.image)
    return wrong + question_contradictions(answer.row, question.prompt, lambda text: _may_ask(text, question))


def _may_ask(text: str, question: Question) -> bool:
    """Whether a prompt can be a question's: one in other words must name the object, one that asks nothing may be a
    template, which is the same in every row."""
    named = object_in(text)
    if named is not None:
        return named == question.object
    return "?" not in text or holds(text, question.object)


# Ways -----------------------------------------------------------------------------------------------------------------


def _ways(answers: Sequence[Answer], questions: Sequence[Question]) -> Iterator[tuple[str, list[Way]]]:
    """(name, a way for each category that may be meant), the surest first."""
    categories = _by_category(questions)
    yield BY_ID, [_by_set_id(answers, questions)]
    yield BY_NUMBER, _within_categories(answers, {name: _by_number(group) for name, group in categories.items()})
    yield BY_CONTENT, _within_categories(answers, {name: _by_content(group) for name, group in categories.items()})
    yield BY_ORDER, _in_order(answers, categories)


def _by_category(questions: Sequence[Question]) -> Mapping[str, Sequence[Question]]:
    categories: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        categories[question.category].append(question)
    return categories


def _holds(answers: Sequence[Answer], way: Way) -> bool:
    questions = [question for question in way if question]
    if len(questions) < len(answers) or len({question.id for question in questions}) < len(answers):
        return False
    return not any(contradictions(answer, question) for answer, question in zip(answers, questions, strict=True))


def _within_categories(answers: Sequence[Answer], looks: Mapping[str, Look]) -> list[Way]:
    """One way where every row says its category; else one for each category, since all rows may be of any."""
    if all(answer.category for answer in answers):
        return [[looks.get(str(answer.category), _nowhere)(answer) for answer in answers]]
    return [[look(answer) for answer in answers] for look in looks.values()]


def _nowhere(answer: Answer) -> None:
    return None


def _by_set_id(answers: Sequence[Answer], questions: Sequence[Question]) -> Way:
    index = {question.set_id: question for question in questions}
    return [index.get(answer.id) if answer.id is not None else None for answer in answers]


def _by_number(questions: Sequence[Question]) -> Look:
    index = {question.number: question for question in questions}
    return lambda answer: index.get(answer.id) if answer.id is not None else None


def _by_content(questions: Sequence[Question]) -> Look:
    index: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        index[picture_number(question.image), question.object].append(question)

    def look(answer: Answer) -> Question | None:
        pictures = {picture_number(name) for name in pictures_named(answer.row).values()}
        objects = objects_named(answer)
        if len(pictures) != 1 or len(objects) != 1:
            return None
        fitting = index[pictures.pop(), objects.pop()]
        return fitting[0] if len(fitting) == 1 else None

    return look


def _in_order(answers: Sequence[Answer], categories: Mapping[str, Sequence[Question]]) -> list[Way]:
    """The questions of each category in their file's order, for rows that all repeat theirs."""
    if not all(map(objects_named, answers)):
        return []
    following = {name: iter(group) for name, group in categories.items()}
    return _within_categories(answers, {name: partial(_next_of, rest) for name, rest in following.items()})


def _next_of(questions: Iterator[Question], answer: Answer) -> Question | None:
    return next(questions, None)


def objects_named(answer: Answer) -> set[str]:
    """The objects that a row asks for where it repeats its question."""
    return {name for text in questions_named(answer.row).values() if (name := object_in(text))}


# Refusals -------------------------------------------------------------------------------------------------------------


def _refusal(answers: Sequence[Answer], questions: Sequence[Question], path: Path, source: Path) -> DataError:
    """What to say where no way holds; a fault that has a place is raised at once."""
    ids = [(answer.row.location, answer.id) for answer in answers if answer.id is not None]
    if len(ids) < len(answers):
        return _out_of_order(answers, questions, path, source)
    try:
        refuse_repeats(ids, "question_id")
    except DataError as error:
        raise DataError(f"{error}; {A_FILE_EACH}") from error
    of_set = any(question.set_id is not None for question in questions)
    ways = dict(_ways(answers, questions))[BY_ID if of_set else BY_NUMBER]
    own_ids = {str(question.set_id if of_set else question.number) for question in questions}
    refuse_unknown(ids, "question_id", own_ids, source)
    wrong = [
        [
            contradiction
            for answer, question in zip(answers, way, strict=True)
            if question
            for contradiction in contradictions(answer, question)
        ]
        for way in ways
    ]
    refuse_contradictions(
        min(wrong, key=len), len(answers), f"name the questions that were asked (--questions); {A_FILE_EACH}"
    )
    return DataError(f"{path}: its rows fit the questions of several categories, and do not say which; {A_FILE_EACH}")


def _out_of_order(answers: Sequence[Answer], questions: Sequence[Question], path: Path, source: Path) -> DataError:
    """Rows without an id: the first that is not the question in its turn, in the category that agrees the longest."""
    silent = next((answer for answer in answers if not objects_named(answer)), None)
    if silent is not None:
        return DataError(
            f"{silent.row.location}: the row has neither question_id nor the question that it answers; rows without an "
            f"id are joined by order, and only where each repeats its question as {source} has it"
        )
    categories = _by_category(questions)
    lengths = {name: _agreeing(answers, of_category) for name, of_category in categories.items()}
    longest = max(lengths.values())
    fitting = [name for name, length in lengths.items() if length == longest]
    rival = categories[fitting[0]]
    if longest == min(len(answers), len(rival)):
        rows = counted(len(answers), "row")
        return DataError(
            f"{path} has {rows} without an id, in the order of {listed(fitting)} as far as they go; answer those"
            f" questions and no others, and name the category: --answers CATEGORY={path}"
        )
    wrong = contradictions(answers[longest], rival[longest])[0]
    return DataError(
        f"{wrong.where}: {wrong.field} is {wrong.row_says!r:.100} where {rival[longest].location} is "
        f"{wrong.question!r:.100}; rows without an id are joined by order: put them into that of the questions, or "
        "give them their question_id"
    )


def _agreeing(answers: Sequence[Answer], questions: Sequence[Question]) -> int:
    """How many rows, from the first on, can be to the questions in their order."""
    pairs = zip(answers, questions, strict=False)
    return sum(1 for _ in takewhile(lambda pair: not contradictions(*pair), pairs))
