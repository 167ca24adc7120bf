"""What is kept of a collected answer: neither a thought before it, which is no description to verify or to train on,
nor, where `max_tokens` cut it, a sentence without an end, which would teach the model to end there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import RunError
from harness.sentences import whole_sentences
from harness.thoughts import answer_of
from harness.types import Answer
from loops.recipe import Collect

MARK = "unfinished"
"""Stands in the notes of an answer that was cut, beside `left_out`: what was taken from its end."""


SAID = "said"
"""Stands in the notes of an answer with a thought before it: the whole text."""


def settle(answer: Answer, recipe: Collect, lead: str = "") -> tuple[str, Mapping[str, Any]]:
    """The text that is kept of an answer, and its notes; nothing is kept that was not said beyond its `lead`."""
    told = answer_of(answer.text)
    text = told.answer
    notes = {SAID: answer.text} if told.thought else {}
    if answer.finished:
        return text, notes
    kept = {"keep": text, "sentences": whole_sentences(text), "drop": ""}[recipe.unfinished]
    if len(kept) <= len(lead):
        kept = ""
    return kept, {**notes, MARK: True, "left_out": text[len(kept) :]}


def refuse_unfinished(answers: Sequence[Answer], recipe: Collect) -> None:
    """Raise `RunError` where more answers were cut than the recipe lets pass."""
    cut = sum(not answer.finished for answer in answers)
    if cut > recipe.max_unfinished * len(answers):
        raise RunError(
            f"{cut} of {len(answers)} answers were cut at collect.max_tokens {recipe.max_tokens}; raise it, or "
            f"collect.max_unfinished, the share that may be cut, above {recipe.max_unfinished:g}"
        )
