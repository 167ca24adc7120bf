"""CHAIR: which objects a caption names, and which of them are not in the picture.

Protocol: Rohrbach et al., Object Hallucination in Image Captioning (2018). Words are matched to object classes by a
list of synonyms (`tasks.reading.object_words`) and compared with the objects known to be in the image. CHAIR falls with
length alone, so recall and length stand beside it in `CHAIR_METRICS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from harness.types import Metric, Score
from tasks.reading.object_words import ChairTables, merge_words, named_classes

NAME = "chair"
VERSION = 1
HEADLINE = "CHAIRs"


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
