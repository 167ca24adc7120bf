"""Grounding: where is that thing? Boxes read out of answers, marked by intersection over union (IoU); COCO's questions.

Protocol: one thing is asked for, the gold box is a COCO instance's `bbox` (x, y, width, height in pixels), the answer
names the left, top, right and bottom edge. An answer's own mark is its IoU; it is right from an IoU of 0.5 on. What is
not read as a box overlaps nothing and is counted as unread. So is a box beyond the scale of its profile: where
fractions are read, one in pixels or thousandths would be a wrong box for a right one. The scale is the profile's
(`FRAMES`) and is never guessed from the numbers.
Questions on COCO (rule `RULE`): an instance is asked for that is the only annotation of its category in its picture,
no crowd, and whose box covers `LEAST` of the picture or more. `QUESTIONS` of them are drawn, the categories in turn in
an order drawn once, of each category without replacement; one whose instances are used up is passed over. So the first
questions are balanced like all of them. No published set asks this; referring expressions (RefCOCO) tell alike things
apart by words.
Sources: the overlap is COCO's (`tasks.data.annotations.box_overlap`), and so is "from 0.5 on" (COCOeval counts a match
at its threshold, where some tables of referring expressions want more than 0.5); the readers and the choice are this
project's; that LLaVA-1.5 learnt boxes as fractions of the padded square is told in haotian-liu/LLaVA, issue 606.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from harness.errors import DataError, UsageError
from harness.types import Metric, Sample, Score
from tasks.data.annotations import AloneInstance, Box, box_overlap, read_alone
from tasks.data.rows import AnswerFile, listed, read_rows, refuse_repeats, refuse_unanswered, refuse_unknown
from tasks.ic.build import ids_digest
from tasks.reading.row_claims import echoes_in

NAME = "grounding"
VERSION = 3
RULE = 1
HEADLINE = "accuracy@0.5"
RIGHT_FROM = 0.5

QUESTIONS = 1_000
LEAST = 0.01
"""Share of the picture that the box of a thing asked for covers at least: 55 x 55 pixels of 640 x 480."""

Size = tuple[int, int]
"""Width and height in pixels."""

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_NO_BOX: Edges = (0.0, 0.0, 0.0, 0.0)
"""Edges that no box has."""

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_BETWEEN = r"(?:\s*,\s*|\s+)"
_FOUR = rf"\s*({_NUMBER})" + rf"{_BETWEEN}({_NUMBER})" * 3 + r"\s*"
_IN_BRACKETS = re.compile(rf"\[{_FOUR}\]|\({_FOUR}\)")
_POINT = rf"(?:\(\s*{_NUMBER}{_BETWEEN}{_NUMBER}\s*\)|\[\s*{_NUMBER}{_BETWEEN}{_NUMBER}\s*\])"
_POINTS = re.compile(rf"{_POINT}(?:\s{{0,3}},?\s{{0,3}}{_POINT})+")
_LOCATIONS = re.compile(r"(?:<loc\d{4}>)+")
_PATCHES = re.compile(r"(?:<patch_index_\d{4}>)+")
_KOSMOS_CELLS = 32
_QWEN_STEP = 28
_QWEN_AREA = (3_136, 12_845_056)


def edges_in_brackets(answer: str) -> set[Edges]:
    """Four numbers in square or round brackets with nothing else between these, `[x1, y1, x2, y2]`, or two corners.

    Corners are `(x1, y1), (x2, y2)`, numbers parted by commas or white space. Three points in a row are no box.
    """
    boxes = {match.groups() for match in _IN_BRACKETS.finditer(answer)}
    edges = {_four([number for number in groups if number]) for groups in boxes}
    return edges | {_four(re.findall(_NUMBER, match[0])) for match in _POINTS.finditer(answer)}


def edges_in_units(answer: str) -> set[Edges]:
    """As `edges_in_brackets`; four numbers of 1 at most are no box, since no thing lies in the first unit."""
    return {edges if max(edges) > 1 else _NO_BOX for edges in edges_in_brackets(answer)}


def edges_in_locations(answer: str) -> set[Edges]:
    """PaliGemma's `<loc0000>` to `<loc1023>`: top, left, bottom, right in 1/1024 (so public readers divide)."""
    rows = [re.findall(r"\d{4}", match[0]) for match in _LOCATIONS.finditer(answer)]
    return {_four([row[place] for place in (1, 0, 3, 2)] if len(row) == 4 else row) for row in rows}


