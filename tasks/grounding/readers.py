"""Boxes in answers, in the scales and notations of several models (`FRAMES`).

The scale is the profile's and is never guessed from the numbers: where fractions are read, a box in pixels or
thousandths would be a wrong box for a right one. Sources: the readers are this project's; that LLaVA-1.5 learnt boxes
as fractions of the padded square is told in haotian-liu/LLaVA, issue 606."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tasks.data.annotations import Box

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
    return {_four([row[index] for index in (1, 0, 3, 2)] if len(row) == 4 else row) for row in rows}


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


def fractions_text(box: Box, size: tuple[int, int]) -> str:
    """A box as an answer in fractions of the picture."""
    x, y, width, height = box
    edges = (x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1])
    return f"[{', '.join(repr(min(edge, 1.0)) for edge in edges)}]"
