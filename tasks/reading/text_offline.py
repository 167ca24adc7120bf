"""English where NLTK's data are missing: sentences, tokens and lemmas from what packages ship.

The only module that imports lemminflect, whose lexicon comes with it. There is no tagger here, so a word's part of
speech is guessed from its ending and the word before it; `tests/tasks/reading/test_text_offline.py` says how often
CHAIR reads the same objects as with NLTK's data. Figures made with it carry its name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from harness.sentences import split_sentences
from tasks.reading.text import sentence_tokens

_BE = frozenset({"am", "is", "are", "was", "were", "be", "been", "being", "'s", "'re"})
_VERB_ENDINGS = ("ing", "ed")
# WordNet holds this plural as a word of its own, so published figures count "men" as no person.
_KEPT = frozenset({"men"})
# The plural of a word that the lexicon does not hold ("tvs", "skateboarders"), its stem and what is put in its stead.
_PLURALS = (
    (re.compile(r"([a-z]{2,})ies"), "y"),
    (re.compile(r"([a-z]+(?:s|x|z|ch|sh))es"), ""),
    (re.compile(r"([a-z]+[a-rt-z])s"), ""),
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, cut at full stops, marks and line ends: abbreviations are not known."""
    return split_sentences(text)


def lemmas(text: str) -> list[str]:
    """The lower-cased text as lemmas, one a token, punctuation included.

    A word in -ing or -ed after a form of "be" is lemmatised as a verb, every other word as a noun, which are what
    CHAIR's synonyms mostly are; a word that the lexicon does not hold stays, less the ending of a regular plural.
    """
    words = [token for sentence in sentences(text.lower()) for token in sentence_tokens(sentence)]
    return [
        _lemma(word, "VERB" if before in _BE and word.endswith(_VERB_ENDINGS) else "NOUN")
        for before, word in pairwise(["", *words])
    ]


@lru_cache(maxsize=2**17)
def _lemma(word: str, part_of_speech: str) -> str:
    import lemminflect

    if word in _KEPT:
        return word
    lemmas: tuple[str, ...] = lemminflect.getLemma(word, part_of_speech, lemmatize_oov=False)
    if lemmas and lemmas[0]:
        return lemmas[0]
    # lemminflect's own guess at an unknown word would unpickle a model.
    if not lemminflect.getAllLemmas(word):
        for plural, ending in _PLURALS:
            if match := plural.fullmatch(word):
                return match[1] + ending
    return word
