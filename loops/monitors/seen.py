"""What monitors are shown of a round, and the words in which they say what they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.results import Marked, TaskResult
from harness.runs.watches import Reading
from harness.stats import Difference, difference
from harness.types import Metric
from loops.monitors.settings import Monitor, Watch

REWARD = Metric(name="watch/reward", terms={"watch/reward": 1}, over={"watch/judged": 1}, percent=False)
"""What the recipe's verifier gives an answer, the mean over those that it has an opinion of."""

CONFIDENCE, RIGHT = "watch/confidence", "watch/right"
"""Counts of a question that is decided between a few answers: the probability of the likeliest among them (softmax of
their log-likelihoods), and whether it is right."""

OVERCONFIDENCE = Metric(
    name="watch/overconfidence", terms={CONFIDENCE: 1, RIGHT: -1}, over={"watch/sure": 1}, better="neither"
)
"""Mean confidence minus accuracy."""

DRAWS = 2_000
"""Of a reading: it is an alarm, and is read after every round."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A checkpoint as it was watched: round `number` (0: the seed model), its marked answers by task, and what the
    stages counted of the data that it was trained on, none of the seed. `guarded` are the tasks that are watched for
    forgetting alone."""

    number: int
    results: Mapping[str, TaskResult]
    data: Mapping[str, float] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset()

    @property
    def watched(self) -> dict[str, TaskResult]:
        """The tasks that every monitor looks at."""
        return {name: result for name, result in self.results.items() if name not in self.guarded}


def choosing_task(seen: Seen, watch: Watch) -> str | None:
    """The task by whose headline checkpoints are chosen: `watch.choose_by`, or the first; None where there is none."""
    return watch.choose_by if watch.choose_by in seen.watched else next(iter(seen.watched), None)


Read = Callable[[Sequence[Seen], Watch], Reading]
"""A monitor: of the rounds from the seed on, up to the one that was just trained, and the recipe's thresholds."""


def headline_of(result: TaskResult) -> Metric:
    return next(metric for metric in result.metrics if metric.name == result.headline)


def headline_difference(before: TaskResult, after: TaskResult) -> Difference:
    """The task's headline, after minus before, paired by sample."""
    return difference(before.rows, after.rows, after.metrics, draws=DRAWS)[after.headline]


def counted_difference(
    before: TaskResult, after: TaskResult, metric: Metric, count: Callable[[Marked], Mapping[str, float]]
) -> Difference:
    """A metric of counts that a monitor makes of a row itself, after minus before, paired by sample."""
    left, right = ([replace(row, counts=count(row)) for row in result.rows] for result in (before, after))
    return difference(left, right, [metric], draws=DRAWS)[metric.name]


def rose(moved: Difference) -> bool:
    """Whether the whole interval lies above 0."""
    return moved.low is not None and moved.low > 0


def fell(moved: Difference) -> bool:
    """Whether the whole interval lies below 0."""
    return moved.high is not None and moved.high < 0


def worsened(moved: Difference, metric: Metric) -> bool:
    return {"higher": fell, "lower": rose}.get(metric.better, lambda _: False)(moved)


def improved(moved: Difference, metric: Metric) -> bool:
    return {"higher": rose, "lower": fell}.get(metric.better, lambda _: False)(moved)


def figures_of(name: str, moved: Difference) -> dict[str, float | None]:
    """A difference as a reading's figures: the seed model's figure, the checkpoint's, and what lies between."""
    return {
        f"{name} before": moved.a,
        f"{name} after": moved.b,
        f"{name} difference": moved.value,
        f"{name} low": moved.low,
        f"{name} high": moved.high,
    }


def in_words(name: str, moved: Difference, metric: Metric) -> str:
    """A difference in a sentence: percentages in points."""
    scale, digits = (100, 1) if metric.percent else (1, 2)

    def shown(value: float | None) -> str:
        return "0/0" if value is None else f"{value * scale:+.{digits}f}"

    return f"{name} {shown(moved.value)} [{shown(moved.low)}, {shown(moved.high)}]"


def reading(monitor: Monitor, fired: bool | None, why: str, figures: Mapping[str, float | None]) -> Reading:
    return Reading(monitor=monitor, fired=fired, why=why, figures=dict(figures))
