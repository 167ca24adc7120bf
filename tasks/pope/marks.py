"""POPE: is this object in the picture? Marks of yes/no answers, and their metrics.

Protocol: COCO val2014, 500 images with 6 questions each, half of them yes, in three categories that differ in how the
absent objects were chosen (random, popular, adversarial). Published figures are now one split's accuracy, now a pooled
F1, now the mean of three F1 (LLaVA's headline), so all of them are given, with the reader's name beside them.
Source: AoiDragon/POPE; the four ways to count an unreadable answer are stated at `score_pope`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import DataError, UsageError
from harness.profiles import PLAIN
from harness.types import Metric, Score
from tasks.reading.readers import YES_NO_PROFILES, YesNo

NAME = "pope"
VERSION = 2
HEADLINE = "macro/f1"

REPLICAS = frozenset(YES_NO_PROFILES) - {PLAIN}
"""The profiles that read what somebody else's script reads, thoughts and all (`harness.types.Replicating`)."""


def pope_metrics(groups: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics of POPE for these categories, as fractions over `Score.counts`.

    For each group and for "pooled" (all rows together): accuracy, precision, recall, f1 (positive class yes), yes_ratio
    (share of answers read as yes) and unread; then, of more than one group, `macro/accuracy` and `macro/f1`, the plain
    means over them.
    lmms-eval prints the gold's share of yes under the name of yes_ratio; here it is the answers' under every profile.
    """
    of_groups = [metric for group in groups for metric in _split_metrics(group, group)]
    parts = ("accuracy", "f1") if len(groups) > 1 else ()
    macro = [
        Metric(name=f"macro/{measure}", macro=tuple(f"{group}/{measure}" for group in groups)) for measure in parts
    ]
    return (*of_groups, *macro, *_split_metrics("pooled", None))


def score_pope(target: str, answer: str, profile: str = "strict") -> Score:
    """Mark one answer; `target` is "yes" or "no", `profile` one of `tasks.reading.readers.YES_NO_PROFILES`.

    An answer that was read counts the same everywhere. One that was not is wrong for accuracy and
    lmms-eval: in none of TP, FP, TN, FN, which flatters precision, recall and F1;
    vlmeval: a "no" for F1, so FN or TN by the gold (though a TN here earns no accuracy);
    strict: FN where the gold is yes, nothing where it is no, so nothing can be gained by being unreadable;
    official: does not occur, that reader reads everything.
    Source: protocols, POPE, last column of the table of readers. Raises `UsageError` for an unknown profile and
    `DataError` for a target that is neither yes nor no.
    """
    if profile not in YES_NO_PROFILES:
        raise UsageError(f"POPE has no profile '{profile}'; it has {', '.join(YES_NO_PROFILES)}")
    if target not in ("yes", "no"):
        raise DataError(f"the gold answer of a POPE question is yes or no, not {target!r}")
    read = YES_NO_PROFILES[profile](answer)
    right = read == target
    counts = dict.fromkeys(("asked", "right", "tp", "fp", "tn", "fn", "yes", "unread", "gold_yes"), 0)
    counts |= {"asked": 1, "right": int(right), "yes": int(read == "yes")}
    counts |= {"unread": int(read is None), "gold_yes": int(target == "yes")}
    cell = _cell(target, read, profile)
    if cell is not None:
        counts[cell] = 1
    return Score(value=float(right), parsed=read, counts=counts)


def headline(categories: Sequence[str]) -> str:
    """The metric that stands for these categories: the mean of their F1, or the only one's own."""
    return HEADLINE if len(categories) > 1 else f"{categories[0]}/f1"


def _split_metrics(name: str, group: str | None) -> list[Metric]:
    def ratio(measure: str, terms: Mapping[str, float], over: Mapping[str, float], better: str = "higher") -> Metric:
        return Metric(name=f"{name}/{measure}", terms=terms, over=over, group=group, better=better)

    return [
        ratio("accuracy", {"right": 1}, {"asked": 1}),
        ratio("precision", {"tp": 1}, {"tp": 1, "fp": 1}),
        ratio("recall", {"tp": 1}, {"tp": 1, "fn": 1}),
        ratio("f1", {"tp": 2}, {"tp": 2, "fp": 1, "fn": 1}),
        ratio("yes_ratio", {"yes": 1}, {"asked": 1}, "neither"),
        ratio("unread", {"unread": 1}, {"asked": 1}, "lower"),
    ]


def _cell(target: str, read: YesNo | None, profile: str) -> str | None:
    """The cell of the confusion table that an answer falls into, if any; yes is the positive class."""
    if read is None and profile == "vlmeval":
        read = "no"
    if read is None:
        return "fn" if profile == "strict" and target == "yes" else None
    if read == "yes":
        return "tp" if target == "yes" else "fp"
    return "fn" if target == "yes" else "tn"
