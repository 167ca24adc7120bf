"""Whether a training left a model that answers nothing any more: it is asked greedily before and after.

This stops what no later round could use. Answers that only become more alike are the monitor `collapse`'s, which has
dev, the seed model and intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from harness.errors import RecipeError
from harness.types import Answer, Sample
from loops.groups import Row

PROMPTS = 16
"""Of so many prompts a model is asked; of fewer nothing is told, since a few answers may be equal and right."""

LONGEST = 128
"""Tokens of an answer at most."""

SENTENCE = 3
"""Words from which on an answer is a sentence; a yes or a letter may be right of every picture."""

REMEDY = "lower optimise.trl.learning_rate or take fewer steps; optimise.stop_collapsed=false keeps such a checkpoint"


def prompts_of(rows: Sequence[Row | Sample]) -> list[Sample]:
    """Samples to ask: the first `PROMPTS` of the rows that differ in prompt or picture, none where they are fewer."""
    samples = [row if isinstance(row, Sample) else row.sample for row in rows]
    unlike = {(sample.prompt, sample.cluster): sample for sample in reversed(samples)}
    asked = [*reversed(unlike.values())][:PROMPTS]
    return asked if len(asked) == PROMPTS else []


def refuse_collapsed(before: Sequence[Answer], after: Sequence[Answer]) -> None:
    """Raise `RecipeError` where every answer is empty, none ends, or all are one and the same, and most answers before
    were none of that. Equal answers count where those before were sentences; of no answers nothing is told."""
    if not after:
        return
    texts = [answer.text.strip() for answer in after]
    earlier = [answer.text.strip() for answer in before]
    ended = sum(answer.finished for answer in before)
    sentences = median(len(text.split()) for text in earlier) >= SENTENCE
    half = len(before) / 2
    if not any(texts) and sum(map(bool, earlier)) > half:
        fault = "all are empty"
    elif not any(answer.finished for answer in after) and ended > half:
        fault = f"none ends, and {ended} did before"
    elif len(set(texts)) == 1 and sentences and (different := len(set(earlier))) > half:
        fault = f"all are {texts[0]!r:.60}, and {different} different ones were given before"
    else:
        return
    raise RecipeError(f"training collapsed: of {len(after)} greedy answers {fault}; {REMEDY}")