def edges_in_patches(answer: str) -> set[Edges]:
    """Kosmos-2's two `<patch_index_0000>`, cells of 32 x 32 in rows: a box from centre to centre.

    Where both lie in one row or column it has the cells' own outer edges.
    Source: patch_index_to_coordinate in transformers (processing_kosmos2).
    """
    edges: set[Edges] = set()
    for match in _PATCHES.finditer(answer):
        cells = [divmod(int(cell), _KOSMOS_CELLS) for cell in re.findall(r"\d{4}", match[0])]
        if len(cells) != 2:
            return {_NO_BOX}
        (top, left), (bottom, right) = cells
        inset = 0.0 if top == bottom or left == right else 0.5
        edges.add((left + inset, top + inset, right + 1 - inset, bottom + 1 - inset))
    return edges


def _four(numbers: Sequence[str]) -> Edges:
    """Numbers as edges; `_NO_BOX` where they are not four."""
    if len(numbers) != 4:
        return _NO_BOX
    left, top, right, bottom = (float(number) for number in numbers)
    return left, top, right, bottom


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What an answer's numbers are of: a region of the picture, a box in its pixels, so many units wide and high.

    `edges` finds left, top, right and bottom in an answer, in these units, as often as they are said.
    """

    region: Callable[[Size], Box] = lambda size: (0, 0, *size)
    units: Callable[[Size], tuple[float, float]] = lambda _: (1, 1)
    edges: Callable[[str], Iterable[Edges]] = edges_in_brackets


def resized_for_qwen(size: Size) -> Size:
    """The picture that Qwen2.5-VL's processor shows it: sides in steps of 28, within its default limits of area.

    Source: smart_resize in transformers (image_processing_qwen2_vl), min_pixels and max_pixels as the hub has them.
    """
    width, height = size
    sides = [round(side / _QWEN_STEP) * _QWEN_STEP for side in size]
    if sides[0] * sides[1] > _QWEN_AREA[1]:
        shrink = math.sqrt(width * height / _QWEN_AREA[1])
        sides = [max(_QWEN_STEP, math.floor(side / shrink / _QWEN_STEP) * _QWEN_STEP) for side in size]
    elif sides[0] * sides[1] < _QWEN_AREA[0]:
        grow = math.sqrt(_QWEN_AREA[0] / (width * height))
        sides = [math.ceil(side * grow / _QWEN_STEP) * _QWEN_STEP for side in size]
    return sides[0], sides[1]


def _padded_square(size: Size) -> Box:
    side = max(size)
    return (-((side - size[0]) // 2), -((side - size[1]) // 2), side, side)


def _middle_square(size: Size) -> Box:
    side = min(size)
    return ((size[0] - side) / 2, (size[1] - side) / 2, side, side)


FRAMES: Mapping[str, Frame] = MappingProxyType(
    {
        "strict": Frame(),
        "llava": Frame(region=_padded_square),
        "crop": Frame(region=_middle_square),
        "pixels": Frame(units=lambda size: size, edges=edges_in_units),
        "qwen2.5-vl": Frame(units=resized_for_qwen, edges=edges_in_units),
        "thousandths": Frame(units=lambda _: (1_000, 1_000), edges=edges_in_units),
        "paligemma": Frame(units=lambda _: (1_024, 1_024), edges=edges_in_locations),
        "kosmos-2": Frame(units=lambda _: (_KOSMOS_CELLS, _KOSMOS_CELLS), edges=edges_in_patches),
    }
)
"""What numbers are of. Fractions: of the picture; of the square that LLaVA-1.5 pads it to, the picture in the middle;
of the middle square, where a model's processor cuts that out. Pixels: of the picture itself; of the picture as
Qwen2.5-VL is shown it. Thousandths of the picture: Qwen-VL, Qwen2-VL, InternVL. Tokens of places: PaliGemma's,
Kosmos-2's. The unit is the profile's and is never told from the numbers."""

PROFILES = tuple(FRAMES)

REQUEST = "Provide the bounding box of the {name}."
IN_FRACTIONS = "Answer with [x1, y1, x2, y2] in fractions of the image's width and height."

GROUNDING_METRICS = (
    Metric(name="IoU", terms={"overlap": 1}, over={"asked": 1}),
    Metric(name=HEADLINE, terms={"right": 1}, over={"asked": 1}),
    Metric(name="unread", terms={"unread": 1}, over={"asked": 1}, better="lower"),
)
"""Mean IoU, share of answers with an IoU of 0.5 at least, share of unread ones; all of all that is asked."""


def read_box(answer: str, size: tuple[float, float] | None = None) -> Box | None:
    """The one box that an answer names in brackets (`edges_in_brackets`), or None.

    Said twice, it must be the same. Right must lie right of left, and bottom below top. Where a `size` (width, height
    in pixels) is given, fractions of it are asked for, and a number above 1 or below 0 is none. Else pixels are
    (`edges_in_units`).
    """
    return _box_of(edges_in_brackets(answer), (1, 1), size) if size else _box_of(edges_in_units(answer))


def _box_of(
    edges: Iterable[Edges], units: tuple[float, float] | None = None, size: tuple[float, float] | None = None
) -> Box | None:
    """The only edges as a box of `size`, which is `units` wide and high; without units, in what they are said in."""
    distinct = set(edges)
    if len(distinct) != 1:
        return None
    left, top, right, bottom = distinct.pop()
    if units and size:
        if min(left, top) < 0 or max(left, right) > units[0] or max(top, bottom) > units[1]:
            return None
        left, right = (edge * size[0] / units[0] for edge in (left, right))
        top, bottom = (edge * size[1] / units[1] for edge in (top, bottom))
    width, height = right - left, bottom - top
    # that its area is finite and not zero is what an overlap needs
    return (left, top, width, height) if min(width, height) > 0 and 0 < width * height < math.inf else None


def box_text(box: Box) -> str:
    """A box as an answer in pixels, `[left, top, right, bottom]`."""
    x, y, width, height = box
    edges = (float(edge) for edge in (x, y, x + width, y + height))
    return f"[{', '.join(str(int(edge)) if edge.is_integer() else repr(edge) for edge in edges)}]"


def score_grounding(box: Box, answer: str, size: Size | None = None) -> Score:
    """Mark one answer by the gold box; `parsed` is the box read, in the gold one's form, or None. `size` as above."""
    return _marked(box, read_box(answer, size))


