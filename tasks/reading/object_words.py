"""The words of a caption, and the object classes that they name: tables of synonyms, and normalisers.

The normaliser of the profile `official` is that of the port which OPERA uses (part of speech, WordNet lemma) and needs
NLTK's data. Where these are missing, lemminflect stands in under a profile of its own: the two agree on nearly all
captions, and their figures are never compared as one. All but the normalisers and `first_sentences` works on words and
plain dictionaries, so that a world with its own objects marks its captions by the same code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.errors import DataError
from harness.files import read_json
from tasks.data.rows import is_list_of
from tasks.data.sources import Source
from tasks.reading import text, text_offline


@dataclass(frozen=True, kw_only=True)
class ChairTables:
    """The vocabulary of a world: which words name which class.

    `synonyms` maps a class to the strings that name it, compared letter for letter with a (merged) word: a string with
    a leading space, an upper-case letter or three words never matches, which published figures depend on.
    `double_words` maps two words, joined by one space, to the word that stands for both. `hides` maps a word to one
    that does not count beside it. Raises `DataError` where a string names two classes.

    Example:
        >>> tables = ChairTables(synonyms={"cat": ["cat", "kitten"]})
        >>> score_caption(["a", "kitten"], {"cat"}, tables).value
        1.0
    """

    synonyms: Mapping[str, Sequence[str]]
    double_words: Mapping[str, str] = field(default_factory=dict)
    # "toilet seat" would else be a toilet and, by the synonym seat, a chair; "the seat of the toilet" likewise.
    hides: Mapping[str, str] = field(default_factory=lambda: {"toilet": "seat"})
    class_of: Mapping[str, str] = field(init=False, repr=False, compare=False)
    pair_starts: Set[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        class_of: dict[str, str] = {}
        for name, words in self.synonyms.items():
            for word in words:
                if class_of.setdefault(word, name) != name:
                    raise DataError(f"the synonym '{word}' names two classes, {class_of[word]} and {name}; keep one")
        object.__setattr__(self, "class_of", MappingProxyType(class_of))
        object.__setattr__(self, "pair_starts", frozenset(pair.split(" ", 1)[0] for pair in self.double_words))


def load_tables(folder: Path) -> ChairTables:
    """The tables of a folder: synonyms.json (class -> strings) and double_words.json (pair -> replacement).

    Raises `DataError` naming the file where one is missing or has another layout.
    """
    for name in ("synonyms.json", "double_words.json"):
        if not (folder / name).exists():
            raise DataError(
                f"{folder / name}: no such file; make it of the authors' synonyms.txt or a port's chair.pkl: "
                f"strop data build chair --from chair.pkl --out {folder}"
            )
    synonyms = read_json(folder / "synonyms.json")
    double_words = read_json(folder / "double_words.json")
    if not isinstance(synonyms, dict) or not all(is_list_of(str, words) for words in synonyms.values()):
        raise DataError(f"{folder / 'synonyms.json'}: expected an object of class -> list of strings")
    if not isinstance(double_words, dict) or not is_list_of(str, list(double_words.values())):
        raise DataError(f"{folder / 'double_words.json'}: expected an object of 'two words' -> replacement")
    return ChairTables(synonyms=synonyms, double_words=double_words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Normaliser:
    """What makes words of a caption: `package` is named in every result, `words` gives lemmas not yet merged."""

    package: str
    words: Callable[[str], list[str]]
    sentences: Callable[[str], list[str]]


PROFILES: Mapping[str, Normaliser] = MappingProxyType(
    {
        "official": Normaliser(package="nltk", words=text.lemmas, sentences=text.sentences),
        "lemminflect": Normaliser(package="lemminflect", words=text_offline.lemmas, sentences=text_offline.sentences),
    }
)
"""Name of a profile -> its normaliser. "official" is OPERA's and needs NLTK's data; the other needs no data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionReader:
    """What captions of a file are read by: `profile` names it in results, and `info` tells which truth was used."""

    profile: str
    normaliser: Normaliser
    tables: ChairTables
    info: Mapping[str, Any]


def available_profile(
    profile: str | None, truth: Path, data: Path, fetch: Callable[[list[str], Path], None] | None = None
) -> str:
    """The profile to read captions by: `profile`, else the official one, and lemminflect where NLTK's data are missing.

    NLTK's data may lie in nltk_data below `truth`, beside it or above, or in the folder `data`. `fetch` is given the
    packages that are missing and where they belong, before another profile stands in.
    """
    near = truth.resolve()
    text.look_in(*(folder / "nltk_data" for folder in (near, *near.parents[:2], data)))
    if profile == "lemminflect":
        return profile
    missing = text.missing_data()
    if missing and fetch:
        fetch(missing, data / "nltk_data")
        missing = text.missing_data()
    # the official profile, where it is asked for, is not turned into another: NLTK's complaint names the remedy
    return profile or ("lemminflect" if missing else "official")


