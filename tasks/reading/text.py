"""English with NLTK: sentences, tokens, parts of speech and WordNet lemmas. The only module that imports NLTK.

What NLTK is asked for here is exact, not approximate: published CHAIR figures depend on every lemma. Four short
cuts, for full stops, plain tokens, the tagger's sums and the reading of WordNet, give NLTK's own result much faster;
tests hold them to it.

NLTK's data are looked for where the environment variable NLTK_DATA says, then in the folders named by `look_in`, then
in NLTK's usual places (without NLTK_DATA, the folders of `look_in` come first). Importing this module imports nothing
of NLTK and reads no file.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.errors import DataError

_PACKAGES = {
    "punkt_tab": "tokenizers/punkt_tab",
    "averaged_perceptron_tagger_eng": "taggers/averaged_perceptron_tagger_eng",
    "wordnet": "corpora/wordnet.zip",
}

# First letter of a Penn Treebank tag -> WordNet's part of speech; every other tag is taken for a noun.
_PART_OF_SPEECH = {"J": "a", "V": "v", "N": "n", "R": "r"}

# Words of ASCII letters and digits with single inner hyphens and perhaps a last "'s", each followed by at most a comma,
# and a last full stop: none of the tokeniser's rules looks across what stands between such words.
_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_PLAIN_SENTENCE = re.compile(rf"(?:{_WORD}(?:'s)?,?[ \n\t]+)*{_WORD}(?:'s)?[.,]?")
_PLAIN_TOKEN = re.compile(rf"{_WORD}|'s|[.,]")


def look_in(*folders: Path) -> None:
    """Let NLTK find its data in these folders too; those that do not exist are passed over. See the module's order."""
    import nltk

    existing = [str(folder.resolve()) for folder in folders if folder.is_dir()]
    if os.environ.get("NLTK_DATA"):
        nltk.data.path.extend(folder for folder in existing if folder not in nltk.data.path)
    else:
        nltk.data.path[:0] = [folder for folder in existing if folder not in nltk.data.path]


def missing_data() -> list[str]:
    """The names of NLTK's data packages that are needed here and in none of the places looked in."""
    from nltk.data import find

    missing = []
    for name, path in _PACKAGES.items():
        try:
            find(path.removesuffix(".zip"))
        except LookupError:
            try:
                find(path)
            except LookupError:
                missing.append(name)
    return missing


def can_download() -> bool:
    """Whether the list of NLTK's data can be reached now; asked of the network, three seconds at most."""
    from http.client import HTTPException
    from urllib.request import urlopen

    from nltk.downloader import Downloader

    try:
        with urlopen(Downloader.DEFAULT_URL, timeout=3):
            return True
    except (OSError, HTTPException):
        return False


def download(names: Sequence[str], folder: Path) -> None:
    """Fetch data packages by NLTK's own downloader into a folder and look there; raises `DataError` where one fails."""
    import nltk

    for name in names:
        try:
            nltk.download(name, download_dir=str(folder), quiet=True, raise_on_error=True, print_error_to=io.StringIO())
        except (ValueError, OSError) as error:
            raise DataError(f"NLTK's data package '{name}' cannot be fetched into {folder} ({error})") from error
    look_in(folder)


def sentences(text: str) -> list[str]:
    """The sentences of a text as NLTK's Punkt splits them, case and inner white space unchanged.

    Raises `DataError` where NLTK's data are missing, as every function here does.
    """
    split: list[str] = _splitter().tokenize(text)
    return split


def tokens(text: str) -> list[str]:
    """The tokens of a text, equal to `nltk.word_tokenize(text)`: punctuation apart, "isn't" as two."""
    return [token for sentence in sentences(text) for token in sentence_tokens(sentence)]


def tags(words: Sequence[str]) -> list[str]:
    """A Penn Treebank tag for each token, equal to those of `nltk.pos_tag(words)`."""
    return _tagger().tags(words)


