"""POPE: is this object in the picture? Marking of yes/no answers, and published answer files joined to labels.

Protocol: COCO val2014, 500 images with 6 questions each, half of them yes, in three categories that differ in how the
absent objects were chosen (random, popular, adversarial). Published figures are now one split's accuracy, now a pooled
F1, now the mean of three F1 (LLaVA's headline), so all of them are given, with the reader's name beside them.
Source: AoiDragon/POPE; the four ways to count an unreadable answer are stated at `score_pope`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError, UsageError
from harness.readers import YES_NO_PROFILES, YesNo
from harness.types import Metric, Sample, Score
from tasks.answer_files import (
    AnswerFile,
    Row,
    listed,
    read_rows,
    refuse_repeats,
    refuse_unanswered,
    refuse_unknown,
)
from tasks.pope_questions import built_set

NAME = "pope"
VERSION = 1
HEADLINE = "macro/f1"

INSTRUCTION = "Answer the question using a single word or phrase."
"""The last line of LLaVA's prompt."""

ROWS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"random": (3000, 2910), "popular": (3000,), "adversarial": (3000,)}
)
"""Category -> how many rows its file may have; the shorter random one is the older, behind LLaVA-1.5's figures."""

_QUESTIONS = "llava_pope_test.jsonl of haotian-liu/LLaVA, with all categories"
_LABELS = "coco_pope_<category>.json of AoiDragon/POPE"

_OBJECT = re.compile(r"\s*is there an? (?P<object>.+?) in the (?:image|imange)\s*\?", re.IGNORECASE)