@lru_cache(maxsize=2)
def normalisers(data: Path) -> Mapping[str, Normaliser]:
    """Profile -> normaliser, of those whose data are here, the one to use first at the front. NLTK's data are also
    looked for in `nltk_data` of the data folder and of CHAIR's folder in it."""
    text.look_in(*(folder / "nltk_data" for folder in (data / "chair", data)))
    return {name: normaliser for name, normaliser in PROFILES.items() if name != "official" or not text.missing_data()}


def normalise(caption: str) -> list[str]:
    """The caption's words as lower-case WordNet lemmas, not yet merged: `tasks.reading.text.lemmas`, with its
    errors."""
    return text.lemmas(caption)


def first_sentences(caption: str, k: int) -> str:
    """The first `k` sentences of a caption, in their original case, joined by one space.

    For comparing captions at equal length: fewer sentences mean lower CHAIR from the same model (protocols, CHAIR).
    """
    return " ".join(text.sentences(caption)[:k])


def merge_words(words: Sequence[str], tables: ChairTables) -> list[str]:
    """The words with each pair of `double_words` replaced by its one word, from left to right, no word used twice."""
    merged: list[str] = []
    index = 0
    while index < len(words):
        word = words[index]
        # looked up only after a word that begins some pair: most words begin none
        pair = tables.double_words.get(" ".join(words[index : index + 2])) if word in tables.pair_starts else None
        merged.append(word if pair is None else pair)
        index += 1 if pair is None else 2
    return merged


def named_classes(merged: Sequence[str], tables: ChairTables) -> list[str]:
    """The class of each merged word that names one, in order of mention, repeats included."""
    return list(named_places(merged, tables).values())


def classes_in(words: Sequence[str], tables: ChairTables) -> frozenset[str] | None:
    """The classes that a caption of these words, not yet merged, names; None for a blank one."""
    return frozenset(named_classes(merge_words(words, tables), tables)) if words else None


def named_places(merged: Sequence[str], tables: ChairTables) -> dict[int, str]:
    """Place of a merged word -> the class that it names, in order of mention."""
    present = set(merged)
    hidden = {word for beside, word in tables.hides.items() if beside in present}
    return {
        index: tables.class_of[word]
        for index, word in enumerate(merged)
        if word in tables.class_of and word not in hidden
    }


def caption_naming(classes: Set[str], tables: ChairTables, words: Callable[[str], Sequence[str]]) -> str:
    """A caption that names these classes, each once and no other, as far as the tables have a word for each.

    Not every string of the tables ever matches, so each class is named by the first that does.
    """
    sentences = []
    for name in sorted(classes):
        for word in tables.synonyms.get(name, ()):
            sentence = f"A {word.strip()}."
            # a word that another may hide does not count for certain
            if (
                named_classes(merge_words(words(sentence), tables), tables) == [name]
                and word not in tables.hides.values()
            ):
                sentences.append(sentence)
                break
    return " ".join(sentences) or "Nothing."


def tables_folder(truth: Path, data: Path) -> Path:
    """The folder of synonyms.json and double_words.json: the truth's own, the one above a folder of annotations (COCO's
    archive unpacks into one), or CHAIR's or IC's of the data folder; the truth's own where they are nowhere."""
    if not truth.exists():
        raise DataError(f"{truth}: no such file or folder; name the truth by --truth")
    home = truth if truth.is_dir() else truth.parent
    places = (home, truth.parent, data / "ic", data / "chair")
    return next((folder for folder in places if (folder / "synonyms.json").exists()), home)


def caption_tables(task: str, shared_with: tuple[str, ...] = ()) -> list[Source]:
    """The tables that captions are read by, as sources of a task."""
    return [
        Source(
            task=task,
            file="synonyms.json",
            about="class -> words",
            origin="LisaAnne/Hallucination 6e4d33c4, data/synonyms.txt (`strop data build chair` makes JSON of it)",
            licence="BSD-2-Clause by its README",
            needed=True,
            shared_with=shared_with,
        ),
        Source(
            task=task,
            file="double_words.json",
            about="two words -> the one they stand for",
            origin="utils/chair.py there, and inside either of the two chair.pkl (`strop data build chair`)",
            licence="BSD-2-Clause by its README",
            needed=True,
            shared_with=shared_with,
        ),
    ]
