"""Where a gain cannot be told from silence: an empty answer wins no comparison.

Many figures are won by an empty answer (CHAIRs, CHAIRi, whatever leaves out what was not read), and some rules pay for
one (POPE's official reads a blank as yes). So the side that is ahead on a metric is not called better where

1. it leaves more answers blank or unread than the other side, and is ahead no more (95 %) once each answer that it
   alone leaves so has the other side's marks in the place of its own;
2. it names nothing, or nothing right where the other side does, so that what share of its words is wrong, or a
   figure at equal recall, is 0/0;
3. by the profile `strict`, which earns nothing by guessing, it is not ahead on the headline (recorded in the results
   where the headline is another profile's).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from harness.profiles import PLAIN
from harness.results import Marked, TaskResult
from harness.stats import Difference, PooledDifference, pooled_difference
from harness.thoughts import answer_of
from harness.types import Metric
from harness.wording import counted

FRONTIER = "frontier/"
"""How the names of figures begin that are read off two curves at one recall (`harness.stats.pooled_frontier`)."""

_OF_WHAT_WAS_SAID = ("CHAIRi", "precision")
"""Metrics over what a side named: 0/0 where it named nothing."""

Pairs = Sequence[tuple[TaskResult, TaskResult]]


def is_silent(row: Marked) -> bool:
    """Whether an answer is blank, a thought before it aside, or nothing was read from it."""
    return row.parsed is None or not answer_of(row.answer).answer.strip()


def doubts_of(
    pairs: Pairs,
    metrics: Sequence[Metric],
    differences: Mapping[str, PooledDifference],
    *,
    draws: int,
    seed: int,
) -> dict[str, str]:
    """Metric -> why the side that is ahead on it is not called better; nothing of metrics that hold.

    `pairs` holds a task of each side for each training seed, `differences` what they come to, B minus A.
    """
    ahead = {
        metric.name: (difference.value > 0) == (metric.better == "higher")
        for metric in metrics
        if metric.better != "neither" and (difference := differences[metric.name]).value and _beyond_zero(difference)
    }
    doubts: dict[str, str] = {}
    for is_b in set(ahead.values()):
        won = [metric for metric in metrics if ahead.get(metric.name) is is_b]
        doubts |= _won_by_silence(pairs, won, differences, is_b, draws=draws, seed=seed)
        if nothing := _names_nothing(differences, is_b):
            doubts |= dict.fromkeys((metric.name for metric in won), nothing)
    headline = pairs[0][0].headline
    if headline in ahead and headline not in doubts and (words := _behind_by_strict(pairs, ahead[headline])):
        doubts[headline] = words
    return doubts


def _beyond_zero(difference: Difference) -> bool:
    return difference.low is not None and difference.high is not None and not difference.low <= 0 <= difference.high


def _won_by_silence(
    pairs: Pairs,
    won: Sequence[Metric],
    differences: Mapping[str, Difference],
    is_b: bool,
    *,
    draws: int,
    seed: int,
) -> dict[str, str]:
    """Rule 1 for the metrics that B (else A) has won."""
    counts = [0, 0]
    spoken: list[tuple[Sequence[Marked], Sequence[Marked]]] = []
    for a, b in pairs:
        theirs = {row.id: row for row in (a if is_b else b).rows}
        own = [row for row in (b if is_b else a).rows if row.id in theirs]
        counts[0] += sum(map(is_silent, own))
        counts[1] += sum(is_silent(theirs[row.id]) for row in own)
        filled = [
            replace(row, counts=theirs[row.id].counts) if is_silent(row) and not is_silent(theirs[row.id]) else row
            for row in own
        ]
        spoken.append((list(theirs.values()), filled) if is_b else (filled, list(theirs.values())))
    if counts[0] <= counts[1]:
        return {}
    names = {metric.name for metric in won}
    parts = {name for metric in won for name in metric.macro}
    needed = [metric for metric in pairs[0][0].metrics if metric.name in names | parts]
    again = pooled_difference(spoken, needed, draws=draws, seed=seed)
    side, other = ("B", "A") if is_b else ("A", "B")
    words = (
        f"{counted(counts[0], 'answer')} of {side} {'is' if counts[0] == 1 else 'are'} blank or unread, of {other} "
        f"{counts[1]}, and where both answer {side} is not ahead"
    )
    return {
        name: words
        for name in names & again.keys()
        if not _beyond_zero(again[name]) or (again[name].value or 0) * (differences[name].value or 0) <= 0
    }


def _names_nothing(differences: Mapping[str, Difference], is_b: bool) -> str:
    """Rule 2: what is 0/0 where B (else A) is ahead; empty where nothing is."""
    for name, difference in differences.items():
        own, other = (difference.b, difference.a) if is_b else (difference.a, difference.b)
        if name in _OF_WHAT_WAS_SAID and own is None and other is not None:
            return f"{'B' if is_b else 'A'} names nothing, so that {name} is 0/0"
        if name.startswith(FRONTIER) and difference.value is None and not _recalls_more(differences, is_b):
            return f"{name} is 0/0: no recall is reached by both"
    return ""


def _recalls_more(differences: Mapping[str, Difference], is_b: bool) -> bool:
    """Whether B (else A) recalls more: who names only what is not there meets the other at no recall, and that other
    has not won by silence."""
    recall = differences.get("recall")
    return recall is not None and bool(recall.value) and ((recall.value or 0) > 0) is is_b


def _behind_by_strict(pairs: Pairs, is_b: bool) -> str:
    """Rule 3, where both sides answered the same samples; empty where B (else A) is ahead by `strict` too."""
    first = pairs[0][0]
    if first.profile == PLAIN or any({row.id for row in a.rows} != {row.id for row in b.rows} for a, b in pairs):
        return ""
    values = [[side.info.get("headline_by_profile", {}).get(PLAIN) for side in pair] for pair in pairs]
    if any(value is None for pair in values for value in pair):
        return ""
    left, right = (fmean(pair[side] for pair in values) for side in (0, 1))
    metric = next(metric for metric in first.metrics if metric.name == first.headline)
    gained = (right - left) * (1 if is_b else -1) * (1 if metric.better == "higher" else -1)
    if gained > 0:
        return ""
    return f"by {PLAIN} {first.headline} is {100 * left:.1f} for A and {100 * right:.1f} for B"