def _marked(box: Box, read: Box | None) -> Score:
    # A width that was added to an edge and taken off again differs in its last digits.
    overlap = round(box_overlap(read, box), 9) if read else 0.0
    counts = {"asked": 1, "overlap": overlap, "right": int(overlap >= RIGHT_FROM), "unread": int(read is None)}
    return Score(value=overlap, parsed=read, counts=counts)


def score_framed(box: Box, answer: str, size: Size, profile: str = "strict") -> Score:
    """Mark an answer under one of `PROFILES`; `parsed` is in the picture's own pixels, whatever it was said in.

    Raises `UsageError` for an unknown profile.
    """
    if profile not in FRAMES:
        raise UsageError(f"grounding has no profile '{profile}'; it has {', '.join(PROFILES)}")
    frame = FRAMES[profile]
    left, top, width, height = frame.region(size)
    read = _box_of(frame.edges(answer), frame.units(size), (width, height))
    return _marked(box, (read[0] + left, read[1] + top, *read[2:]) if read else None)


def fractions_text(box: Box, size: tuple[int, int]) -> str:
    """A box as an answer in fractions of the picture."""
    x, y, width, height = box
    edges = (x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1])
    return f"[{', '.join(repr(min(edge, 1.0)) for edge in edges)}]"


def choose(alone: Iterable[AloneInstance], count: int, rng: np.random.Generator) -> list[AloneInstance]:
    """`count` instances by the rule above, or all that are large enough where those are fewer.

    The same instances, in any order, and the same state of `rng` give the same choice in the same order.
    """
    by_category: dict[str, list[AloneInstance]] = defaultdict(list)
    for one in sorted(alone, key=lambda one: (one.category, one.image)):
        if cover(one.box, one.size) >= LEAST:
            by_category[one.category].append(one)
    drawn = [[some[place] for place in rng.permutation(len(some))] for some in by_category.values()]
    turns = itertools.zip_longest(*(drawn[place] for place in rng.permutation(len(drawn))))
    return [one for turn in turns for one in turn if one][:count]


