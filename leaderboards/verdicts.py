"""What a comparison says: a verdict for each task from its headline, by rules fixed before anybody looks.

The verdict goes by the bootstrap's p of the headline, corrected after Holm for the number of tasks; the other metrics
are corrected among themselves. Everything is plain values (`strop compare --json`), figures are fractions.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.errors import DataError, UsageError
from harness.results import Marked, Results
from harness.stats import (
    SIGNIFICANT,
    Corrected,
    Difference,
    PooledDifference,
    corrected,
    enough_draws,
    scarcity_notes,
    supply,
    untestable_notes,
)
from harness.thoughts import answer_of
from harness.types import Metric
from leaderboards.doubts import FRONTIER
from leaderboards.paired import TaskPair, names, other_data, other_lengths, pair_tasks, same_answers
from leaderboards.render import figure, interval, probability

NOTHING_SEEN = "no difference seen"

UNTOLD = "cannot be told"
"""Where a side is 0/0 or no p can be given: nothing was seen because there was nothing to look at. And where the side
that is ahead may be so by its silence (`leaderboards.doubts`)."""

NOT_TESTABLE = "not testable"
"""Where p could not have been below 0.05 after Holm's correction, whatever the answers: too few training runs, pictures
or draws for so many figures."""

HEADLINE = ""
"""The name under which a margin is meant for each task's headline."""


def compare_results(
    a: Sequence[Results],
    b: Sequence[Results],
    *,
    draws: int | None = None,
    seed: int = 0,
    margins: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The comparison of two sides, each with a set of results for every training seed, or one for all of them.

    `margins` maps a metric's name (`HEADLINE`: each task's own) to what B may be worse by, in points, or in the
    metric's own unit where it is no percentage. `draws` are as many as the figures that are corrected together need,
    where none are named. Raises `DataError` when no task can be compared and `UsageError` for
    sides of unlike lengths or a margin of a metric that is not there.
    """
    a, b = _matched(a, b)
    draws = draws or enough_draws(sum(len(task.metrics) for task in a[0].tasks))
    pairs = pair_tasks(a, b, draws=draws, seed=seed)
    if not pairs:
        raise DataError(
            f"nothing to compare: A holds {_task_names(a)}, B holds {_task_names(b)}; evaluate both on the same tasks"
        )
    if all(pair.obstacle for pair in pairs):
        raise DataError("nothing to compare: " + "; ".join(str(pair.obstacle) for pair in pairs))
    families = _families(pairs)
    results = {key: result for family in families.values() for key, result in corrected(family).items()}
    tasks = [_task_report(pair, results, margins or {}) for pair in pairs]
    _refuse_unknown_margins(margins or {}, tasks)
    return {
        "draws": draws,
        "training_seeds": len(a),
        "tasks": tasks,
        "tasks_only_a": _only(a, b),
        "tasks_only_b": _only(b, a),
        "notes": [
            *_notes(a, b, pairs),
            *(note for what, family in families.items() for note in untestable_notes(family, what)),
        ],
        "verdict": _overall([task["verdict"] for task in tasks if task["verdict"]]),
        "sentence": _sentence(tasks),
    }


def moved(name: str, report: Mapping[str, Any]) -> str:
    """A difference with its interval, as people read it."""
    metric = shown_as(name, report)
    text = figure(report["value"], metric, signed=True)
    return f"{text} {interval(report['low'], report['high'], metric, signed=True)}".rstrip()


def shown_as(name: str, report: Mapping[str, Any]) -> Metric:
    """The metric that a report's figures are shown as."""
    return Metric(name=name, better=report["better"], percent=report["percent"])


def _matched(a: Sequence[Results], b: Sequence[Results]) -> tuple[Sequence[Results], Sequence[Results]]:
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise UsageError(
            f"A has {len(a)} results and B has {len(b)}: give one for each training seed on both sides, in the same "
            "order, or one for all"
        )
    return [*a] * (len(b) if len(a) == 1 else 1), [*b] * (len(a) if len(b) == 1 else 1)


def _task_names(side: Sequence[Results]) -> str:
    return ", ".join(dict.fromkeys(task.task for results in side for task in results.tasks)) or "no task"


def _only(side: Sequence[Results], other: Sequence[Results]) -> list[str]:
    """Tasks of one side that the other, or one of its training seeds, lacks."""
    return sorted(
        {name for results in side for name in names(results) if any(name not in names(others) for others in other)}
    )


