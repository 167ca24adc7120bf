"""Files of answers to POPE, LLaVA's and POPE's own, joined to questions and labels."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.marking import Answered
from harness.profiles import chosen_profiles
from harness.types import Sample
from tasks.data.defaults import default_file, optional_file
from tasks.data.rows import Row, listed, read_rows, refuse_repeats, refuse_unanswered
from tasks.pope.build import built_set
from tasks.pope.join import Answer, Question, join, objects_named
from tasks.pope.marks import NAME, headline, pope_metrics
from tasks.pope.questions import (
    LABELS,
    ROWS,
    label_file,
    label_of,
    labels_folder,
    object_asked_for,
    object_of,
    question_name,
)
from tasks.pope.task import Pope
from tasks.reading.readers import YES_NO_PROFILES
from tasks.reading.row_claims import echoes_in, plain, questions_named

QUESTIONS = "llava_pope_test.jsonl of haotian-liu/LLaVA, with all categories"


def load_answers(
    answers: Path | Mapping[str, Path], questions: Path | None, truth: Path, *, partial: bool = False
) -> Answered:
    """Answers joined to questions and labels; `answers` is one file or one a category (category -> file).

    An answer row is LLaVA's (`question_id`, `text`) or POPE's own (`question`, `answer`). `questions` is LLaVA's
    llava_pope_test.jsonl (`question_id`, `image`, `text`, `category`), a label file, or None for the questions of
    `truth`: a folder with one label file a category (coco_pope_<category>.json, one object a line with `image`, `text`,
    `label`), or one such file. Then only the questions of its category are marked and `info` lists the categories left
    out, as it does where `answers` names some categories alone.

    How rows find their questions is told in `tasks.pope.join`; `info["joined"]` says it of each file (by category, or
    by name), and `info["unnamed"]` how many rows do not repeat their question, so that nothing proves it. The questions
    find their labels by category, image and object: ids inside label files start again at 1 in each, and label files of
    2910 and 3000 rows exist in different orders. "imange", as the older files spell it, is the same question. A
    question that the label file does not hold means that it is the wrong file: `DataError`, never a guess.

    `info` tells for each category the label file, its rows, and how many of them no question asked for. Answers that
    are missing raise `DataError` unless `partial`; then the questions left out are listed in `info["unanswered"]`.
    `info["built"]` is there where the labels are not the published ones but of `tasks.pope.build.build_set`.
    Other faults (broken JSON, missing or ill-typed fields, an id given twice, an answer to no question, rows that name
    another picture or question, questions in the place of answers) raise `DataError` with file and line.
    """
    question_set = _question_set(questions, truth)
    files: dict[str | None, Path] = {None: answers} if isinstance(answers, Path) else dict(answers.items())
    source = questions or truth
    texts: dict[str, str] = {}
    joined: dict[str, str] = {}
    unnamed = 0
    for category, path in files.items():
        rows = [_answer(row, category) for row in read_rows(path)]
        _refuse_questions_for_answers(path, rows, question_set.questions)
        joining = join(rows, question_set.of(category, source), path, source)
        _refuse_other_category(path, joining.questions, question_set, truth)
        texts |= {question.id: answer.text for answer, question in zip(rows, joining.questions, strict=True)}
        joined[category or path.name] = joining.by
        unnamed += sum(not objects_named(answer) for answer in rows)

    named = question_set.categories if isinstance(answers, Path) else tuple(answers)
    marked = [question for question in question_set.labelled if question.category in named]
    answered = [question for question in marked if question.id in texts]
    unanswered = [question.id for question in marked if question.id not in texts]
    refuse_unanswered(next(iter(files.values())), unanswered, len(answered), partial)
    info: dict[str, Any] = {"unanswered": unanswered, "joined": joined, "unnamed": unnamed, **question_set.about(named)}
    if built := built_set(truth if truth.is_dir() else truth.parent):
        info["built"] = built.about
    samples, spoken = tuple(map(_sample, answered)), tuple(texts[question.id] for question in answered)
    info |= echoes_in(next(iter(files.values())), samples, spoken)
    groups = {sample.meta["group"] for sample in samples}
    categories = [category for category in info["splits"] if category in groups]
    return Answered(
        task=Pope(metrics=pope_metrics(categories), headline=headline(categories), about=info),
        samples=samples,
        answers=spoken,
        files=tuple(files.values()),
        truth=truth,
        reference="official",
    )


def open_answers(
    answers: Path | Mapping[str, Path],
    *,
    data: Path,
    questions: Path | None = None,
    truth: Path | None = None,
    profile: str | None = None,
    partial: bool = False,
) -> dict[str, Answered]:
    """Profile -> answers, for the profile of that name (default: official) or "all".

    As `load_answers`, with the questions and labels of the data folder where they are not named.
    """
    profiles = chosen_profiles(profile or "official", YES_NO_PROFILES)
    folder = data.expanduser() / NAME
    if questions is None and isinstance(answers, Path):
        questions = optional_file(folder / "llava_pope_test.jsonl")
    if truth is None and questions and are_labels(questions):
        truth = questions
    truth = truth or labels_folder(folder) or default_file("--truth", folder, "coco_pope_adversarial.json")
    return dict.fromkeys(profiles, load_answers(answers, questions, truth, partial=partial))


def are_labels(path: Path) -> bool:
    """Whether a file of questions is a label file, which holds their answers and one category."""
    return _are_labels(list(read_rows(path, QUESTIONS)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _QuestionSet:
    """The questions, category by category, those of a category without truth having no label; and what was joined."""

    questions: tuple[Question, ...]
    splits: Mapping[str, Mapping[str, object]]

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(question.category for question in self.questions))

    @property
    def labelled(self) -> Sequence[Question]:
        return [question for question in self.questions if question.label is not None]

    def about(self, named: Sequence[str]) -> dict[str, object]:
        """What was joined to what in the categories that answers were `named` for, and how many questions are left."""
        sizes = Counter(question.category for question in self.questions)
        return {
            "splits": {name: split for name, split in self.splits.items() if name in named},
            "categories_without_truth": {name: sizes[name] for name in named if name not in self.splits},
            "categories_without_answers": {name: sizes[name] for name in self.splits if name not in named},
        }

    def of(self, category: str | None, source: Path) -> Sequence[Question]:
        """The questions of one category (None: all); `DataError` where there are none."""
        if category not in (None, *self.categories):
            raise DataError(f"{source} has no category '{category}'; it has {listed(self.categories)}")
        return [question for question in self.questions if category in (None, question.category)]


def _question_set(path: Path | None, truth: Path) -> _QuestionSet:
    rows = _rows_by_category(path, truth)
    files = _label_files(truth, tuple(rows))
    questions: list[Question] = []
    splits: dict[str, dict[str, object]] = {}
    for category, group in rows.items():
        pool = _Labels(files[category]) if category in files else None
        questions += (_question(row, category, pool) for row in group)
        if pool is not None:
            splits[category] = {
                "labels": pool.path.name,
                "label_rows": pool.rows,
                "questions": len(group),
                "label_rows_without_question": pool.rows - len(group),
            }
    refuse_repeats([(question.location, question.id) for question in questions], "the question")
    return _QuestionSet(questions=tuple(questions), splits=splits)


def _rows_by_category(path: Path | None, truth: Path) -> Mapping[str, Sequence[Row]]:
    """The rows of questions: those of the label files where `path` is None, or of the one that it is."""
    if path is None:
        here = [name for name in ROWS if truth.is_file() or any(truth.glob(f"*_{name}.json*"))]
        return {name: list(read_rows(file, LABELS)) for name, file in _label_files(truth, here or list(ROWS)).items()}
    rows = list(read_rows(path, QUESTIONS))
    if _are_labels(rows):
        return {next(iter(_label_files(path, tuple(ROWS)))): rows}
    by_category: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_category[row.text("category")].append(row)
    refuse_repeats([(row.location, row.identifier("question_id")) for row in rows], "question_id")
    return by_category


def _are_labels(rows: Sequence[Row]) -> bool:
    return all("label" in row.content and "category" not in row.content for row in rows)


def _question(row: Row, category: str, labels: _Labels | None) -> Question:
    """A row of questions with its label. One of a label file goes by what is asked of which image, see
    `tasks.pope.marks.question_sample`: its number is another question's in the next category."""
    image, thing = row.text("image"), object_of(row)
    of_set = "category" in row.content
    label, number = labels.take(row, image, thing, category) if labels else (None, None)
    return Question(
        location=row.location,
        id=row.identifier("question_id") if of_set else question_name(category, image, thing),
        set_id=row.identifier("question_id") if of_set else None,
        number=number,
        category=category,
        image=image,
        object=thing,
        prompt=row.text("text"),
        label=label,
    )


