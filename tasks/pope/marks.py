"""POPE: is this object in the picture? Its questions and the marking of yes/no answers.

Protocol: COCO val2014, 500 images with 6 questions each, half of them yes, in three categories that differ in how the
absent objects were chosen (random, popular, adversarial). Published figures are now one split's accuracy, now a pooled
F1, now the mean of three F1 (LLaVA's headline), so all of them are given, with the reader's name beside them.
Source: AoiDragon/POPE; the four ways to count an unreadable answer are stated at `score_pope`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError, UsageError
from harness.profiles import PLAIN
from harness.types import Metric, Sample, Score
from harness.wording import counted
from tasks.data.rows import Row, listed, read_rows
from tasks.reading.readers import YES_NO_PROFILES, YesNo

NAME = "pope"
VERSION = 2
HEADLINE = "macro/f1"

INSTRUCTION = "Answer the question using a single word or phrase."
"""The last line of LLaVA's prompt."""

ROWS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"random": (3000, 2910), "popular": (3000,), "adversarial": (3000,)}
)
"""Category -> how many rows its file may have; the shorter random one is the older, behind LLaVA-1.5's figures."""

LABELS = "coco_pope_<category>.json of AoiDragon/POPE"

REPLICAS = frozenset(YES_NO_PROFILES) - {PLAIN}
"""The profiles that read what somebody else's script reads, thoughts and all (`harness.types.Replicating`)."""

_OBJECT = re.compile(r"\s*is there an? (?P<object>.+?) in the (?:image|imange)\s*\?", re.IGNORECASE)


def pope_metrics(groups: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of POPE for these categories, as fractions over `Score.counts`.

    For each group and for "pooled" (all rows together): accuracy, precision, recall, f1 (positive class yes), yes_ratio
    (share of answers read as yes) and unread; then, of more than one group, `macro/accuracy` and `macro/f1`, the plain
    means over them.
    lmms-eval prints the gold's share of yes under the name of yes_ratio; here it is the answers' under every profile.
    """
    of_groups = [metric for group in groups for metric in _split_metrics(group, group)]
    parts = ("accuracy", "f1") if len(groups) > 1 else ()
    macro = [Metric(name=f"macro/{part}", macro=tuple(f"{group}/{part}" for group in groups)) for part in parts]
    return (*of_groups, *macro, *_split_metrics("pooled", None))


def score_pope(target: str, answer: str, profile: str = "strict") -> Score:
    """Mark one answer; `target` is "yes" or "no", `profile` one of `tasks.reading.readers.YES_NO_PROFILES`.

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


def headline(categories: Sequence[str]) -> str:
    """The metric that stands for these categories: the mean of their F1, or the only one's own."""
    return HEADLINE if len(categories) > 1 else f"{categories[0]}/f1"


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
        path = label_file(folder, category)
        found = [question_sample(row, category) for row in read_rows(path, LABELS)]
        refuse_another_size(path, category, len(found), sizes)
        samples += found
    return together(samples)


def question_sample(row: Row, category: str) -> Sample:
    """A label row (`image`, `text`, `label`) as a question in LLaVA's prompt. Its id says what is asked of which image,
    since the ids inside the files restart in each and differ between editions."""
    image, label = row.text("image"), label_of(row)
    return Sample(
        id=question_name(category, image, object_of(row)),
        prompt=f"{row.text('text')}\n{INSTRUCTION}",
        images=(),
        target=label,
        cluster=image,
        meta={"group": category, "object": object_of(row), "image": image},
    )


def refuse_another_size(path: Path | str, category: str, rows: int, sizes: Sequence[int]) -> None:
    """Raise `DataError` where the rows of a category are not one of `sizes` in number."""
    if rows not in sizes:
        wanted = " or ".join(str(size) for size in sizes)
        raise DataError(
            f"{path} has {counted(rows, 'row')}, but POPE's {category} questions are {wanted}; get "
            f"coco_pope_{category}.json of AoiDragon/POPE, or build questions of your own (`strop data build pope`)"
        )


def together(samples: Sequence[Sample]) -> list[Sample]:
    """The questions image by image, so that those about one share its work; `DataError` where one is given twice."""
    place = {image: index for index, image in enumerate(dict.fromkeys(sample.cluster for sample in samples))}
    twice = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
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


def question_name(category: str, image: str, asked: str) -> str:
    """The id of a question: what is asked of which image."""
    return f"{category}/{Path(image).stem}/{asked.replace(' ', '-')}"


def object_of(row: Row) -> str:
    """The object that a row of questions or labels asks for in its `text`."""
    found = object_asked_for(row.text("text"))
    if found is None:
        raise row.wrong("text", "a question 'Is there a(n) ... in the image?'")
    return found


def label_of(row: Row) -> str:
    """The right answer of a row of labels, "yes" or "no"."""
    return row.one_of("label", ("yes", "no"))


def label_file(folder: Path, category: str) -> Path:
    """The label file of a category in a folder; `DataError` where there is none, or several."""
    exact = folder / f"coco_pope_{category}.json"
    if exact.is_file():
        return exact
    found = sorted(path for path in folder.glob("*.json*") if path.name.split(".")[0].endswith(f"_{category}"))
    if len(found) != 1:
        names = listed([path.name for path in found]) or "no such file"
        raise DataError(f"{folder}: expected one label file coco_pope_{category}.json, found {names}")
    return found[0]
