"""CHAIR: which objects a caption names, and which of them are not in the picture.

Protocol: Rohrbach et al., Object Hallucination in Image Captioning (2018). Words are matched to object classes by a
list of synonyms and compared with the objects known to be in the image. The normaliser is the one of the port that
OPERA uses (part of speech, WordNet lemma; conformance/README.md, "Procedure"); the original's no longer installs.
CHAIR falls with length alone, so recall and length stand beside it in `CHAIR_METRICS`.

Where NLTK's data are missing, lemminflect stands in under a profile of its own: the two agree on nearly all captions
and their figures are never compared as one. Everything but the normalisers and `first_sentences` works on words and
plain dicts and needs no NLTK, so that a world with its own objects marks its captions with the same code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from harness.errors import DataError
from harness.files import read_json
from harness.types import Metric, Sample, Score
from tasks.chair.truth import ChairTruth, read_truth
from tasks.data.rows import AnswerFile, is_document, is_list_of, listed, read_document
from tasks.reading import text, text_offline
from tasks.reading.caption_files import Captioned, caption_rows, join_images, read_captions, refuse_too_few
from tasks.reading.row_claims import echoes_in

NAME = "chair"
VERSION = 1
HEADLINE = "CHAIRs"
PROMPT = "Please describe this image in detail."
"""OPERA's prompt, under which the published captions were written."""

IMAGES = 500
"""Images of COCO val2014 that a model captions in OPERA's protocol. They were drawn by shuffling a directory listing,
so that only the list of their ids says which."""

WANTED_IDS = "one of shikiw/OPERA's files of captions (greedy.jsonl), whose ids they are"


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


def _share(name: str, terms: Mapping[str, float], over: Mapping[str, float], better: str = "higher") -> Metric:
    return Metric(name=name, terms=terms, over=over, better=better)


CHAIR_METRICS: tuple[Metric, ...] = (
    _share("CHAIRs", {"hallucinated_captions": 1}, {"captions": 1}, "lower"),
    _share("CHAIRi", {"hallucinated_mentions": 1}, {"mentions": 1}, "lower"),
    _share("recall", {"recalled": 1}, {"gt_objects": 1}),
    _share("precision", {"mentions": 1, "hallucinated_mentions": -1}, {"mentions": 1}),
    _share("f1", {"recalled": 2}, {"distinct_named": 1, "gt_objects": 1}),
    Metric(name="words", terms={"words": 1}, over={"captions": 1}, better="neither", percent=False),
    Metric(name="length", terms={"words": 0.01}, over={"captions": 1}, better="neither", percent=False),
    _share("repeated", {"repeated_mentions": 1}, {"mentions": 1}, "lower"),
    _share("unread", {"unread": 1}, {"captions": 1}, "lower"),
)
"""CHAIRs: captions with a wrong object / captions. CHAIRi: wrong mentions / mentions, repeats counted. recall: distinct
right classes / true classes. precision: 1 - CHAIRi. f1: over distinct classes, 2 right / (named + true), since the
harmonic mean of the two above mixes mentions with classes and is no ratio of sums. words: tokens a caption after
merging, punctuation counted; length: the same / 100, the authors' "Len". repeated: mentions of a class that the caption
has already named / mentions. unread: blank captions / captions."""


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
    place = 0
    while place < len(words):
        word = words[place]
        # looked up only after a word that begins some pair: most words begin none
        pair = tables.double_words.get(" ".join(words[place : place + 2])) if word in tables.pair_starts else None
        merged.append(word if pair is None else pair)
        place += 1 if pair is None else 2
    return merged


def named_classes(merged: Sequence[str], tables: ChairTables) -> list[str]:
    """The class of each merged word that names one, in order of mention, repeats included."""
    return list(named_places(merged, tables).values())


def named_places(merged: Sequence[str], tables: ChairTables) -> dict[int, str]:
    """Place of a merged word -> the class that it names, in order of mention."""
    present = set(merged)
    hidden = {word for beside, word in tables.hides.items() if beside in present}
    return {
        place: tables.class_of[word]
        for place, word in enumerate(merged)
        if word in tables.class_of and word not in hidden
    }


def score_caption(words: Sequence[str], truth: Set[str], tables: ChairTables) -> Score:
    """Mark one caption, given as normalised words (none: a blank caption), against the classes in its image.

    `parsed` lists the mentions in order as ``{"name": class, "right": bool}``, empty where the caption names nothing,
    None where it is blank: then it counts as unread, and still as a caption that recalls none of the true objects.
    `value` is F1 over distinct classes, 1 for a caption that rightly names nothing and 0 for a blank one.
    """
    merged = merge_words(words, tables)
    return score_mentions(named_classes(merged, tables), truth, len(merged))