def _sample(question: Question) -> Sample:
    return Sample(
        id=question.id,
        prompt=question.prompt,
        # The pictures are not needed to mark published answers and are not part of the answer file.
        images=(),
        target=question.label,
        cluster=question.image,
        meta={"group": question.category, "object": question.object, "image": question.image},
    )


def _answer(row: Row, category: str | None) -> Answer:
    """A row of answers: LLaVA's, or POPE's own with the question under `question` or `text` and the answer apart.

    Where there is a `text` that is not the row's only question it is the answer, since `answer` may then be gold.
    """
    identifier = row.identifier("question_id") if row.content.get("question_id") is not None else None
    own = row.content.get("category") is not None
    if own and category not in (None, row.text("category")):
        raise row.wrong("category", f"'{category}', whose answers the file was named for")
    text = row.content.get("text")
    if "answer" in row.content and not questions_named(row) and isinstance(text, str) and object_asked_for(text):
        content = {name: value for name, value in row.content.items() if name != "text"}
        row = replace(row, content={**content, "question": text})
    field = "answer" if "answer" in row.content and "text" not in row.content else "text"
    return Answer(row=row, text=row.text(field), id=identifier, category=row.text("category") if own else category)


def _refuse_questions_for_answers(path: Path, rows: Sequence[Answer], questions: Sequence[Question]) -> None:
    """Raise `DataError` where every answer is a question and nothing else, with or without the instruction behind it:
    a file of questions has the fields of answers."""
    behind = {"", *(_behind_the_question(question.prompt) for question in questions)}
    if all(object_asked_for(row.text) and _behind_the_question(row.text) in behind for row in rows):
        raise DataError(f"{path} holds questions and no answers: each 'text' asks for an object; name the answers")