def lemmas(text: str) -> list[str]:
    """The lower-cased text as WordNet lemmas, one a token, punctuation included.

    Each token is lemmatised as adjective, verb, noun or adverb by the first letter of its tag (J, V, N, R), as a noun
    otherwise. Source: the CHAIR port that OPERA uses, as conformance/README.md states it.
    """
    words = tokens(text.lower())
    return list(map(_lemma, words, tags(words)))


def sentence_tokens(sentence: str) -> list[str]:
    """The tokens of one sentence, equal to `nltk.word_tokenize(sentence, preserve_line=True)`: needs no data."""
    if _PLAIN_SENTENCE.fullmatch(sentence):
        words: list[str] = _PLAIN_TOKEN.findall(sentence)
        if all(map(_is_whole, words)):
            return words

    from nltk.tokenize import word_tokenize

    tokens: list[str] = word_tokenize(sentence, preserve_line=True)
    return tokens


@lru_cache(maxsize=2**17)
def _is_whole(word: str) -> bool:
    """Whether a word of a plain sentence is one token: "cannot" and "gonna" are two, and which are is NLTK's to say."""
    from nltk.tokenize import NLTKWordTokenizer as Rules

    return not any(rule.search(f" {word} ") for rule in (*Rules.CONTRACTIONS2, *Rules.CONTRACTIONS3))


@lru_cache(maxsize=1)
def _splitter() -> Any:
    """NLTK's Punkt for English, equal to `nltk.sent_tokenize`."""
    with _data_explained():
        from nltk.tokenize.punkt import PunktTokenizer

        splitter = PunktTokenizer("english")
        # Asked of the two words round every full stop alone, and captions repeat themselves ("table. the").
        splitter.text_contains_sentbreak = lru_cache(maxsize=2**16)(splitter.text_contains_sentbreak)
        return splitter


class _Tagger:
    """NLTK's averaged perceptron with its weights as one matrix, so that a prediction is one sum of rows.

    The rows are added in the order in which NLTK adds them and ties go to the last label in the alphabet, so each score
    is the same floating-point number and each tag the same tag.
    """

    def __init__(self, perceptron: Any) -> None:
        # Descending, because argmax takes the first of equals.
        self._labels: list[str] = sorted(perceptron.classes, reverse=True)
        self._known: dict[str, str] = perceptron.tagdict
        self._start, self._end = list(perceptron.START), list(perceptron.END)
        self._normal = lru_cache(maxsize=2**16)(perceptron.normalize)
        # Captions repeat themselves ("in the background"): a third of the predictions and more are old ones.
        self._predicted = lru_cache(maxsize=2**17)(self._predict)
        weights = perceptron.model.weights
        column = {label: index for index, label in enumerate(self._labels)}
        # Row 0 is what a feature without weights adds.
        self._weights = np.zeros((len(weights) + 1, len(self._labels)))
        self._row: dict[str, int] = {}
        for number, (feature, of_label) in enumerate(weights.items(), start=1):
            self._row[feature] = number
            for label, weight in of_label.items():
                self._weights[number, column[label]] = weight
        weights.clear()  # 75,000 dictionaries that nobody asks again

    def tags(self, words: Sequence[str]) -> list[str]:
        tag_of, predicted = self._known.get, self._predicted
        context = (*self._start, *map(self._normal, words), *self._end)
        around = zip(*(context[shift : shift + len(words)] for shift in range(5)), strict=True)
        before, last = self._start[1], self._start[0]
        tags = []
        for word, near in zip(words, around, strict=True):
            tag = tag_of(word) or predicted(word, near, last, before)
            tags.append(tag)
            before, last = last, tag
        return tags

    def _predict(self, word: str, around: tuple[str, ...], last: str, before: str) -> str:
        """`around`: two normalised words before, the word's own and two after; `last` and `before`: the tags there."""
        two_left, left, here, right, two_right = around
        row = self._row.get
        rows = (
            row("bias", 0),
            row("i suffix " + word[-3:], 0),
            row("i pref1 " + word[:1], 0),
            row("i-1 tag " + last, 0),
            row("i-2 tag " + before, 0),
            row(f"i tag+i-2 tag {last} {before}", 0),
            row("i word " + here, 0),
            row(f"i-1 tag+i word {last} {here}", 0),
            row("i-1 word " + left, 0),
            row("i-1 suffix " + left[-3:], 0),
            row("i-2 word " + two_left, 0),
            row("i+1 word " + right, 0),
            row("i+1 suffix " + right[-3:], 0),
            row("i+2 word " + two_right, 0),
        )
        return self._labels[int(np.add.reduce(self._weights.take(rows, axis=0)).argmax())]


