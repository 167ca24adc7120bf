"""Answers that `max_tokens` cut: trained as they are, they would teach the model to end in the middle of a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import RunError
from harness.sentences import whole_sentences
from harness.types import Answer
from loops.recipe import Collect

MARK = "unfinished"
"""Stands in the notes of an answer that was cut, beside `left_out`: what was taken from its end."""


def settle(answer: Answer, recipe: Collect, lead: str = "") -> tuple[str, Mapping[str, Any]]:
    """The text that is kept of an answer, and its notes; nothing is kept that was not said beyond its `lead`."""
    if answer.finished:
        return answer.text, {}
    kept = {"keep": answer.text, "sentences": whole_sentences(answer.text), "drop": ""}[recipe.unfinished]
    if len(kept) <= len(lead):
        kept = ""
    return kept, {MARK: True, "left_out": answer.text[len(kept) :]}


def refuse_unfinished(answers: Sequence[Answer], recipe: Collect) -> None:
    """Raise `RunError` where more answers were cut than the recipe lets pass."""
    cut = sum(not answer.finished for answer in answers)
    if cut > recipe.max_unfinished * len(answers):
        raise RunError(
            f"{cut} of {len(answers)} answers were cut at collect.max_tokens {recipe.max_tokens}; raise it, or "
            f"collect.max_unfinished, the share that may be cut, above {recipe.max_unfinished:g}"
        )