def _behind_the_question(text: str) -> str:
    return plain(text).partition("?")[2]


def _refuse_other_category(path: Path, questions: Sequence[Question], question_set: _QuestionSet, truth: Path) -> None:
    """Raise `DataError` where the answers are to categories whose labels were not given."""
    if all(question.label is None for question in questions):
        answered = dict.fromkeys(question.category for question in questions)
        raise DataError(
            f"{path} answers the {listed(list(answered))} questions, and {truth} labels "
            f"{listed(list(question_set.splits))}; name the label file of their own category, or the folder (--truth)"
        )


def _label_files(truth: Path, categories: Sequence[str]) -> dict[str, Path]:
    """Category -> its label file, in the order of the questions."""
    if truth.is_dir():
        return {category: label_file(truth, category) for category in categories}
    if not truth.is_file():
        raise DataError(f"{truth}: no such file or folder; name the folder with coco_pope_{categories[0]}.json")
    named = [category for category in categories if category.lower() in truth.stem.lower()]
    if len(named) != 1:
        raise DataError(
            f"{truth} does not say which category it labels: its name holds {listed(named) or 'none'} of "
            f"{listed(categories)}; name it coco_pope_<category>.json or give the folder"
        )
    return {named[0]: truth}


class _Labels:
    """The rows of one label file, given out one by one so that no row answers two questions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._labels: dict[tuple[str, str], deque[tuple[str, str | None]]] = defaultdict(deque)
        for row in read_rows(path, LABELS):
            label = label_of(row)
            number = row.identifier("question_id") if "question_id" in row.content else None
            before = self._labels[row.text("image"), object_of(row)]
            if before and before[-1][0] != label:
                raise DataError(
                    f"{row.location}: labelled {label}, but the same object in the same image is {before[-1][0]} above"
                )
            before.append((label, number))
            self.rows += 1

    def take(self, row: Row, image: str, thing: str, category: str) -> tuple[str, str | None]:
        """(label, number) of the question of a row of questions."""
        left = self._labels.get((image, thing))
        if not left:
            raise DataError(
                f"{row.location}: {self.path} has no row left for '{thing}' in {image} "
                f"(category {category}); these are the labels of other questions"
            )
        return left.popleft()
