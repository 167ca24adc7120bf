"""Verify by several verifiers together: a weighted sum of what they say, or only what all of them say."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from harness.autonomy import lowest
from harness.types import Advance, Group, Verdict
from loops.kinds import Study, Trial, Verifier, Verifying, computed_by
from loops.ledger import added


def _member(value: Any) -> Any:
    from loops.slots import VERIFY  # which imports the kinds, this one among them

    return VERIFY.read(value)


Member = Annotated[SerializeAsAny[Verifier], BeforeValidator(_member)]
"""The fields of another verifier, its kind among them."""


class Ensemble(Verifier):
    """Several verifiers, each told no more than it may know by itself."""

    kind: Literal["ensemble"] = "ensemble"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L3"

    members: tuple[Member, ...] = Field(min_length=2, description="verifiers, each with its kind and fields")
    combine: Literal["weights", "all"] = Field(
        default="weights",
        description="a weighted sum of rewards; or the share of the other answers that all members put an answer "
        "above, less the share that all put above it",
    )
    weights: tuple[float, ...] | None = Field(default=None, description="of the members, in their order; else 1 each")
    units: Literal["spread", "own"] = Field(
        default="spread",
        description="of weighted rewards: their distance from the mean of their group, in the member's own mean "
        "distance; or as they are",
    )

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.weights is not None and len(self.weights) != len(self.members):
            raise ValueError(f"field 'verify.weights': {len(self.weights)} weights for {len(self.members)} members")
        if self.combine == "all" and (self.weights is not None or self.units != "spread"):
            raise ValueError("field 'verify.weights': with combine=all nothing is weighed; leave weights and units out")
        return self

    @property
    def judging_level(self) -> str:
        return lowest(member.judging_level for member in self.members)

    @property
    def is_shown_gold(self) -> bool:
        return any(member.is_shown_gold for member in self.members)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(name for member in self.members for name in member.models)

    def has_own_weights(self, study: Study) -> bool:
        return any(member.has_own_weights(study) for member in self.members)

    def learnt_from(self, study: Study) -> Sequence[str]:
        return [task for member in self.members for task in member.learnt_from(study)]

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        return {**self.as_input("members"), "members": [member.inputs(study, draw) for member in self.members]}

    def refuse(self, study: Study) -> None:
        for member in self.members:
            member.refuse(dataclasses.replace(study, verify=member))

    def trials(self, study: Study) -> Mapping[str, Trial]:
        return {
            f"{name} of member {number}": trial
            for number, member in enumerate(self.members, start=1)
            for name, trial in member.trials(study).items()
        }

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        from loops.judging import open_verifier

        return Together(
            opened=[open_verifier(dataclasses.replace(study, verify=member), groups, draw) for member in self.members],
            recipe=self,
        )


class Together:
    """The members at work, one after the other."""

    def __init__(self, *, opened: Sequence[Verifying], recipe: Ensemble) -> None:
        self.opened, self.recipe = opened, recipe
        names = Counter[str]()
        self.names = []
        for member in recipe.members:
            names[member.kind] += 1
            count = names[member.kind]
            self.names.append(member.kind if count == 1 else f"{member.kind}{count}")

    @property
    def facts(self) -> Mapping[str, Any]:
        return {
            f"{name}_{fact}": value
            for name, verifier in zip(self.names, self.opened, strict=True)
            for fact, value in verifier.facts.items()
        }

    @property
    def costs(self) -> Mapping[str, float]:
        return added(*(verifier.costs for verifier in self.opened))

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]:
        return {
            f"{name} {role}": how
            for name, verifier in zip(self.names, self.opened, strict=True)
            for role, how in computed_by(verifier).items()
        }

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        from loops.judging import blind_groups

        blind = blind_groups(groups)
        rewards = []
        for member, verifier in zip(self.recipe.members, self.opened, strict=True):
            judged = verifier.verify(groups if member.is_shown_gold else blind)
            rewards.append([[verdict.reward for verdict in verdicts] for verdicts in judged])
        if advance:
            advance(len(groups))
        if self.recipe.combine == "all":
            return [unanimous([each[index] for each in rewards]) for index in range(len(groups))]
        weights = self.recipe.weights or (1.0,) * len(rewards)
        scaled = [in_spreads(each) if self.recipe.units == "spread" else each for each in rewards]
        return [weighed([each[index] for each in scaled], weights) for index in range(len(groups))]


Rewards = Sequence[float | None]
"""A member's, of the answers of one group."""


def in_spreads(rewards: Sequence[Rewards]) -> list[Rewards]:
    """Rewards as distances from the mean of their group, in the mean such distance over all groups: members that count
    in other units weigh alike. A member that tells nothing apart is of no weight."""
    distances: list[list[float | None]] = []
    for group in rewards:
        values = [reward for reward in group if reward is not None]
        mean = fmean(values) if values else 0.0
        distances.append([None if reward is None else reward - mean for reward in group])
    sizes = [abs(distance) for group in distances for distance in group if distance is not None]
    spread = fmean(sizes) if sizes else 0.0
    return [[None if distance is None else distance / (spread or 1.0) for distance in group] for group in distances]


def weighed(rewards: Sequence[Rewards], weights: Sequence[float]) -> tuple[Verdict, ...]:
    """The weighted sum for each answer; an answer of which a member has no opinion has none of the ensemble, since a
    sum of fewer would be another scale."""
    verdicts = []
    for answer in zip(*rewards, strict=True):
        values = [reward for reward in answer if reward is not None]
        if len(values) < len(answer):
            verdicts.append(Verdict(reward=None, why="a member has no opinion"))
        else:
            why = " ".join(f"{value:+.2f}" for value in values)
            reward = math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
            verdicts.append(Verdict(reward=reward, why=why))
    return tuple(verdicts)


def unanimous(rewards: Sequence[Rewards]) -> tuple[Verdict, ...]:
    """For each answer the share of the others that all members put it above, less the share that all put above it: of
    two answers 1 and -1 where all agree, and 0 and 0 where not. No opinion is no agreement."""
    answers = list(zip(*rewards, strict=True))

    def above(first: Sequence[float | None], second: Sequence[float | None]) -> bool:
        return all(a is not None and b is not None and a > b for a, b in zip(first, second, strict=True))

    verdicts = []
    for place, own in enumerate(answers):
        others = [other for index, other in enumerate(answers) if index != place]
        if not others or None in own:
            verdicts.append(Verdict(reward=None, why="a member has no opinion" if others else "nothing to compare"))
            continue
        balance = sum(above(own, other) - above(other, own) for other in others)
        verdicts.append(Verdict(reward=balance / len(others), why=f"of {len(others)} others"))
    return tuple(verdicts)
