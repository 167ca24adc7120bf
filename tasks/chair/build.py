"""CHAIR's tables and truth made of what its authors and the ports of it publish.

- synonyms.txt of LisaAnne/Hallucination (BSD-2-Clause): a line a class, the class and its words with ", " between them.
  The pairs of words that stand for one are no file there but a rule, which `double_words` states.
- chair.pkl of a port (Maxlinn/CHAIR-metric-standalone and its descendants): one evaluator with both tables and the
  objects of every image of COCO 2014.
- COCO's instances and captions, from which the same objects follow by the tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError
from harness.files import write_folder
from tasks.chair.pickles import read_evaluator
from tasks.chair.truth import open_truth
from tasks.data.containers import content_of, is_pickle, unpacked
from tasks.data.rows import listed
from tasks.reading import text
from tasks.reading.object_words import ChairTables, normalise

_WANTED = "the authors' synonyms.txt, or a port's chair.pkl"

_TWO_WORDS = (
    *("motor bike", "motor cycle", "air plane", "traffic light", "street light", "traffic signal", "stop light"),
    *("fire hydrant", "stop sign", "parking meter", "suit case", "sports ball", "baseball bat", "baseball glove"),
    *("tennis racket", "wine glass", "hot dog", "cell phone", "mobile phone", "teddy bear", "hair drier"),
    *("potted plant", "bow tie", "laptop computer", "stove top oven", "home plate", "train track"),
)
_YOUNG = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub")
_FOR_PASSENGERS = ("jet", "train")
# the last is what the original's singulariser makes of "wine glass"
_OTHERWISE = {"bow tie": "tie", "toilet seat": "toilet", "wine glas": "wine glass"}


@dataclass(frozen=True, kw_only=True)
class ChairSource:
    """The tables, and image -> its classes where they are stored too (else None)."""

    tables: ChairTables
    images: Mapping[str, Sequence[str]] | None = None


def double_words() -> dict[str, str]:
    """Two words -> the one that they count as: things with a name of two words, and young animals and passengers'
    vehicles, whose first word alone would name a person. Source: the rules in utils/chair.py of LisaAnne/Hallucination,
    which are inside every chair.pkl as a table."""
    young = {f"{age} {animal}": animal for animal in _YOUNG for age in ("baby", "adult")}
    vehicles = {f"passenger {vehicle}": vehicle for vehicle in _FOR_PASSENGERS}
    return {words: words for words in _TWO_WORDS} | young | vehicles | _OTHERWISE


def read_source(path: Path) -> ChairSource:
    """The tables of a synonyms.txt, or the tables and the truth of a chair.pkl; its content says which it is.

    Raises `DataError` where it is neither, and what `chair_pickle.read_evaluator` raises.
    """
    content = unpacked(path, _WANTED)
    if is_pickle(content):
        return _from_evaluator(path, read_evaluator(path, content))
    return ChairSource(tables=ChairTables(synonyms=_synonyms(path), double_words=double_words()))


def truth_of_annotations(
    folder: Path, tables: ChairTables, begin: Callable[[str, int], Callable[[int], None]]
) -> dict[str, Sequence[str]]:
    """Image -> its classes, from COCO's instances and captions in a folder: the union of both, as the authors have it.

    `begin(description, total)` starts a progress bar. Errors as of `tasks.chair.marks.open_truth`; captions are read by
    NLTK, since a truth is held against captions that are.
    """
    truth = open_truth(folder, tables, words=normalise)
    advance = begin("captions", len(truth))
    images: dict[str, Sequence[str]] = {}
    for image in truth.file_names:
        images[image] = sorted(truth.classes(image))
        advance(1)
    return images


def build_tables(
    source: Path,
    out: Path,
    *,
    coco: Path | None,
    data: Path,
    begin: Callable[[str, int], Callable[[int], None]],
) -> tuple[ChairSource, list[str]]:
    """What CHAIR is scored by, read from `source` and written into `out`, with the names of the files.

    With `coco`, a folder of annotations, the truth is made of these; NLTK's data are looked for beside them, in `out`
    and in the data folder. Raises `UsageError` where the source has a truth of its own already.
    """
    tables, name = read_source(source), source.stem
    if coco is not None:
        if tables.images is not None:
            raise UsageError(f"{source} holds a truth of its own; leave --coco away, or name a synonyms.txt")
        text.look_in(*(folder / "nltk_data" for folder in (out, coco, data)))
        tables, name = replace(tables, images=truth_of_annotations(coco, tables.tables, begin)), "coco"
    return tables, write_source(out, tables, name)


def write_source(out: Path, source: ChairSource, name: str) -> list[str]:
    """Write synonyms.json, double_words.json and, where there are images, ground_truth_<name>.json into a folder.

    Gives the names of the files. Raises `UsageError` where one of them is there with another content, or the folder
    holds another truth: which is meant could not be told.
    """
    files = {
        "synonyms.json": _json(source.tables.synonyms),
        "double_words.json": _json(source.tables.double_words),
    }
    if source.images is not None:
        truth = f"ground_truth_{name}.json"
        others = [path.name for path in out.glob("ground_truth_*.json*") if path.name != truth]
        if others:
            raise UsageError(f"{out} holds another truth, {listed(others)}; name another folder, or move it away")
        files[truth] = _truth(source.tables, source.images)
    write_folder(out, files)
    return list(files)


def _synonyms(path: Path) -> dict[str, list[str]]:
    try:
        lines = content_of(path, _WANTED).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text; name {_WANTED}") from error
    synonyms: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # No word is stripped: "  motor bike" keeps a space and so never matches, which published figures depend on.
        name, *words = line.strip().split(", ")
        if not name.isascii() or not name.replace(" ", "").isalpha():
            raise DataError(f"{path}:{number}: '{name[:40]}' is no name of a class; name {_WANTED}")
        if name in synonyms:
            raise DataError(f"{path}:{number}: the class {name} is there twice; keep one")
        synonyms[name] = [name, *words]
    if not synonyms:
        raise DataError(f"{path} is empty; name {_WANTED}")
    return synonyms


def _from_evaluator(path: Path, stored: Mapping[str, Any]) -> ChairSource:
    classes = _attribute(path, stored, "inverse_synonym_dict", dict)
    pairs = _attribute(path, stored, "double_word_dict", dict)
    words = stored.get("mscoco_objects")
    # As a list it has the words of each class in the authors' order, repeats included; some ports keep a set.
    words = words if isinstance(words, list) else list(classes)
    synonyms: dict[str, list[str]] = {}
    for word in words:
        if word == "":
            continue  # a blank line of the port's table, which no word of a caption equals
        if not isinstance(word, str) or not isinstance(classes.get(word), str):
            raise DataError(
                f"{path}: the word {word!r} has no class in inverse_synonym_dict; name another port's pickle"
            )
        synonyms.setdefault(classes[word], []).append(word)
    if not all(isinstance(text, str) for pair in pairs.items() for text in pair):
        raise DataError(f"{path}: double_word_dict must map strings to strings")
    tables = ChairTables(synonyms=synonyms, double_words=pairs)
    objects = stored.get("imid_to_objects")
    return ChairSource(tables=tables, images=_images(path, objects, set(synonyms)) if objects else None)


def _attribute(path: Path, stored: Mapping[str, Any], name: str, kind: type) -> Any:
    if not isinstance(stored.get(name), kind):
        raise DataError(
            f"{path}: the pickle has no {kind.__name__} '{name}' but {listed(sorted(map(str, stored))) or 'nothing'}; "
            f"name {_WANTED}"
        )
    return stored[name]


def _images(path: Path, objects: Any, classes: set[str]) -> dict[str, Sequence[str]]:
    if not isinstance(objects, dict):
        raise DataError(f"{path}: imid_to_objects must map images to their objects, found {type(objects).__name__}")
    images: dict[str, Sequence[str]] = {}
    for image, names in objects.items():
        if (
            not isinstance(image, int | str)
            or not isinstance(names, set | list)
            or not all(isinstance(name, str) and name in classes for name in names)
        ):
            raise DataError(f"{path}: image {image!r} must have a set of classes, found {str(names)[:60]}")
        images[str(image)] = sorted(set(names))
    return images


def _truth(tables: ChairTables, images: Mapping[str, Iterable[str]]) -> str:
    """A ready-made truth, in the layout that `chair_truth` reads."""
    categories = sorted(tables.synonyms)
    index_of = {name: index for index, name in enumerate(categories)}
    ordered = {image: [index_of[name] for name in names] for image, names in images.items()}
    return json.dumps({"categories": categories, "images": ordered}, ensure_ascii=False) + "\n"


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(dict(content), indent=1, ensure_ascii=False) + "\n"
