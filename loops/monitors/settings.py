"""What a recipe says of its monitors: what is watched after every round, and from where on one fires."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from loops.kinds import Part

Monitor = Literal["collapse", "amplification", "plateau", "forgetting", "format_drift", "confidence"]

MOST_WATCHED = 300
"""Samples of a task where nothing is said: watching may take a tenth of what measuring takes."""


class Watch(Part):
    """What every checkpoint is watched on, beside its evaluation and on other pictures."""

    tasks: tuple[str, ...] | None = Field(
        default=None, description="watched on `split`; else those of evaluate.tasks that have it"
    )
    split: str = "dev"
    limit: int | None = Field(default=None, ge=1, description="samples of each; else evaluate.limit, 300 at most")
    guard: tuple[str, ...] = Field(
        default=(), description="further tasks, watched for forgetting alone; on test where they have no other split"
    )
    choose_by: str | None = Field(
        default=None, description="the task whose headline chooses the best checkpoint; else the first"
    )
    variety: float = Field(
        default=0.5, gt=0, le=1, description="collapse: the share of the seed's variety under which one fires"
    )
    margin: float = Field(
        default=1.0, gt=0, description="plateau: the gain, in points or the headline's unit, that would have been seen"
    )

    @field_validator("split")
    @classmethod
    def _not_what_is_reported(cls, split: str) -> str:
        if split == "test" or split.startswith("reserve"):
            raise ValueError(f"field 'watch.split' is {split!r}: checkpoints chosen on it would flatter it; say dev")
        return split

    @model_validator(mode="after")
    def _choice_is_watched(self) -> Self:
        if self.choose_by is not None and self.choose_by in self.guard:
            raise ValueError(f"field 'watch.choose_by' is {self.choose_by!r}, a guard: no checkpoint is chosen by one")
        return self
