"""Select: from judged candidates to training pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.files import digest_of_bytes
from harness.types import Group
from loops.groups import Pair
from loops.recipe import Select


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The pairs, and how many groups went which way."""

    pairs: tuple[Pair, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidates:
    """Two answers of a group as they were collected; `ahead` is the first's reward minus the second's, None where the
    verifier has no opinion of one of them."""

    group: Group
    first: str
    second: str
    ahead: float | None

    @property
    def word_gap(self) -> int:
        return abs(len(self.first.split()) - len(self.second.split()))

    @property
    def certainty(self) -> float:
        """How far apart the rewards are; less than any distance without an opinion."""
        return -1.0 if self.ahead is None else abs(self.ahead)


def select(groups: Sequence[Group], recipe: Select, *, seed: int = 0) -> Selection:
    """A pair from each group: the two answers whose rewards are furthest apart, in the order that the verdicts say.

    Without an opinion (a reward is None) they are the first two that differ, as collected. Two answers whose lengths
    differ by more than `max_word_gap` words are no pair, so that length itself is not what is taught. Rewards closer
    than `margin` leave the group out; where the answer collected later earned more, `disagreement` decides. Of what is
    left, `keep` takes the pairs whose rewards differ most, whatever unit the verifier counts in; where rewards do not
    tell, the digests of the samples' ids do. `seed` is of the coins that `disagreement: coin` tosses, one a sample.
    """
    counts = dict.fromkeys(("groups", "equal", "length", "unsure", "discarded", "beyond", "reversed", "pairs"), 0)
    counts["groups"] = len(groups)
    kept: list[_Candidates] = []
    for group in groups:
        differing = _differing(group)
        alike = [one for one in differing if recipe.max_word_gap is None or one.word_gap <= recipe.max_word_gap]
        if not alike:
            counts["length" if differing else "equal"] += 1
            continue
        widest = max(alike, key=lambda one: one.certainty)  # the first of equals
        if widest.ahead is not None and (abs(widest.ahead) < recipe.margin or widest.ahead == 0):
            counts["unsure"] += 1
        elif widest.ahead is not None and widest.ahead < 0 and recipe.disagreement == "discard":
            counts["discarded"] += 1
        else:
            kept.append(widest)
    surest = sorted(kept, key=lambda one: (-one.certainty, digest_of_bytes(one.group.sample.id.encode())))
    most = int(round(recipe.keep * len(groups), 6))  # 0.29 of 100 groups is 28.999999999999996 in floats
    beyond = {id(one) for one in surest[max(1, most) :]}
    pairs = tuple(_pair(one, recipe, seed) for one in kept if id(one) not in beyond)
    counts |= {"beyond": len(beyond), "reversed": sum(pair.reversed for pair in pairs), "pairs": len(pairs)}
    return Selection(pairs=pairs, counts=counts)


def _differing(group: Group) -> list[_Candidates]:
    rewards = [verdict.reward for verdict in group.verdicts]
    return [
        _Candidates(group=group, first=group.answers[i], second=group.answers[j], ahead=_ahead(rewards[i], rewards[j]))
        for i, j in combinations(range(len(group.answers)), 2)
        if group.answers[i] and group.answers[j] and group.answers[i] != group.answers[j]
    ]


def _ahead(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _pair(one: _Candidates, recipe: Select, seed: int) -> Pair:
    if recipe.disagreement == "coin":
        reverse = bool(digest_of_bytes(f"{seed}/{one.group.sample.id}".encode())[0] < "8")
    else:
        reverse = one.ahead is not None and one.ahead < 0 and recipe.disagreement == "reverse"
    chosen, rejected = (one.second, one.first) if reverse else (one.first, one.second)
    return Pair(sample=one.group.sample, chosen=chosen, rejected=rejected, reversed=reverse)
