"""Select survivors: the answers that a verifier let pass, each a row by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.types import Group
from loops.groups import Example
from loops.kinds import Selection
from loops.select.thinning import Thinned, share_of, thinned, tie


class Survivors(Thinned):
    """The best answers to each picture, as rows to learn from (rejection sampling; best of n)."""

    kind: Literal["survivors"] = "survivors"
    version: ClassVar[int] = 1
    paired: ClassVar[bool] = False

    least: float | None = Field(default=None, description="the reward from which an answer passes; else any passes")
    each: int = Field(default=1, ge=1, description="answers to a question that pass, at most, the best ones")
    keep: float = Field(
        default=1.0, gt=0, le=1, description="at most this share of the groups, those whose best reward is highest"
    )
    others: bool = Field(
        default=False, description="answers that do not pass are rows to avoid, for an optimiser that knows such (kto)"
    )

    @model_validator(mode="after")
    def _something_fails(self) -> Self:
        if self.others and self.least is None:
            raise ValueError("select.others: without select.least nothing fails; say the reward from which one passes")
        return self

    def select(self, groups: Sequence[Group], draw: int) -> Selection:
        return survivors(groups, self)


def survivors(groups: Sequence[Group], recipe: Survivors) -> Selection:
    """The answers of each group that pass, the best `each` of them, in the order of collection.

    An answer of which the verifier has no opinion, an empty one and one that stands in the group already are no rows;
    equal rewards go by the order of collection. Of what is not `thinned` out, `keep` takes the groups whose best reward
    is highest; where rewards do not tell, the digests of the samples' ids do. With `others`, answers below `least` are
    rows to avoid, of which those are thinned out first that earn most.
    """
    names = ("groups", "unsure", "failed", "beyond", "repeated", "crowded", "pictures", "survivors", "avoided")
    counts = dict.fromkeys(names, 0)
    counts["groups"] = len(groups)
    passing: list[tuple[float, Example]] = []
    failing: list[tuple[float, Example]] = []
    for group in groups:
        judged = _judged(group)
        good = [(text, reward) for text, reward in judged if recipe.least is None or reward >= recipe.least]
        failing += [
            (-reward, Example(sample=group.sample, answer=text, desirable=False))
            for text, reward in judged
            if recipe.others and recipe.least is not None and reward < recipe.least
        ]
        if not good:
            counts["failed" if judged else "unsure"] += 1
        best = sorted(range(len(good)), key=lambda index: -good[index][1])[: recipe.each]
        passing += [(good[index][1], Example(sample=group.sample, answer=good[index][0])) for index in sorted(best)]
    (good_rows, fewer_good), (bad_rows, fewer_bad) = thinned(passing, recipe), thinned(failing, recipe)
    best_of: dict[str, float] = {}
    for reward, row in good_rows:
        best_of[row.sample.id] = max(reward, best_of.get(row.sample.id, reward))
    ordered = sorted(best_of, key=lambda sample: (-best_of[sample], tie(sample)))
    chosen = set(ordered[: share_of(recipe.keep, len(groups))])
    rows = [row for _, row in good_rows if row.sample.id in chosen]
    counts |= {name: fewer_good[name] + fewer_bad[name] for name in fewer_good}
    counts |= {"beyond": len(ordered) - len(chosen), "survivors": len(rows)}
    counts |= {"pictures": len({row.sample.cluster for row in rows}), "avoided": len(bad_rows)}
    return Selection(rows=(*rows, *(row for _, row in bad_rows)), counts=counts)


def _judged(group: Group) -> list[tuple[str, float]]:
    """The different texts of a group with their rewards, but for what nobody has an opinion of."""
    judged: dict[str, float] = {}
    for text, verdict in zip(group.answers, group.verdicts, strict=True):
        if text and verdict.reward is not None:
            judged.setdefault(text, verdict.reward)
    return list(judged.items())
