"""Select pairs: of each group the best answer against the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal

from pydantic import Field

from harness.autonomy import CONTROL
from harness.errors import RecipeError
from harness.files import digest_of_bytes
from harness.types import Group
from loops.groups import Pair
from loops.kinds import Collector, Selection, Study
from loops.select.thinning import ThinnedPairs, balanced, share_of, surest, thinned


class BestAgainstWorst(ThinnedPairs):
    """A pair from each group: the two answers whose rewards are furthest apart."""

    kind: Literal["pairs"] = "pairs"
    version: ClassVar[int] = 2

    disagreement: Literal["reverse", "discard", "keep", "coin"] = Field(
        default="reverse",
        description="what to do when the verifier prefers the candidate rejected; coin: toss one for the order of "
        "every pair, so that the verifier chooses pairs and does not order them",
    )
    margin: float = Field(default=0.0, ge=0, description="pairs whose rewards differ by less are left out")
    max_word_gap: int | None = Field(
        default=None, ge=0, description="pairs whose lengths differ by more words are left out"
    )
    keep: float = Field(
        default=1.0, gt=0, le=1, description="at most this share of the groups, those whose rewards differ most"
    )

    def inputs(self, draw: int) -> dict[str, Any]:
        return {**self.as_input(), **({"seed": draw} if self.disagreement == "coin" else {})}

    def level(self, level: str) -> str:
        """Pairs ordered by coin are a control, whoever chose them."""
        return CONTROL if self.disagreement == "coin" else level

    def refuse_collector(self, collector: Collector) -> None:
        if self.disagreement in ("discard", "keep") and not collector.ordered:
            raise ValueError(
                f"select.disagreement {self.disagreement} needs candidates in an order, which {collector.kind} does "
                "not give; leave it at reverse"
            )

    def refuse(self, study: Study) -> None:
        widest = study.verify.widest
        if self.margin > widest:
            raise RecipeError(
                f"select.margin {self.margin:g}: rewards of verify.kind {study.verify.kind} differ by {widest:g} at "
                "most, so no pair is left; lower it"
            )

    def select(self, groups: Sequence[Group], draw: int) -> Selection:
        return select(groups, self, seed=draw)


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


def select(groups: Sequence[Group], recipe: BestAgainstWorst, *, seed: int = 0) -> Selection:
    """A pair from each group: the two answers whose rewards are furthest apart, in the order that the verdicts say.

    Without an opinion (a reward is None) they are the first two that differ, as collected. Two answers whose lengths
    differ by more than `max_word_gap` words are no pair, so that length itself is not what is taught. Rewards closer
    than `margin` leave the group out; where the answer collected later earned more, `disagreement` decides. Of what is
    left and not `thinned` out, `keep` takes the pairs whose rewards differ most, whatever unit the verifier counts in;
    where rewards do not tell, the digests of the samples' ids do. With `balance`, what is left at last is `balanced`.
    `seed` is of the coins that `disagreement: coin` tosses, one a sample.
    """
    counts = dict.fromkeys(("groups", "equal", "length", "unsure", "discarded"), 0)
    counts["groups"] = len(groups)
    weighed: list[tuple[float, Pair]] = []
    for group in groups:
        differing = _differing(group)
        alike = [both for both in differing if recipe.max_word_gap is None or both.word_gap <= recipe.max_word_gap]
        if not alike:
            counts["length" if differing else "equal"] += 1
            continue
        widest = max(alike, key=lambda both: both.certainty)  # the first of equals
        if widest.ahead is not None and (abs(widest.ahead) < recipe.margin or widest.ahead == 0):
            counts["unsure"] += 1
        elif widest.ahead is not None and widest.ahead < 0 and recipe.disagreement == "discard":
            counts["discarded"] += 1
        else:
            weighed.append((widest.certainty, _pair(widest, recipe, seed)))
    unlike, left_out = thinned(weighed, recipe)
    widest_of_all = surest(unlike, share_of(recipe.keep, len(groups)))
    pairs = [pair for _, pair in widest_of_all]
    kept = balanced(pairs) if recipe.balance else pairs
    counts |= {
        **left_out, "beyond": len(unlike) - len(widest_of_all), "balanced": len(pairs) - len(kept),
        "reversed": sum(pair.reversed for pair in kept), "pairs": len(kept),
    }  # fmt: skip
    return Selection(rows=tuple(kept), counts=counts)


def _differing(group: Group) -> list[_Candidates]:
    rewards = [verdict.reward for verdict in group.verdicts]
    return [
        _Candidates(group=group, first=group.answers[i], second=group.answers[j], ahead=_ahead(rewards[i], rewards[j]))
        for i, j in combinations(range(len(group.answers)), 2)
        if group.answers[i] and group.answers[j] and group.answers[i] != group.answers[j]
    ]


def _ahead(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _pair(both: _Candidates, recipe: BestAgainstWorst, seed: int) -> Pair:
    if recipe.disagreement == "coin":
        reverse = bool(digest_of_bytes(f"{seed}/{both.group.sample.id}".encode())[0] < "8")
    else:
        reverse = both.ahead is not None and both.ahead < 0 and recipe.disagreement == "reverse"
    chosen, rejected = (both.second, both.first) if reverse else (both.first, both.second)
    return Pair(sample=both.group.sample, chosen=chosen, rejected=rejected, reversed=reverse)
