"""Select: from judged candidates to training pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.types import Group
from loops.groups import Pair
from loops.recipe import Select


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The pairs, and how many groups went which way."""

    pairs: tuple[Pair, ...]
    counts: Mapping[str, int]


def select(groups: Sequence[Group], recipe: Select) -> Selection:
    """A pair from each group whose two answers differ, in the order that the verdicts say.

    Without an opinion (a reward is None) the pair stays as collected. Rewards closer than `margin` leave it out; where
    the candidate rejected earned more, `disagreement` decides; a pair whose lengths differ by more than `max_word_gap`
    words is left out, so that length itself is not what is taught.
    """
    pairs: list[Pair] = []
    counts = dict.fromkeys(("groups", "equal", "unsure", "length", "discarded", "reversed", "pairs"), 0)
    for group in groups:
        counts["groups"] += 1
        chosen, rejected = group.answers
        if chosen == rejected or not chosen or not rejected:
            counts["equal"] += 1
            continue
        if recipe.max_word_gap is not None and abs(_words(chosen) - _words(rejected)) > recipe.max_word_gap:
            counts["length"] += 1
            continue
        first, second = (verdict.reward for verdict in group.verdicts)
        reverse = False
        if first is not None and second is not None:
            if abs(first - second) < recipe.margin or first == second:
                counts["unsure"] += 1
                continue
            if second > first and recipe.disagreement == "discard":
                counts["discarded"] += 1
                continue
            reverse = second > first and recipe.disagreement == "reverse"
        counts["reversed"] += reverse
        counts["pairs"] += 1
        if reverse:
            chosen, rejected = rejected, chosen
        pairs.append(Pair(sample=group.sample, chosen=chosen, rejected=rejected, reversed=reverse))
    return Selection(pairs=tuple(pairs), counts=counts)


def _words(text: str) -> int:
    return len(text.split())
