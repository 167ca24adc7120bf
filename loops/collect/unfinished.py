"""What is kept of a collected answer: neither a thought before it, which is no description to verify or to train on,
nor, where `max_tokens` cut it, a sentence without an end, which would teach the model to end there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from harness.errors import RunError
from harness.sentences import whole_sentences
from harness.thoughts import answer_of
from harness.types import Answer, Group, Sampling
from loops.kinds import Collector, Study

if TYPE_CHECKING:
    from loops.plan import Planned, Planner

MARK = "unfinished"
"""Stands in the notes of an answer that was cut, beside `left_out`: what was taken from its end."""


Cut = Literal["sentences", "drop", "keep"]
"""What becomes of a cut answer: its whole sentences are kept, it is left out, or it counts as if it ended there."""

SAID = "said"
"""Stands in the notes of an answer with a thought before it: the whole text."""


class AskingCollector(Collector):
    """A collector that asks the model: how its answers are drawn, and what becomes of those that were cut."""

    temperature: float = Field(default=0.0, ge=0, description="of all answers; 0 is greedy")
    max_tokens: int = Field(default=80, ge=1, description="of own pictures 512 by default")
    max_thought_tokens: int | None = Field(
        default=None, ge=1, description="of a thought beside its answer, as `strop eval --max-thought-tokens`"
    )
    unfinished: Cut = Field(
        default="sentences",
        description="what to do with an answer that max_tokens cut: keep its whole sentences, leave it out, or train "
        "on it as if it ended there",
    )
    max_unfinished: float = Field(default=0.2, ge=0, le=1, description="a larger share of cut answers is refused")

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return planner.asking(sampling_of(self, seed=0))


def sampling_of(recipe: AskingCollector, *, seed: int, n: int = 1) -> Sampling:
    """How a collector's answers are drawn."""
    return Sampling(
        n=n, temperature=recipe.temperature, max_tokens=recipe.max_tokens, seed=seed,
        max_thought_tokens=recipe.max_thought_tokens,
    )  # fmt: skip


def settle(answer: Answer, recipe: AskingCollector, lead: str = "") -> tuple[str, Mapping[str, Any]]:
    """The text that is kept of an answer, and its notes; of one that does not go beyond its `lead` nothing is kept."""
    parsed = answer_of(answer.text)
    text = parsed.answer
    notes = {SAID: answer.text} if parsed.thought else {}
    if answer.finished:
        return text, notes
    kept = {"keep": text, "sentences": whole_sentences(text), "drop": ""}[recipe.unfinished]
    if len(kept) <= len(lead):
        kept = ""
    return kept, {**notes, MARK: True, "left_out": text[len(kept) :]}


def refuse_unfinished(answers: Sequence[Answer], recipe: AskingCollector) -> None:
    """Raise `RunError` where more answers were cut than the recipe lets pass."""
    cut = sum(not answer.finished for answer in answers)
    if cut > recipe.max_unfinished * len(answers):
        raise RunError(
            f"{cut} of {len(answers)} answers were cut at collect.max_tokens {recipe.max_tokens}; raise it, or "
            f"collect.max_unfinished, the share that may be cut, above {recipe.max_unfinished:g}"
        )


def count_unfinished(groups: Sequence[Group]) -> Mapping[str, float]:
    """How many answers were cut, as a collector's facts."""
    return {MARK: sum(MARK in note for group in groups for note in group.notes)}
