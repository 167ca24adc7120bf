"""Collapse: data that vanish, and answers that become alike, whatever the picture.

Five statistics, each a variety that goes to 0 as a loop collapses; the monitor fires where one of them is under a share
of what it was (`watch.variety`, a half). Of the data, against the first round's, which the seed model answered: the
yield, rows selected a group collected, and the share of groups whose answers differ. Of the answers to the watched
pictures, against the seed model's: distinct-2, different word pairs among all of them (distinct-n of Li et al.,
arXiv 1510.03055); what an answer does not share with the answer to the next picture (1 minus the overlap of their sets
of word pairs, a cheap form of Self-BLEU, Zhu et al., arXiv 1802.01886); what is not the commonest answer; and words an
answer. Of one task's rows the last three are ratios of sums, and must have fallen with their whole paired interval too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from harness.results import Marked, TaskResult
from harness.runs.watches import Reading
from harness.stats import difference
from harness.thoughts import answer_of
from harness.types import Metric
from loops.monitors.seen import DRAWS, Seen, fell, reading
from loops.monitors.settings import Watch

APART = Metric(name="not shared with another picture's answer", terms={"apart": 1}, over={"word pairs": 1})
UNCOMMON = Metric(name="not the commonest answer", terms={"uncommon": 1}, over={"answers": 1})
WORDS = Metric(name="words", terms={"words": 1}, over={"answers": 1}, better="neither", percent=False)
BY_ROW = (APART, UNCOMMON, WORDS)


def collapse(rounds: Sequence[Seen], watch: Watch) -> Reading:
    """The newest round against the first, and its checkpoint against the seed model, task by task."""
    first, last = rounds[0].watched, rounds[-1].watched
    figures: dict[str, float | None] = {}
    fallen: list[str] = []

    def compare(name: str, before: float | None, after: float | None, *, by_chance: bool = False) -> None:
        if before is None or after is None:
            return
        figures[f"{name} before"], figures[f"{name} after"] = before, after
        if after < watch.variety * before and not by_chance:
            fallen.append(f"{name} {after:.3g}, before {before:.3g}")

    at_first, now = _of_data(rounds[min(1, len(rounds) - 1)].data), _of_data(rounds[-1].data)
    for name, share in now.items():
        compare(name, at_first.get(name), share)
    for task, result in first.items():
        before, after = _counted(result), _counted(last[task])
        compare(f"{task} distinct-2", _distinct(before), _distinct(after))
        for name, moved in difference(before, after, BY_ROW, draws=DRAWS).items():
            compare(f"{task} {name}", moved.a, moved.b, by_chance=not fell(moved))
    if not figures:
        return reading("collapse", None, "nothing is watched", {})
    if fallen:
        return reading("collapse", True, f"under {watch.variety:.0%} of before: {'; '.join(fallen)}", figures)
    return reading("collapse", False, f"data and answers keep {watch.variety:.0%} of their variety and more", figures)


def _of_data(data: Mapping[str, float]) -> dict[str, float]:
    """What the stages counted, as shares of the groups that were collected."""
    groups = data.get("groups", 0)
    rows = next((data[name] for name in ("pairs", "survivors") if name in data), None)
    shares = {"yield": rows, "groups whose answers differ": data.get("differing")}
    return {name: count / groups for name, count in shares.items() if count is not None and groups}


def _counted(result: TaskResult) -> list[Marked]:
    """The rows with what `BY_ROW` counts. An answer is held against the next one, in the order of ids, to another
    picture."""
    rows = sorted(result.rows, key=lambda row: row.id)
    words = [_words(row) for row in rows]
    commonest = Counter(words).most_common(1)[0][0]
    counted = []
    for place, row in enumerate(rows):
        after = (*range(place + 1, len(rows)), *range(place))
        other = next((words[later] for later in after if rows[later].cluster != row.cluster), ())
        own = set(pairwise(words[place]))
        counts = {
            "apart": len(own - set(pairwise(other))),
            "word pairs": len(own),
            "uncommon": int(words[place] != commonest),
            "words": len(words[place]),
            "answers": 1,
        }
        counted.append(replace(row, counts=counts, group=None))
    return counted


def _distinct(rows: Sequence[Marked]) -> float | None:
    """Different word pairs of all answers, of all word pairs; None where no answer has two words."""
    pairs = [pair for row in rows for pair in pairwise(_words(row))]
    return len(set(pairs)) / len(pairs) if pairs else None


def _words(row: Marked) -> tuple[str, ...]:
    return tuple(answer_of(row.answer).answer.lower().split())
