"""Select survivors: the answers that a verifier let pass, each a row by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.files import digest_of_bytes
from harness.types import Group
from loops.groups import Example
from loops.kinds import Selection, Selector


class Survivors(Selector):
    """The best answers to each picture, as rows to learn from (rejection sampling; best of n)."""

    kind: Literal["survivors"] = "survivors"
    version: ClassVar[int] = 1
    paired: ClassVar[bool] = False

    least: float | None = Field(default=None, description="the reward from which an answer passes; else any passes")
    each: int = Field(default=1, ge=1, description="answers to a picture that pass, at most, the best ones")
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
    equal rewards go by the order of collection. `keep` takes the groups whose best reward is highest; where rewards do
    not tell, the digests of the samples' ids do. With `others`, answers below `least` are rows to avoid.
    """
    counts = dict.fromkeys(("groups", "unsure", "failed", "beyond", "pictures", "survivors", "avoided"), 0)
    counts["groups"] = len(groups)
    passing: list[tuple[float, str, list[Example]]] = []
    avoided: list[Example] = []
    for group in groups:
        judged = _judged(group)
        good = [(text, reward) for text, reward in judged if recipe.least is None or reward >= recipe.least]
        if recipe.others:
            bad = [text for text, reward in judged if recipe.least is not None and reward < recipe.least]
            avoided += [Example(sample=group.sample, answer=text, desirable=False) for text in bad]
        if not good:
            counts["failed" if judged else "unsure"] += 1
            continue
        best = sorted(range(len(good)), key=lambda index: -good[index][1])[: recipe.each]
        rows = [Example(sample=group.sample, answer=good[index][0]) for index in sorted(best)]
        digest = digest_of_bytes(group.sample.id.encode())
        passing.append((max(reward for _, reward in good), digest, rows))
    most = max(1, int(round(recipe.keep * len(groups), 6)))
    surest = sorted(passing, key=lambda entry: (-entry[0], entry[1]))[:most]
    chosen = {digest for _, digest, _ in surest}
    rows = [row for _, digest, its in passing if digest in chosen for row in its]
    counts |= {"beyond": len(passing) - len(surest), "pictures": len(surest), "survivors": len(rows)}
    counts["avoided"] = len(avoided)
    return Selection(rows=(*rows, *avoided), counts=counts)


def _judged(group: Group) -> list[tuple[str, float]]:
    """The different texts of a group with their rewards, but for what nobody has an opinion of."""
    judged: dict[str, float] = {}
    for text, verdict in zip(group.answers, group.verdicts, strict=True):
        if text and verdict.reward is not None:
            judged.setdefault(text, verdict.reward)
    return list(judged.items())
