"""Where there is too little to go by: pictures, and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.results import Marked
from harness.stats.resample import FEW_CLUSTERS, Plan, cluster_names
from harness.types import Metric

FEW_EVENTS = 20
"""Under so many events, or non-events, bootstrap intervals of differences are too narrow (`strop calibrate`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Supply:
    """What a headline rests on: pictures, and events, which are what the metric counts or what it does not, whichever
    is rarer; of several sides the fewest, of a mean of metrics those of its scarcest part. `events` is None for what is
    no share."""

    metric: str
    pictures: int
    events: int | None


def supply(sides: Sequence[Sequence[Marked]], metrics: Sequence[Metric], headline: str) -> Supply:
    """The supply of the metric `headline`, which is one of `metrics`."""
    plan = Plan.of(metrics)
    index = [metric.name for metric in metrics].index(headline)
    clusters = cluster_names(row for rows in sides for row in rows)
    totals = [plan.table(rows, clusters).sums().sum(axis=0) for rows in sides]
    parts = plan.leaves(index)
    counted = [(float(sums @ plan.numerators[:, leaf]), float(sums @ plan.denominators[:, leaf]))
               for sums in totals for leaf in parts]  # fmt: skip
    share = metrics[index].percent and all(0 <= above <= below for above, below in counted)
    events = min(min(above, below - above) for above, below in counted) if share and counted else None
    return Supply(metric=headline, pictures=len(clusters), events=None if events is None else round(events))


def scarcity_notes(supplies: Mapping[str, Supply]) -> list[str]:
    """What to say of tasks with few pictures, and of those with few events."""
    notes = []
    pictures = [f"{task}: {each.pictures} pictures" for task, each in supplies.items() if each.pictures < FEW_CLUSTERS]
    if pictures:
        notes.append(
            f"{', '.join(pictures)}. Under {FEW_CLUSTERS} the bootstrap's intervals are too narrow "
            "and its p too small (`strop calibrate` shows by how much)."
        )
    events = [
        f"{task}: {each.events} events in {each.metric}"
        for task, each in supplies.items()
        if each.events is not None and each.events < FEW_EVENTS
    ]
    if events:
        notes.append(
            f"{', '.join(events)} (what is counted or what is not, whichever is rarer). Under {FEW_EVENTS} a figure's "
            "interval is wide, and that of a difference, which is bootstrapped, too narrow."
        )
    return notes
