"""The image-caption set (IC) from anybody's annotations: pictures on which what one expects to see is not there.

The 150 pictures of judge-free self-improvement (arXiv 2411.17760) were never released, so the set is defined here
(rule `VERSION`); nothing of it is the paper's but its name, its size and its aim.

Eligible: pictures with `LEAST` categories or more.
Temptation: of a category that is absent, the mean over the present ones p of n(p, c) / n(p), where n counts pictures of
the same annotations with p, or with both: how likely c is to be in a picture of which one knows one object drawn at
random. A picture's temptation is the sum over all absent categories: how many absent objects one would expect.
Choice: until the set is large enough, the category that is in the fewest chosen pictures so far and still has eligible
ones left (the first of equals in an order drawn by the seed) is given one: a picture drawn by the seed from the most
tempting tenth of those left that have it.

So every category is in at least floor(size / K) chosen pictures, K being the number of categories of eligible pictures,
or in all the eligible pictures that have it. Source: this project; the rule is the definition.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.files import digest_of_file, write_folder
from tasks.data.annotations import AnnotatedImage, annotation_files, read_instances
from tasks.data.ids import ascending, ids_digest
from tasks.data.presence import Presence, most_frequent, presence

VERSION = 1
LEAST = 3
"""Categories of an eligible picture."""
TOP = 0.1
"""Share of a category's remaining pictures, the most tempting first, from which one is drawn."""
SHOWN = 5
"""Tempting categories of a picture that the truth file names."""

IDS_FILE = "ids.json"
TRUTH_FILE = "truth.json"
CARD_FILE = "README.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class IcSet:
    """A chosen set: image id -> what is in it, ids in ascending order, and what it was chosen from.

    `tempting[id]` maps absent categories to their temptation, the strongest first; `annotated` counts the images of the
    annotations, `eligible_images` those that could be chosen and `eligible` the same by category; `expected` is their
    mean temptation; `sources` maps the annotation files to their SHA-256.
    """

    seed: int
    images: Mapping[str, AnnotatedImage]
    tempting: Mapping[str, Mapping[str, float]]
    annotated: int
    eligible_images: int
    eligible: Mapping[str, int]
    expected: float
    sources: Mapping[str, str]


def temptation(present: Collection[str], counted: Presence) -> dict[str, float]:
    """Absent category -> how likely it is beside one of the present ones drawn at random, the likeliest first.

    Example:
        >>> counted = presence([{"fork", "knife"}, {"fork", "cup"}, {"fork"}, {"cup"}])
        >>> temptation({"fork", "knife"}, counted)
        {'cup': 0.16666666666666666}
    """
    shares: dict[str, list[float]] = {}
    for companion in present:
        for name, both in counted.together[companion].items():
            if name not in present:
                shares.setdefault(name, []).append(both / counted.alone[companion])
    # An exact sum: the order of the present ones, which is none, must not decide which picture is chosen.
    means = {name: math.fsum(values) / len(present) for name, values in shares.items()}
    return dict(sorted(means.items(), key=lambda item: (-item[1], item[0])))


def choose(
    pictures: Mapping[str, Collection[str]], size: int, rng: np.random.Generator, *, top: float = TOP
) -> list[str]:
    """The ids of `size` pictures (id -> categories) by the rule above, in the order of their choice.

    `top` 1 draws from all that are left of a category: the same balance, whatever tempts. The same pictures, in any
    order, and the same state of `rng` give the same ids. Raises `DataError` where fewer are eligible, saying how many
    are.
    """
    eligible = {name: frozenset(pictures[name]) for name in sorted(pictures) if is_eligible(pictures[name])}
    if not 0 < size <= len(eligible):
        raise DataError(
            f"{len(eligible)} of {len(pictures)} images are eligible (they have {LEAST} categories or more) and {size} "
            f"were asked for; ask for 1 to {len(eligible)}, or annotate more"
        )
    counted = presence(pictures.values())
    score = {name: math.fsum(temptation(present, counted).values()) for name, present in eligible.items()}
    left: dict[str, list[str]] = {}
    for image in sorted(eligible, key=lambda name: (-score[name], name)):
        for category in eligible[image]:
            left.setdefault(category, []).append(image)
    turns = [str(category) for category in rng.permutation(sorted(left))]
    seen: Counter[str] = Counter()
    chosen: list[str] = []
    while len(chosen) < size:
        turn = min((category for category in turns if left[category]), key=lambda category: seen[category])
        image = left[turn][rng.integers(math.ceil(len(left[turn]) * top))]
        chosen.append(image)
        seen.update(eligible[image])
        for category in eligible[image]:
            left[category].remove(image)
    return chosen


def is_eligible(categories: Collection[str]) -> bool:
    """Whether a picture with these categories may be chosen."""
    return len(set(categories)) >= LEAST


