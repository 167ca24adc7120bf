"""Select all pairs: every two answers of a group whose rewards are far enough apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, Literal

from pydantic import Field

from harness.types import Group
from loops.groups import Pair
from loops.kinds import Selection
from loops.select.thinning import ThinnedPairs, balanced, share_of, surest, thinned, words_ahead


class AllPairs(ThinnedPairs):
    """Each two answers to a picture whose rewards differ by a margin, the better one chosen."""

    kind: Literal["all_pairs"] = "all_pairs"
    version: ClassVar[int] = 1

    margin: float = Field(default=0.0, ge=0, description="pairs whose rewards differ by no more are left out")
    each: int | None = Field(
        default=None, ge=1, description="pairs of a question at most, those whose rewards differ most; else all"
    )
    max_word_gap: int | None = Field(
        default=None, ge=0, description="pairs whose lengths differ by more words are left out"
    )
    keep: float = Field(
        default=1.0, gt=0, le=1, description="at most this share of the pairs, those whose rewards differ most"
    )

    def select(self, groups: Sequence[Group], draw: int) -> Selection:
        return all_pairs(groups, self)


def all_pairs(groups: Sequence[Group], recipe: AllPairs) -> Selection:
    """The pairs of each group, in the order of collection; the same two texts are one pair of a group.

    Without an opinion of an answer it is in no pair. With `balance`, what is left at last is `balanced`.
    """
    names = ("groups", "unsure", "length", "beyond", "repeated", "crowded", "balanced", "pictures", "pairs")
    counts = dict.fromkeys(names, 0)
    counts["groups"] = len(groups)
    weighed: list[tuple[float, Pair]] = []
    for group in groups:
        apart = _apart(group, recipe.margin)
        alike = [(gap, pair) for gap, pair in apart if recipe.max_word_gap is None or _gap(pair) <= recipe.max_word_gap]
        if not alike:
            counts["length" if apart else "unsure"] += 1
            continue
        widest = sorted(range(len(alike)), key=lambda index: -alike[index][0])[: recipe.each]
        counts["beyond"] += len(alike) - len(widest)
        weighed += [alike[index] for index in sorted(widest)]
    unlike, left_out = thinned(weighed, recipe)
    widest_of_all = surest(unlike, share_of(recipe.keep, len(unlike)))
    pairs = [pair for _, pair in widest_of_all]
    kept = balanced(pairs) if recipe.balance else pairs
    counts["beyond"] += len(unlike) - len(widest_of_all)
    counts |= {**left_out, "balanced": len(pairs) - len(kept), "pairs": len(kept)}
    counts["pictures"] = len({pair.sample.cluster for pair in kept})
    return Selection(rows=tuple(kept), counts=counts)


def _apart(group: Group, margin: float) -> list[tuple[float, Pair]]:
    """(how far apart, pair) of a group's answers, the better one chosen."""
    judged = {
        text: verdict.reward
        for text, verdict in zip(reversed(group.answers), reversed(group.verdicts), strict=True)
        if text and verdict.reward is not None
    }
    apart: list[tuple[float, Pair]] = []
    for first, second in combinations(reversed(judged), 2):
        gap = judged[first] - judged[second]
        if abs(gap) > margin:
            chosen, rejected = (first, second) if gap > 0 else (second, first)
            pair = Pair(sample=group.sample, chosen=chosen, rejected=rejected, reversed=gap < 0)
            apart.append((abs(gap), pair))
    return apart


def _gap(pair: Pair) -> int:
    return abs(words_ahead(pair))
