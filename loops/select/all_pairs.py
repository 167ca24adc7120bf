"""Select all pairs: every two answers of a group whose rewards are far enough apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, Literal

from pydantic import Field

from harness.files import digest_of_bytes
from harness.types import Group
from loops.groups import Pair
from loops.kinds import Selection, Selector


class AllPairs(Selector):
    """Each two answers to a picture whose rewards differ by a margin, the better one chosen."""

    kind: Literal["all_pairs"] = "all_pairs"
    version: ClassVar[int] = 1

    margin: float = Field(default=0.0, ge=0, description="pairs whose rewards differ by no more are left out")
    each: int | None = Field(
        default=None, ge=1, description="pairs of a picture at most, those whose rewards differ most; else all"
    )
    max_word_gap: int | None = Field(
        default=None, ge=0, description="pairs whose lengths differ by more words are left out"
    )
    balance: bool = Field(
        default=False,
        description="leave pairs out until chosen and rejected answers have as many words on average",
    )

    def select(self, groups: Sequence[Group], draw: int) -> Selection:
        return all_pairs(groups, self)


def all_pairs(groups: Sequence[Group], recipe: AllPairs) -> Selection:
    """The pairs of each group, in the order of collection; the same two texts are one pair of a group.

    Without an opinion of an answer it is in no pair. With `balance`, pairs in which the side that is longer on average
    is longer are left out, the longest gaps first (of equal ones by digests of id and text), unless the other side
    would be longer then.
    """
    counts = dict.fromkeys(("groups", "unsure", "length", "beyond", "balanced", "pictures", "pairs"), 0)
    counts["groups"] = len(groups)
    pairs: list[Pair] = []
    for group in groups:
        apart = _apart(group, recipe.margin)
        alike = [(gap, pair) for gap, pair in apart if recipe.max_word_gap is None or _gap(pair) <= recipe.max_word_gap]
        if not alike:
            counts["length" if apart else "unsure"] += 1
            continue
        widest = sorted(range(len(alike)), key=lambda index: -alike[index][0])[: recipe.each]
        counts["beyond"] += len(alike) - len(widest)
        pairs += [alike[index][1] for index in sorted(widest)]
    kept = balanced(pairs) if recipe.balance else pairs
    counts |= {"balanced": len(pairs) - len(kept), "pairs": len(kept)}
    counts["pictures"] = len({pair.sample.id for pair in kept})
    return Selection(rows=tuple(kept), counts=counts)


def balanced(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs without those that make one side longer on average, as far as that goes without the other being so."""
    total = sum(map(_ahead, pairs))
    sign = 1 if total > 0 else -1
    longer = sorted(
        (pair for pair in pairs if sign * _ahead(pair) > 0),
        key=lambda pair: (-sign * _ahead(pair), digest_of_bytes(pair.sample.id.encode(), pair.chosen.encode())),
    )
    left_out: set[int] = set()
    for pair in longer:
        if sign * _ahead(pair) <= sign * total:
            total -= _ahead(pair)
            left_out.add(id(pair))
    return [pair for pair in pairs if id(pair) not in left_out]


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


def _ahead(pair: Pair) -> int:
    """By how many words the chosen answer is longer."""
    return len(pair.chosen.split()) - len(pair.rejected.split())


def _gap(pair: Pair) -> int:
    return abs(_ahead(pair))
