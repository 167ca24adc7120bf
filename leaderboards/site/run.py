"""A run's page: every metric over its rounds, what the stages cost and found, the recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from harness.runs.reading import Stage, cost_names
from harness.stats import Estimate
from harness.types import Metric
from leaderboards.build import Entry
from leaderboards.charts import Point, Series, rounds_drawing
from leaderboards.render import MEANINGS, NOTHING, Board, Cell, Row, TaskView, arrow, interval
from leaderboards.site.cells import Figure, bounds, on_axis, shown
from leaderboards.site.folder import Chart, Link, SiteFolder
from leaderboards.watched import monitor_sections


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """A run with the rows that the board gives it, by round, and the word that its files are called by."""

    entry: Entry
    slug: str
    rows: Mapping[int | None, Row]

    @property
    def href(self) -> str:
        return f"run-{self.slug}.html"

    @property
    def family(self) -> str:
        """The model that it started from."""
        first, *_ = self.rows.values()
        return str(self.entry.run.recipe.get("model") or first.model)

    @property
    def title(self) -> str:
        seed = self.entry.run.seed
        return self.entry.name if seed is None else f"{self.entry.name}, seed {seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    metric: str
    meaning: str
    headline: bool
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    label: str
    words: str
    charts: tuple[Chart, ...]
    lines: tuple[_Line, ...]
    others: tuple[_Line, ...]
    samples: Link | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _StageLine:
    name: str
    cost: tuple[str, ...]
    facts: str
    finished: str


def write_run(folder: SiteFolder, page: RunPage, board: Board, browsers: Mapping[str, Link]) -> None:
    """Write the page of a run; `browsers` are the sample browsers by task label."""
    run = page.entry.run
    tasks = [view for view in board.tasks if any((view.label, view.headline.name) in row.cells for row in _all(page))]
    folder.page(
        page.href,
        "run.html.jinja",
        page=page,
        run=run,
        rounds=list(page.rows.items()),
        tasks=[_task(folder, page, view, number, browsers) for number, view in enumerate(tasks, start=1)],
        cost_names=[name.replace("_", " ") for name in cost_names(run.stages)],
        stages=[_stage(stage, cost_names(run.stages)) for stage in run.stages],
        total=_duration(sum(stage.cost.get("seconds", 0.0) for stage in run.stages)),
        monitors=monitor_sections([(page.entry.name, run)]),
        recipe=_yaml(run.recipe),
        provenance=_yaml(list(run.rounds.values())[-1].provenance),
        notes=[note for note in board.notes if note.startswith((f"{page.entry.name}:", f"{page.entry.name},"))],
    )


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True) if content else ""


def _all(page: RunPage) -> Iterable[Row]:
    return page.rows.values()


def _task(folder: SiteFolder, page: RunPage, view: TaskView, number: int, browsers: Mapping[str, Link]) -> _Task:
    overall = [
        metric for metric in view.metrics if metric.name.startswith(("macro/", "pooled/")) and metric not in view.shown
    ]
    first = (*view.shown, *overall)
    charts = []
    for index, metric in enumerate(first):
        cells = {
            round_: (cell, cell.estimate)
            for round_, row in page.rows.items()
            if round_ is not None and (cell := row.cells.get((view.label, metric.name))) and cell.estimate
        }
        if len(cells) > 1 and any(
            estimate.value or estimate.high for _, estimate in cells.values()
        ):  # not of zeros alone
            charts.append(_chart(folder, f"{page.slug}-{number}-{index}", metric, cells))
    return _Task(
        label=view.label,
        words=f"Version {view.version}, profile {view.profile}, split {view.split}; headline {view.headline.name}.",
        charts=tuple(charts),
        lines=tuple(_line(page, view, metric) for metric in first),
        others=tuple(_line(page, view, metric) for metric in view.metrics if metric not in first),
        samples=browsers.get(view.label),
    )


def _line(page: RunPage, view: TaskView, metric: Metric) -> _Line:
    return _Line(
        metric=metric.name + arrow(metric),
        meaning=MEANINGS.get(metric.name, ""),
        headline=metric == view.headline,
        figures=tuple(shown(row.cells.get((view.label, metric.name))) for row in _all(page)),
    )


def _chart(folder: SiteFolder, name: str, metric: Metric, cells: Mapping[int, tuple[Cell, Estimate]]) -> Chart:
    points, words = [], []
    for number, (cell, estimate) in cells.items():
        if estimate.value is None:
            continue
        low, high = bounds(estimate.low, estimate.high, metric) or (None, None)
        points.append(Point(round=number, value=on_axis(estimate.value, metric), low=low, high=high))
        words.append(f"round {number}: {shown(cell).value} {interval(estimate.low, estimate.high, metric)}".rstrip())
    title = f"{metric.name}{', %' if metric.percent else ''}{arrow(metric)}"
    return folder.chart(
        name, rounds_drawing([Series(style=0, points=points)]), title=title, words=f"{metric.name}. {'; '.join(words)}."
    )


def _stage(stage: Stage, costs: Sequence[str]) -> _StageLine:
    return _StageLine(
        name=stage.name,
        cost=tuple(_amount(stage.cost.get(name)) for name in costs),
        facts=" · ".join(f"{name} {_amount(value)}" for name, value in stage.facts.items()),
        finished=stage.finished.replace("T", " ")[:16],
    )


def _amount(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