def cover(box: Box, size: tuple[int, int]) -> float:
    """The share of a picture that a box covers: what the whole picture as an answer earns."""
    return box[2] * box[3] / (size[0] * size[1])


def annotations_in(places: Iterable[Path]) -> Path | None:
    """The instances to ask for: COCO's val2014 if they lie there, else val2017, else the only file; None for none.

    The first of several places counts. Raises `DataError` where there is a choice.
    """
    found: dict[str, Path] = {}
    for path in (path for place in places for path in sorted(place.glob("instances*.json"))):
        found.setdefault(path.name, path)
    for name in ("instances_val2014.json", "instances_val2017.json"):
        if name in found:
            return found[name]
    if len(found) > 1:
        shown = listed([str(path) for path in found.values()])
        raise DataError(f"grounding is asked of one file of instances and finds {shown}; name one, or keep one there")
    return next(iter(found.values()), None)


def annotations_of(truth: Path) -> Path:
    """A file of instances, or the one in a folder of them; raises `DataError` where there is none."""
    path = annotations_in((truth, truth / "annotations")) if truth.is_dir() else truth
    if path is None or not path.is_file():
        raise DataError(
            f"{path or truth / 'instances_val2014.json'}: no such file; name COCO's instances or their folder"
        )
    return path


def load_answers(answers: Path, annotations: Path, *, partial: bool = False) -> AnswerFile:
    """Answers (a JSON object a line with `question_id` and `text`) joined to the questions on a file of instances.

    Raises `DataError` as `load_questions` does, for an id given twice or of no question, and, unless `partial`, for a
    question without an answer.
    """
    asked = {sample.id: sample for sample in load_questions(annotations)}
    rows = [(row, row.identifier("question_id")) for row in read_rows(answers)]
    given = [(row.place, identifier) for row, identifier in rows]
    refuse_repeats(given, "question_id")
    refuse_unknown(given, "question_id", asked.keys(), annotations)
    said = {identifier: row.text("text") for row, identifier in rows}
    unanswered = [identifier for identifier in asked if identifier not in said]
    refuse_unanswered(answers, unanswered, len(said), partial)
    samples, texts = tuple(asked[identifier] for identifier in said), tuple(said.values())
    info = {"truth": annotations.name, "ids": ids_digest(asked), "unanswered": unanswered}
    return AnswerFile(samples=samples, answers=texts, info={**info, **echoes_in(answers, samples, texts)})


def questions_text(samples: Iterable[Sample]) -> str:
    """The questions as JSON lines in the layout of LLaVA's files: `question_id`, `image` (its file), `text`."""
    rows = ({"question_id": one.id, "image": one.meta["file_name"], "text": one.prompt} for one in samples)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def load_questions(annotations: Path, count: int = QUESTIONS) -> list[Sample]:
    """The questions on a file of COCO's instances.

    `Sample.target` is the gold box, `Sample.images` is empty and `Sample.meta["file_name"]` names the picture. Raises
    the errors of `tasks.data.annotations.read_alone`, and `DataError` where no instance can be asked for.
    """
    chosen = choose(map(_within, read_alone(annotations)), count, np.random.default_rng(RULE))
    if not chosen:
        raise DataError(
            f"{annotations}: no instance is the only one of its category in its picture and covers {LEAST:.0%} of it; "
            "name another file of COCO's instances"
        )
    return [
        Sample(
            id=f"{one.image}/{one.category.replace(' ', '-')}",
            prompt=f"{REQUEST.format(name=one.category)}\n{IN_FRACTIONS}",
            images=(),
            target=one.box,
            cluster=one.image,
            meta={"object": one.category, "size": one.size, "file_name": one.file_name},
        )
        for one in chosen
    ]


def _within(one: AloneInstance) -> AloneInstance:
    """COCO rounds boxes to hundredths of a pixel, beyond the picture too, and no fraction is above 1."""
    left, top = max(one.box[0], 0.0), max(one.box[1], 0.0)
    right, bottom = min(one.box[0] + one.box[2], one.size[0]), min(one.box[1] + one.box[3], one.size[1])
    return replace(one, box=(left, top, max(right - left, 0.0), max(bottom - top, 0.0)))