def score_mentions(mentions: Sequence[str], truth: Set[str], words: int) -> Score:
    """`score_caption` from the classes mentioned and the number of merged words of the caption."""
    named = set(mentions)
    wrong = sum(name not in truth for name in mentions)
    recalled = len(named & truth)
    # Nothing to name and nothing named is right; a blank caption earns nothing even there.
    f1 = 2 * recalled / (len(named) + len(truth)) if named or truth else 1.0
    return Score(
        value=f1 if words else 0.0,
        parsed=[{"name": name, "right": name in truth} for name in mentions] if words else None,
        counts={
            "captions": 1,
            "hallucinated_captions": int(wrong > 0),
            "mentions": len(mentions),
            "hallucinated_mentions": wrong,
            "recalled": recalled,
            "distinct_named": len(named),
            "gt_objects": len(truth),
            "words": words,
            "repeated_mentions": len(mentions) - len(named),
            "unread": int(not words),
        },
    )


def open_truth(
    truth: Path, tables: ChairTables, *, objects: str = "all", words: Callable[[str], Sequence[str]] = normalise
) -> ChairTruth:
    """The classes of each image by these tables and this normaliser: `chair_truth.read_truth`, with its errors."""

    def named(caption: str) -> list[str]:
        return named_classes(merge_words(words(caption), tables), tables)

    return read_truth(truth, objects, {name: name for name in tables.synonyms} | dict(tables.class_of), named)


def caption_naming(classes: Set[str], tables: ChairTables, words: Callable[[str], Sequence[str]]) -> str:
    """A caption that names these classes, each once and no other, as far as the tables have a word for each.

    Not every string of the tables ever matches, so each class is named by the first that does.
    """
    said = []
    for name in sorted(classes):
        for word in tables.synonyms.get(name, ()):
            sentence = f"A {word.strip()}."
            # a word that another may hide does not count for certain
            if (
                named_classes(merge_words(words(sentence), tables), tables) == [name]
                and word not in tables.hides.values()
            ):
                said.append(sentence)
                break
    return " ".join(said) or "Nothing."


def load_image_ids(path: Path, count: int = IMAGES) -> list[int]:
    """The images to be captioned, in order: ``{"image_ids": [...]}``, or the `image_id` of each row of a file of
    captions, such as OPERA's own. `DataError` where they are not `count` in number, or one is given twice."""
    document = read_document(path, WANTED_IDS) if is_document(path, WANTED_IDS) else None
    if isinstance(document, dict) and "image_ids" in document:
        found = document["image_ids"]
        if not is_list_of(int, found):
            raise DataError(f"{path}: field 'image_ids' must be a list of integers; get {WANTED_IDS}")
    else:
        found = [row.integer("image_id") for row in caption_rows(path)]
    twice = [str(image) for image, times in Counter(list[int](found)).items() if times > 1]
    if twice:
        raise DataError(f"{path}: image ids are given twice: {listed(twice)}; get {WANTED_IDS}")
    if len(found) != count:
        raise DataError(f"{path} holds {len(found)} image ids, but the protocol has {count}; get {WANTED_IDS}")
    return list(found)


def load_answers(
    answers: Path,
    truth: Path,
    *,
    objects: str = "all",
    tables: ChairTables | None = None,
    words: Callable[[str], Sequence[str]] = normalise,
    partial: bool = False,
) -> AnswerFile:
    """Published captions joined to the objects of their images: `join_truth` of `caption_files.read_captions`."""
    captions = read_captions(answers)
    return join_truth(answers, captions, truth, objects=objects, tables=tables, words=words, partial=partial)


def join_truth(
    answers: Path,
    captions: Sequence[Captioned],
    truth: Path,
    *,
    objects: str = "all",
    tables: ChairTables | None = None,
    words: Callable[[str], Sequence[str]] = normalise,
    partial: bool = False,
) -> AnswerFile:
    """The captions of a file joined to the objects of their images; `Sample.target` is a frozenset of classes.

    `truth` is a `ground_truth_*.json`, gzipped or not: ``{"categories": [names], "images": {"<id>": [indices]}}``; or a
    folder of COCO's ``instances*.json`` and ``captions*.json``, from which the classes are worked out by `tables`
    (default: those of that folder) and `words`, the normaliser. `objects` says which of the two truths of
    `tasks.chair.truth` is meant. The two published builds of the ready-made truth differ, so `info["truth"]` names the
    file or folder, and `info["objects"]` what is in it.

    A truth mostly knows more images than are captioned, and which were meant it does not say: complete is a file that
    captions all of them, or as many as the protocol does (`IMAGES`). Raises `DataError` where it has fewer, unless
    `partial`, and the errors of `caption_files.join_images` and `chair_truth.read_truth`.
    """
    if tables is None and truth.is_dir():
        tables = load_tables(truth)
    # A ready-made truth names its classes itself.
    found = open_truth(truth, tables or ChairTables(synonyms={}), objects=objects, words=words)
    joined = join_images(captions, found, truth)
    refuse_too_few(answers, len(joined), min(len(found), IMAGES), partial)
    samples = tuple(
        Sample(id=image, prompt=PROMPT, images=(), target=found.classes(image), cluster=image, meta={})
        for image in joined
    )
    info = {
        "truth": truth.name or truth.resolve().name,
        "truth_files": [path.name for path in found.files],
        "objects": found.about,
        "images_of_truth": len(found),
        "captions": len(joined),
        **echoes_in(answers, samples, tuple(joined.values())),
    }
    return AnswerFile(samples=samples, answers=tuple(joined.values()), info=info)