def pope_metrics(groups: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of POPE for these categories, as fractions over `Score.counts`.

    For each group and for "pooled" (all rows together): accuracy, precision, recall, f1 (positive class yes), yes_ratio
    (share of answers read as yes) and unread; then `macro/accuracy` and `macro/f1`, the plain means over the groups.
    lmms-eval prints the gold's share of yes under the name of yes_ratio; here it is the answers' under every profile.
    """
    of_groups = [metric for group in groups for metric in _split_metrics(group, group)]
    macro = [
        Metric(name=f"macro/{part}", macro=tuple(f"{group}/{part}" for group in groups)) for part in ("accuracy", "f1")
    ]
    return (*of_groups, *macro, *_split_metrics("pooled", None))


def score_pope(target: str, answer: str, profile: str = "strict") -> Score:
    """Mark one answer; `target` is "yes" or "no", `profile` one of `harness.readers.YES_NO_PROFILES`.

    An answer that was read counts the same everywhere. One that was not is wrong for accuracy and
    lmms-eval: in none of TP, FP, TN, FN, which flatters precision, recall and F1;
    vlmeval: a "no" for F1, so FN or TN by the gold (though a TN here earns no accuracy);
    strict: FN where the gold is yes, nothing where it is no, so nothing can be gained by being unreadable;
    official: does not occur, that reader reads everything.
    Source: protocols, POPE, last column of the table of readers. Raises `UsageError` for an unknown profile and
    `DataError` for a target that is neither yes nor no.
    """
    if profile not in YES_NO_PROFILES:
        raise UsageError(f"POPE has no profile '{profile}'; it has {', '.join(YES_NO_PROFILES)}")
    if target not in ("yes", "no"):
        raise DataError(f"the gold answer of a POPE question is yes or no, not {target!r}")
    read = YES_NO_PROFILES[profile](answer)
    right = read == target
    counts = dict.fromkeys(("asked", "right", "tp", "fp", "tn", "fn", "yes", "unread", "gold_yes"), 0)
    counts |= {"asked": 1, "right": int(right), "yes": int(read == "yes")}
    counts |= {"unread": int(read is None), "gold_yes": int(target == "yes")}
    cell = _cell(target, read, profile)
    if cell is not None:
        counts[cell] = 1
    return Score(value=float(right), parsed=read, counts=counts)


def load_answers(answers: Path, questions: Path, truth: Path, *, partial: bool = False) -> AnswerFile:
    """Answers in LLaVA's layout, joined to questions by `question_id` and to labels by category, image and object.

    `answers` has a JSON object a line with `question_id` and `text`; `questions` (llava_pope_test.jsonl) has
    `question_id`, `image`, `text`, `category`; `truth` is a folder with one label file a category
    (coco_pope_<category>.json, one object a line with `image`, `text`, `label`), or one such file: then only the
    questions of its category are marked and `info` lists the categories left out.

    The ids inside label files start again at 1 in each and are not the questions' ids, and label files of 2910 and 3000
    rows exist in different orders. So a question is joined to the row with the same object in the same image: that is
    the k-th row for the k-th question where the file is the one the questions were made from, and right for the others.
    The object is read from the question's text; "imange", as the older files spell it, is the same question. A question
    that the label file does not hold means that it is the wrong file: `DataError`, never a guess.

    `info` tells for each category the label file, its rows, and how many of them no question asked for. Answers that
    are missing raise `DataError` unless `partial`; then the questions left out are listed in `info["unanswered"]`.
    `info["built"]` is there where the labels are not the published ones but of `tasks.pope_questions.build_set`.
    Other faults (broken JSON, missing or ill-typed fields, an id given twice, an answer to no question) raise
    `DataError` with file and line.
    """
    asked = [_question(row) for row in read_rows(questions, _QUESTIONS)]
    refuse_repeats([(one.row.place, one.id) for one in asked], "question_id")
    given = _read_answers(answers, {one.id for one in asked}, questions)
    by_category: dict[str, list[_Question]] = defaultdict(list)
    for one in asked:
        by_category[one.category].append(one)
    files = _label_files(truth, tuple(by_category))

    samples: list[Sample] = []
    texts: list[str] = []
    splits: dict[str, dict[str, object]] = {}
    unanswered: list[str] = []
    for category, file in files.items():
        pool = _Labels(file)
        for one in by_category[category]:
            label = pool.take(one)
            if one.id not in given:
                unanswered.append(one.id)
                continue
            samples.append(_sample(one, label))
            texts.append(given[one.id])
        splits[category] = {
            "labels": file.name,
            "label_rows": pool.rows,
            "questions": len(by_category[category]),
            "label_rows_without_question": pool.rows - len(by_category[category]),
        }
    refuse_unanswered(answers, unanswered, len(samples), partial)
    skipped = {category: len(rows) for category, rows in by_category.items() if category not in files}
    info = {"splits": splits, "unanswered": unanswered, "categories_without_truth": skipped}
    if built := built_set(truth if truth.is_dir() else truth.parent):
        info["built"] = built.about
    return AnswerFile(samples=tuple(samples), answers=tuple(texts), info=info)


def labels_folder(folder: Path) -> Path | None:
    """Where the label files lie below POPE's folder: in it, or in one named after their rows; None where none are."""
    places = (folder, folder / "labels_3000", folder / "labels_2910")
    return next((place for place in places if any(place.glob("coco_pope_*.json"))), None)


def load_questions(folder: Path, rows: Mapping[str, tuple[int, ...]] = ROWS) -> list[Sample]:
    """The questions of a folder of label files, a category of `rows` each, with the label for target.

    `Sample.images` is empty; `Sample.meta["image"]` names the picture's file. Raises `DataError` with file and line for
    missing or ill-typed fields and for an object asked for twice in one image, and naming the file to get where one has
    another number of rows than `rows` allows.
    """
    samples = []
    for category, sizes in rows.items():
        path = _file_in_folder(folder, category)
        found = [question_sample(row, category) for row in read_rows(path, _LABELS)]
        refuse_another_size(path, category, len(found), sizes)
        samples += found
    return together(samples)


def question_sample(row: Row, category: str) -> Sample:
    """A label row (`image`, `text`, `label`) as a question in LLaVA's prompt. Its id says what is asked of which image,
    since the ids inside the files restart in each and differ between editions."""
    image, label = row.text("image"), _label(row)
    return Sample(
        id=f"{category}/{Path(image).stem}/{_object(row).replace(' ', '-')}",
        prompt=f"{row.text('text')}\n{INSTRUCTION}",
        images=(),
        target=label,
        cluster=image,
        meta={"group": category, "object": _object(row), "image": image},
    )


def refuse_another_size(path: Path | str, category: str, rows: int, sizes: Sequence[int]) -> None:
    """Raise `DataError` where the rows of a category are not one of `sizes` in number."""
    if rows not in sizes:
        wanted = " or ".join(str(size) for size in sizes)
        raise DataError(
            f"{path} has {rows} rows, but POPE's {category} questions are {wanted}; get coco_pope_{category}.json of "
            "AoiDragon/POPE, or build questions of your own (`strop data build pope`)"
        )


def together(samples: Sequence[Sample]) -> list[Sample]:
    """The questions image by image, so that those about one share its work; `DataError` where one is given twice."""
    place = {image: index for index, image in enumerate(dict.fromkeys(sample.cluster for sample in samples))}
    counted = Counter(sample.id for sample in samples)
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        raise DataError(f"POPE's questions ask twice for the same object in the same image: {listed(twice)}; keep one")
    return sorted(samples, key=lambda sample: place[sample.cluster])


def object_asked_for(question: str) -> str | None:
    """The object in "Is there a(n) <object> in the image?", or None where the text asks something else."""
    match = _OBJECT.match(question)
    return match["object"].strip().lower() if match else None


def _split_metrics(name: str, group: str | None) -> list[Metric]:
    def ratio(part: str, terms: Mapping[str, float], over: Mapping[str, float], better: str = "higher") -> Metric:
        return Metric(name=f"{name}/{part}", terms=terms, over=over, group=group, better=better)

    return [
        ratio("accuracy", {"right": 1}, {"asked": 1}),
        ratio("precision", {"tp": 1}, {"tp": 1, "fp": 1}),
        ratio("recall", {"tp": 1}, {"tp": 1, "fn": 1}),
        ratio("f1", {"tp": 2}, {"tp": 2, "fp": 1, "fn": 1}),
        ratio("yes_ratio", {"yes": 1}, {"asked": 1}, "neither"),
        ratio("unread", {"unread": 1}, {"asked": 1}, "lower"),
    ]


def _cell(target: str, read: YesNo | None, profile: str) -> str | None:
    """The cell of the confusion table that an answer falls into, if any; yes is the positive class."""
    if read is None and profile == "vlmeval":
        read = "no"
    if read is None:
        return "fn" if profile == "strict" and target == "yes" else None
    if read == "yes":
        return "tp" if target == "yes" else "fp"
    return "fn" if target == "yes" else "tn"


@dataclass(frozen=True, slots=True)
class _Question:
    row: Row
    id: str
    image: str
    object: str
    category: str


def _question(row: Row) -> _Question:
    return _Question(row, row.identifier("question_id"), row.text("image"), _object(row), row.text("category"))


def _object(row: Row) -> str:
    found = object_asked_for(row.text("text"))
    if found is None:
        raise row.wrong("text", "a question 'Is there a(n) ... in the image?'")
    return found


def _label(row: Row) -> str:
    return row.one_of("label", ("yes", "no"))


def _sample(question: _Question, label: str) -> Sample:
    return Sample(
        id=question.id,
        prompt=question.row.text("text"),
        # The pictures are not needed to mark published answers and are not part of the answer file.
        images=(),
        target=label,
        cluster=question.image,
        meta={"group": question.category, "object": question.object, "image": question.image},
    )


def _read_answers(path: Path, known: set[str], questions: Path) -> dict[str, str]:
    rows = [(row, row.identifier("question_id")) for row in read_rows(path)]
    given = [(row.place, identifier) for row, identifier in rows]
    refuse_repeats(given, "question_id")
    refuse_unknown(given, "question_id", known, questions)
    return {identifier: row.text("text") for row, identifier in rows}


def _label_files(truth: Path, categories: Sequence[str]) -> dict[str, Path]:
    """Category -> its label file, in the order of the questions."""
    if truth.is_dir():
        return {category: _file_in_folder(truth, category) for category in categories}
    if not truth.is_file():
        raise DataError(f"{truth}: no such file or folder; name the folder with coco_pope_{categories[0]}.json")
    named = [category for category in categories if category.lower() in truth.stem.lower()]
    if len(named) != 1:
        raise DataError(
            f"{truth} does not say which category it labels: its name holds {listed(named) or 'none'} of "
            f"{listed(categories)}; name it coco_pope_<category>.json or give the folder"
        )
    return {named[0]: truth}


def _file_in_folder(folder: Path, category: str) -> Path:
    exact = folder / f"coco_pope_{category}.json"
    if exact.is_file():
        return exact
    found = sorted(path for path in folder.glob("*.json*") if path.name.split(".")[0].endswith(f"_{category}"))
    if len(found) != 1:
        names = listed([path.name for path in found]) or "no such file"
        raise DataError(f"{folder}: expected one label file coco_pope_{category}.json, found {names}")
    return found[0]


class _Labels:
    """The rows of one label file, given out one by one so that no row answers two questions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._labels: dict[tuple[str, str], deque[str]] = defaultdict(deque)
        for row in read_rows(path, _LABELS):
            label = _label(row)
            held = self._labels[row.text("image"), _object(row)]
            if held and held[-1] != label:
                raise DataError(
                    f"{row.place}: labelled {label}, but the same object in the same image is {held[-1]} above"
                )
            held.append(label)
            self.rows += 1

    def take(self, question: _Question) -> str:
        held = self._labels.get((question.image, question.object))
        if not held:
            raise DataError(
                f"{question.row.place}: {self.path} has no row left for '{question.object}' in {question.image} "
                f"(category {question.category}); these are the labels of other questions"
            )
        return held.popleft()