def _families(pairs: Sequence[TaskPair]) -> dict[str, dict[str, Difference]]:
    """Differences by `_key`, in the two families that Holm's correction is for: headlines, which the verdict goes by,
    and all others."""
    families: dict[str, dict[str, Difference]] = {"headlines": {}, "other figures": {}}
    for pair in pairs:
        for name, each in pair.differences.items():
            what = "headlines" if name == pair.a.headline else "other figures"
            families[what][_key(pair.a.task, name)] = each
    return families


def _key(task: str, metric: str) -> str:
    return json.dumps([task, metric])


def _task_report(pair: TaskPair, results: Mapping[str, Corrected], margins: Mapping[str, float]) -> dict[str, Any]:
    report: dict[str, Any] = {"task": pair.a.task, "headline": pair.a.headline, "obstacle": pair.obstacle}
    if pair.obstacle:
        return {**report, "verdict": None, "metrics": {}, "margins": {}, "only_a": [], "only_b": []}
    metrics = {
        metric.name: _metric_report(metric, pair.differences[metric.name], results.get(_key(pair.a.task, metric.name)))
        for metric in pair.metrics
    }
    # what is asked of a metric by its name goes before what is asked of every headline
    asked_margins = {(pair.a.headline if name == HEADLINE else name): margins[name] for name in sorted(margins)}
    headline = pair.differences[pair.a.headline]
    return {
        **report,
        "verdict": metrics[pair.a.headline]["verdict"],
        "metrics": metrics,
        "margins": {
            name: {"margin": margin, "not_worse": _not_worse(name, metrics[name], margin)}
            for name, margin in asked_margins.items()
            if name in metrics
        },
        "only_a": list(headline.only_a),
        "only_b": list(headline.only_b),
    }


def _metric_report(metric: Metric, difference: Difference, result: Corrected | None) -> dict[str, Any]:
    plain = dataclasses.asdict(difference)
    keys = ["a", "b", "value", "low", "high", "p", "n", "se", "mcnemar"]
    keys += ["fixed_low", "fixed_high", "seeds", "df", "ratio"] if isinstance(difference, PooledDifference) else []
    return {
        **{key: plain[key] for key in keys},
        "p_holm": result.p if result else None,
        "detectable": difference.detectable,
        "verdict": _verdict(metric, difference, result),
        "doubt": difference.doubt,
        "better": metric.better,
        "percent": metric.percent,
    }


def _verdict(metric: Metric, difference: Difference, result: Corrected | None) -> str:
    if difference.value is None or result is None:
        return UNTOLD
    if result.p >= SIGNIFICANT:
        return NOTHING_SEEN if result.testable else NOT_TESTABLE
    if metric.better == "neither":
        return "different"
    if difference.doubt:
        return UNTOLD
    return "better" if (difference.value > 0) == (metric.better == "higher") else "worse"


def _not_worse(name: str, report: Mapping[str, Any], margin: float) -> bool | None:
    """Whether the interval's worse end stays inside the margin: a one-sided test at 2.5 %. None without interval, and
    where no draw differs from another: that 20 answers are equal on both sides does not show that others are."""
    if report["better"] == "neither":
        raise UsageError(f"--margin {name}: more of it is neither better nor worse; name a metric with a direction")
    if report["low"] is None or not report["se"]:
        return None
    worse_end = report["low"] if report["better"] == "higher" else -report["high"]
    return bool(worse_end > -margin / (100 if report["percent"] else 1))


