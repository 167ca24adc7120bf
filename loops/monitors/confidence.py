"""Confidence: the model grows surer of its answers than it is right, which the survey calls confidently wrong."""

from __future__ import annotations

from collections.abc import Sequence

from harness.runs.watches import Reading
from harness.stats import calibration_difference, difference
from loops.monitors.seen import CONFIDENCE, DRAWS, OVERCONFIDENCE, RIGHT, Seen, figures_of, in_words, reading, rose
from loops.monitors.settings import Watch


def confidence(rounds: Sequence[Seen], watch: Watch) -> Reading:
    """Of each task of questions decided between a few answers (yes or no, letters): the expected calibration error of
    the likeliest answer's probability rose since the seed model, and so did confidence minus accuracy: an error that
    grows because the model became too unsure is none of this."""
    first, last = rounds[0].watched, rounds[-1].watched
    figures: dict[str, float | None] = {}
    worse, others = list[str](), list[str]()
    for name, before in first.items():
        if OVERCONFIDENCE not in before.metrics:
            continue
        sides = before.rows, last[name].rows
        error = calibration_difference(*sides, CONFIDENCE, RIGHT, draws=DRAWS)
        over = difference(*sides, [OVERCONFIDENCE], draws=DRAWS)[OVERCONFIDENCE.name]
        figures |= {**figures_of(f"{name}/ECE", error), **figures_of(f"{name}/overconfidence", over)}
        words = in_words(f"{name} calibration error", error, OVERCONFIDENCE)
        words += f" and {in_words('confidence minus accuracy', over, OVERCONFIDENCE)}"
        (worse if rose(error) and rose(over) else others).append(words)
    if not figures:
        return reading("confidence", None, "no watched question is decided between a few answers", {})
    return reading(
        "confidence", bool(worse), f"{'surer than right: ' if worse else ''}{'; '.join(worse or others)}", figures
    )