@lru_cache(maxsize=1)
def _tagger() -> _Tagger:
    with _data_explained():
        from nltk.tag.perceptron import PerceptronTagger

        return _Tagger(PerceptronTagger())


class _WordNet:
    """What lemmatising needs of WordNet: the lemmas of each part of speech and its irregular forms.

    NLTK's own reader also loads what concerns synsets, which takes seconds. The endings and their replacements are
    NLTK's; the procedure is WordNet's morphy(7): the irregular forms if the word has any, else one ending replaced, and
    of those and the word itself the shortest that WordNet knows; the word unchanged if it knows none.
    """

    _FILES: ClassVar = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}

    def __init__(self, folder: Any, endings: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        self._endings = endings
        self._lemmas: dict[str, frozenset[str]] = {}
        self._irregular: dict[str, dict[str, list[str]]] = {}
        for part_of_speech, name in self._FILES.items():
            # The licence at the head of an index file is indented; every other line starts with its lemma.
            lines = _lines(folder, f"index.{name}")
            self._lemmas[part_of_speech] = frozenset(
                line.split(" ", 1)[0] for line in lines if not line.startswith(" ")
            )
            forms = (line.split() for line in _lines(folder, f"{name}.exc"))
            self._irregular[part_of_speech] = {form[0]: form[1:] for form in forms if form}

    def lemma(self, word: str, part_of_speech: str) -> str:
        candidates = self._irregular[part_of_speech].get(word)
        if candidates is None:
            candidates = [
                word[: len(word) - len(ending)] + instead
                for ending, instead in self._endings[part_of_speech]
                if word.endswith(ending)
            ]
        listed = [form for form in (word, *candidates) if form in self._lemmas[part_of_speech]]
        return min(listed, key=len) if listed else word


def _lines(folder: Any, name: str) -> list[str]:
    with folder.join(name).open() as stream:
        content: bytes = stream.read()
    return content.decode("utf-8").splitlines()


@lru_cache(maxsize=1)
def _wordnet() -> _WordNet:
    with _data_explained():
        from nltk.corpus.reader.wordnet import WordNetCorpusReader
        from nltk.data import find

        try:
            folder = find("corpora/wordnet")
        except LookupError:
            folder = find("corpora/wordnet.zip/wordnet/")
        return _WordNet(folder, WordNetCorpusReader.MORPHOLOGICAL_SUBSTITUTIONS)


@lru_cache(maxsize=2**17)
def _lemma(word: str, tag: str) -> str:
    return _wordnet().lemma(word, _PART_OF_SPEECH.get(tag[0], "n"))


@contextmanager
def _data_explained() -> Iterator[None]:
    """NLTK's page-long complaint about missing data as one line."""
    try:
        yield
    except LookupError as error:
        package = next((name for name in _PACKAGES if name in str(error)), "wordnet")
        raise DataError(
            f"NLTK's data package '{package}' is not there; set NLTK_DATA to a folder that holds {_PACKAGES[package]} "
            f"(or run: python -m nltk.downloader {' '.join(_PACKAGES)})"
        ) from error