def ic_from_coco(folder: Path, size: int, seed: int) -> IcSet:
    """The set chosen from a folder of COCO's ``instances*.json``; crowds count as present.

    Raises the errors of `tasks.data.annotations.read_instances` and of `choose`.
    """
    annotated = read_instances(folder)
    pictures = {image: picture.objects for image, picture in annotated.items()}
    ids = ascending(choose(pictures, size, np.random.default_rng(seed)))
    counted = presence(pictures.values())
    eligible = [objects for objects in pictures.values() if is_eligible(objects)]
    return IcSet(
        seed=seed,
        images={image: annotated[image] for image in ids},
        tempting={image: temptation(pictures[image], counted) for image in ids},
        annotated=len(pictures),
        eligible_images=len(eligible),
        eligible=Counter(name for objects in eligible for name in objects),
        expected=_mean(math.fsum(temptation(objects, counted).values()) for objects in eligible),
        sources={path.name: digest_of_file(path) for path in annotation_files(folder, "instances")},
    )


def write_ic(folder: Path, chosen: IcSet) -> bool:
    """Write `IDS_FILE`, `TRUTH_FILE` and `CARD_FILE`, all or none; False where the folder holds these already.

    The truth is ``{"benchmark": "ic", "version", "annotations": [files], "categories": [names], "images": {"<id>":
    {"file_name", "objects": [names], "counts": {name: n}, "temptation", "tempting": [names]}}}``; a category without a
    count is one of which a crowd is outlined. Raises the errors of `harness.files.write_folder`.
    """
    truth = _json(
        {
            "benchmark": "ic",
            "version": VERSION,
            "annotations": list(chosen.sources),
            "categories": sorted(chosen.eligible),
            "images": {
                image: {
                    "file_name": picture.file_name,
                    "objects": sorted(picture.objects),
                    "counts": dict(sorted(picture.counts.items())),
                    "temptation": round(math.fsum(chosen.tempting[image].values()), 6),
                    "tempting": list(chosen.tempting[image])[:SHOWN],
                }
                for image, picture in chosen.images.items()
            },
        }
    )
    ids = list(chosen.images)
    named = {"benchmark": "ic", "version": VERSION, "seed": chosen.seed, "digest": ids_digest(ids), "ids": ids}
    card = _card(chosen, hashlib.sha256(truth.encode("utf-8")).hexdigest())
    return write_folder(folder, {IDS_FILE: _json(named), TRUTH_FILE: truth, CARD_FILE: card})


def _card(chosen: IcSet, truth_digest: str) -> str:
    present = Counter(name for picture in chosen.images.values() for name in picture.objects)
    sizes = Counter(len(picture.objects) for picture in chosen.images.values())
    mean = _mean(math.fsum(temptations.values()) for temptations in chosen.tempting.values())
    lines = [
        f"# Image captions (IC), {len(chosen.images)} pictures",
        "",
        f"Made by `strop data build ic --size {len(chosen.images)} --seed {chosen.seed}` (rule {VERSION}, which "
        "`tasks/ic/build.py` states) from these annotations:",
        "",
        "| annotations | SHA-256 |",
        "| --- | --- |",
        *(f"| {_cell(name)} | {digest} |" for name, digest in chosen.sources.items()),
        "",
        f"- {chosen.annotated} images are annotated, {chosen.eligible_images} of them eligible: they have {LEAST} "
        "categories or more.",
        "- Chosen are pictures whose objects make one expect others that are absent. Of the absent ones a reader who "
        f"knows one object would expect {mean:.2f} in a chosen picture, {chosen.expected:.2f} in an eligible one.",
        f"- Balance: each of the {len(chosen.eligible)} categories is in {len(chosen.images) // len(chosen.eligible)} "
        "pictures at least, or in all that are eligible.",
        f"- {IDS_FILE}: the ids in ascending order, a line each, have the SHA-256 {ids_digest(chosen.images)}.",
        f"- {TRUTH_FILE}: objects and counts, SHA-256 {truth_digest}. No count is given where a crowd is outlined.",
        "- Not in here: pictures, and the synonyms that scoring needs. This is not the set of arXiv 2411.17760, "
        "which was never released.",
        "",
        "Licence: the pictures stay their owners'. COCO's are under each photographer's Flickr terms, its annotations "
        "under CC BY 4.0; of other annotations ask whoever made them.",
        "",
        "| categories in a picture | pictures |",
        "| --- | --- |",
        *(f"| {size} | {count} |" for size, count in sorted(sizes.items())),
        "",
        "| category | pictures | of eligible |",
        "| --- | --- | --- |",
        *(
            f"| {_cell(name)} | {present[name]} | {chosen.eligible[name]} |"
            for name in most_frequent(chosen.eligible, present)
        ),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Somebody's text where a table wants a cell and a page no markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)