def _refuse_unknown_margins(margins: Mapping[str, float], tasks: Sequence[Mapping[str, Any]]) -> None:
    metrics = dict.fromkeys(name for task in tasks for name in task["metrics"])
    for name in margins:
        if name != HEADLINE and name not in metrics:
            near = difflib.get_close_matches(name, metrics, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise UsageError(f"--margin {name}: no task here has this metric{hint} (there are {', '.join(metrics)})")


def _notes(a: Sequence[Results], b: Sequence[Results], pairs: Sequence[TaskPair]) -> list[str]:
    notes = []
    if len(a) == 1 and any(results.parent for results in (*a, *b)):
        notes.append(
            "One training run: intervals and p speak of these weights on other pictures, not of another training run; "
            "compare several training seeds (A1,A2,A3 B1,B2,B3) before believing a small difference."
        )
    unlike = max(len({results.digest for results in side}) for side in (a, b))
    if unlike < len(a):
        notes.append(
            f"{len(a)} training seeds are given, but only {unlike} are different weights: one training run named twice "
            "makes intervals too narrow."
        )
    if len(a) == 2:
        notes.append(
            "2 training seeds: where they differ much, only some 90 in 100 of their 95 % intervals hold "
            "(`strop calibrate --runs 2`); three or more keep what they say."
        )
    notes += same_answers(b[0])
    supplies = {}
    for pair in pairs:
        if pair.obstacle:
            continue
        if words := other_data(pair.a, pair.b):
            notes.append(words)
        shared = {row.id for row in pair.a.rows} & {row.id for row in pair.b.rows}
        sides = [[row for row in side.rows if row.id in shared] for side in (pair.a, pair.b)]
        notes += _always_the_same(pair.a.task, *sides)
        if words := other_lengths(pair.a, pair.b):
            notes.append(words)
        supplies[pair.a.task] = supply(sides, pair.a.metrics, pair.a.headline)
    notes += scarcity_notes(supplies)
    return notes


def _always_the_same(task: str, a: Sequence[Marked], b: Sequence[Marked]) -> Iterator[str]:
    """A warning where one side gives one answer whatever it is shown, and the other does not."""
    texts = [{answer_of(row.answer).answer.strip() for row in rows} for rows in (a, b)]
    for name, own, other in (("A", texts[0], texts[1]), ("B", texts[1], texts[0])):
        if len(own) == 1 < len(other):
            yield f"{task}: all {len(a):,} answers of {name} are the same text, whatever was shown."


def _overall(verdicts: Sequence[str]) -> str:
    decided = set(verdicts) - {NOTHING_SEEN, NOT_TESTABLE, UNTOLD}
    if not decided:
        return next(kind for kind in (NOTHING_SEEN, NOT_TESTABLE, UNTOLD) if kind in verdicts or kind == UNTOLD)
    return decided.pop() if len(decided) == 1 else "mixed"


def _sentence(tasks: Sequence[Mapping[str, Any]]) -> str:
    words = {"better": "B is better", "worse": "B is worse", "different": "B differs"}
    sentences = [
        f"{task['task']}: {words.get(task['verdict'], task['verdict'])} ({_grounds(task)})"
        for task in tasks
        if task["verdict"]
    ]
    return "Verdict. " + "; ".join(sentences) + "."


def _grounds(task: Mapping[str, Any]) -> str:
    name = task["headline"]
    report = task["metrics"][name]
    words = f"{name} {moved(name, report)}, p {probability(report['p_holm'])}"
    if task["verdict"] == NOTHING_SEEN and report["detectable"] is not None:
        seen = figure(report["detectable"], shown_as(name, report))
        words += f"; a true difference of {seen} would be seen four times in five"
    for metric, verdict in task["margins"].items():
        words += f"; {margin_words(metric, verdict)}"
    if report["doubt"]:
        return f"{words}; {report['doubt']}"
    met = next((metric for metric in task["metrics"] if metric.startswith(FRONTIER)), None)
    if met is None:
        return words + _said_less(task)
    matched = task["metrics"][met]
    words += f"; at equal recall, by each side's own sureness, {moved(met, matched)}"
    gained = matched["high"], matched["low"]
    beyond = gained[0] is not None and (gained[0] < 0 if matched["better"] == "lower" else gained[1] > 0)
    if task["verdict"] == "better" and not beyond:
        words += ": A less its least sure sentences may do as well"
    return words


def _said_less(task: Mapping[str, Any]) -> str:
    """A remark where the side that is ahead on what silence lowers recalls less, and no figure at equal recall tells
    whether that is all."""
    recall = task["metrics"].get("recall")
    ahead = {"better": 1, "worse": -1}.get(task["verdict"], 0)
    if not recall or task["headline"] == "recall" or not ahead or recall["low"] is None:
        return ""
    lost = recall["high"] < 0 if ahead > 0 else recall["low"] > 0
    if not lost:
        return ""
    return f"; recall {moved('recall', recall)}: saying less may explain it"


def margin_words(metric: str, verdict: Mapping[str, Any]) -> str:
    """Whether B was shown to be no worse by more than the margin."""
    shown = "shown" if verdict["not_worse"] else "not shown"
    return f"not worse by {verdict['margin']:g} or more on {metric}: {shown} (one-sided 97.5 %)"
