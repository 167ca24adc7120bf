"""Published figures beside measured ones: which belong together, and which lie outside the measured interval.

Yardsticks (`harness.yardsticks`) name the tasks that a published figure is comparable with, so a benchmark of the
embedded world is never held against the real one that it is modelled on; nor are results of the right name on other
questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.results import TaskResult
from harness.stats import Estimate
from harness.types import Metric
from harness.yardsticks import Yardstick
from leaderboards.render import NOTHING, Cell, Row, Section, Table, csv_of, estimate_text, exact
from leaderboards.reported import STAGES, Reported, paired

CAPTION = (
    "Published figures as they were printed, with their sources, beside what was measured here. Inside means that the "
    "published figure lies in the measured 95 % interval, its ends included; outside, above and outside, below say on "
    "which side of it. The interval is over other test pictures and knows nothing of the published figure's own error, "
    "nor of the prompts, decoding and readers that differ between papers, so outside asks for a look and is no test. "
    "For CHAIR the pictures differ too, and the published figures come without the recall that they are bought with."
)

CROPPED = (
    "Where pictures were cropped, the model's processor cut them to their middle squares: LLaVA-1.5's published "
    "figures are of whole pictures, padded, and so of another measurement."
)

ALONE = "the model alone"
"""Stands where a figure has no system: nothing was done to the model."""

_WORDS = {"inside": "inside", "above": "outside, above", "below": "outside, below", "": "no interval"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A row of a board with the results behind one of its tasks; `label` is the task's name on the board, `sight` what
    the model was shown of pictures (`harness.models.frames`; empty where that is not known)."""

    row: Row
    task: TaskResult
    label: str
    sight: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Published figures, and the yardsticks that say which measures of tasks they may stand beside."""

    figures: Sequence[Reported]
    yardsticks: Sequence[Yardstick]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One measure of one task: the measured rows and the published figures by name, as fractions."""

    label: str
    metric: Metric
    measured: tuple[tuple[str, Estimate], ...]
    published: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What a board shows of published figures: a section a task, the same as comparisons to draw and as CSV, and what
    was not set beside."""

    sections: tuple[Section, ...]
    comparisons: tuple[Comparison, ...]
    csv: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Match:
    measured: Measured
    yardstick: Yardstick
    cell: Cell
    estimate: Estimate


def set_beside(measured: Sequence[Measured], published: Published) -> Beside:
    """Match measured rows with published figures; `notes` lists what has no match, in one line if nothing has."""
    figures, matches = published.figures, list[_Match]()
    refusals: dict[str, None] = {}
    for measurement in measured:
        for yardstick in published.yardsticks:
            cell = measurement.row.cells.get((measurement.label, yardstick.metric))
            if yardstick.task != measurement.task.task or cell is None or cell.estimate is None:
                continue
            reason = yardstick.refusal(measurement.task, cell.estimate.n)
            if reason is None:
                matches.append(_Match(measured=measurement, yardstick=yardstick, cell=cell, estimate=cell.estimate))
            else:
                refusals[f"{measurement.row.run}, {measurement.task.task}: {reason}"] = None
    sections = tuple(_sections(matches, figures))
    return Beside(
        sections=(Section(title="Published figures", words=(CAPTION,)), *sections) if sections else (),
        comparisons=tuple(_comparisons(matches, figures)),
        csv=_csv(matches, figures),
        notes=tuple(_notes(measured, matches, list(refusals), published.yardsticks)),
    )


def position(published: float, estimate: Estimate) -> str:
    """Where a published fraction lies: "inside" (ends included), "above" or "below", "" without an interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return "below" if published < estimate.low else "above" if published > estimate.high else "inside"


def listing(figures: Sequence[Reported]) -> tuple[Section, ...]:
    """The published figures themselves, a section a benchmark, before and after on one line."""
    benchmarks = dict.fromkeys(figure.benchmark for figure in figures)
    return tuple(
        Section(title=name, words=(), table=_claims([figure for figure in figures if figure.benchmark == name]))
        for name in benchmarks
    )


def _claims(figures: Sequence[Reported]) -> Table:
    lines = []
    for stages in paired(figures):
        claim, *_ = stages.values()
        printed = [stages[stage].printed if stage in stages else NOTHING for stage in STAGES]
        sources, kinds, notes = (
            "; ".join(dict.fromkeys(str(getattr(figure, name)) for figure in stages.values()))
            for name in ("source", "source_kind", "note")
        )
        lines.append((*_what(claim), *printed, sources, kinds, notes))
    heading = ("system", "model", "variant", "metric", *STAGES, "source", "kind of source", "note")
    return Table(heading=heading, lines=tuple(lines))


def _sections(matches: Sequence[_Match], figures: Sequence[Reported]) -> Iterable[Section]:
    for label in dict.fromkeys(match.measured.label for match in matches):
        here = [match for match in matches if match.measured.label == label]
        # A row of the board is one object however many of its metrics are matched.
        rows = list({id(match.measured.row): match.measured.row for match in here}.values())
        lines = []
        for yardstick in dict.fromkeys(match.yardstick for match in here):
            cells = {id(match.measured.row): match for match in here if match.yardstick == yardstick}
            for figure in _published(yardstick, figures):
                marks = [_mark(cells.get(id(row)), figure) for row in rows]
                source = (figure.source, figure.source_kind, figure.note)
                lines.append((*_what(figure), figure.stage, figure.printed, *marks, *source))
        cropped = {id(match.measured.row) for match in here if match.measured.sight == "cropped"}
        names = [", ".join([*_name(row), *(["pictures cropped"] if id(row) in cropped else [])]) for row in rows]
        heading = ("system", "model", "variant", "metric", "stage", "published", *names)
        task = here[0].measured.task
        yield Section(
            title=f"Reported beside {label}",
            words=(
                f"Measured as version {task.version}, profile {task.profile}, split {task.split}.",
                *((CROPPED,) if cropped else ()),
            ),
            table=Table(heading=(*heading, "source", "kind of source", "note"), lines=tuple(lines)),
        )


def _comparisons(matches: Sequence[_Match], figures: Sequence[Reported]) -> Iterable[Comparison]:
    for label, yardstick in dict.fromkeys((match.measured.label, match.yardstick) for match in matches):
        here = [match for match in matches if (match.measured.label, match.yardstick) == (label, yardstick)]
        yield Comparison(
            label=label,
            metric=here[0].cell.metric,
            measured=tuple((", ".join(_name(match.measured.row)), match.estimate) for match in here),
            published=tuple(
                (
                    ", ".join(word for word in (figure.system, figure.model, figure.variant, figure.stage) if word),
                    figure.fraction,
                )
                for figure in _published(yardstick, figures)
            ),
        )


def _notes(
    measured: Sequence[Measured], matches: Sequence[_Match], refusals: Sequence[str], yardsticks: Sequence[Yardstick]
) -> list[str]:
    covered = dict.fromkeys(yardstick.task for yardstick in yardsticks)
    uncovered = dict.fromkeys(measurement.task.task for measurement in measured if measurement.task.task not in covered)
    reasons = [*refusals]
    if uncovered:
        reasons.append(f"none are on {', '.join(uncovered)} (only on {', '.join(covered)})")
    if matches:
        return [f"No published figures beside some results: {reason}." for reason in reasons]
    why = "; ".join(reasons) or "it measures none of the metrics that they are in"
    return [f"No published figures beside this board: {why}."]


def _csv(matches: Sequence[_Match], figures: Sequence[Reported]) -> str:
    """A line for each measured figure and published figure beside it; fractions, and the published one as printed."""
    heading = (
        "run seed round model weights task version profile split metric n value low high place published printed unit "
        "better system published_model variant stage benchmark published_metric source source_kind note"
    )
    return csv_of(
        heading.split(),
        [
            (*_measured(match), position(figure.fraction, match.estimate), exact(figure.fraction), figure.value,
             figure.unit, figure.better, figure.system, figure.model, figure.variant, figure.stage, figure.benchmark,
             figure.metric, figure.source, figure.source_kind, figure.note)
            for match in matches for figure in _published(match.yardstick, figures)
        ],
    )  # fmt: skip


def _measured(match: _Match) -> tuple[object, ...]:
    row, task, estimate = match.measured.row, match.measured.task, match.estimate
    who = (row.run, " ".join(row.seeds), "" if row.round is None else row.round, row.model, row.digest)
    what = (task.task, task.version, task.profile, task.split, match.yardstick.metric)
    return *who, *what, estimate.n, exact(estimate.value), exact(estimate.low), exact(estimate.high)


def _published(yardstick: Yardstick, figures: Sequence[Reported]) -> list[Reported]:
    benchmark_metric = (yardstick.benchmark, yardstick.published)
    return [figure for figure in figures if (figure.benchmark, figure.metric) == benchmark_metric]


def _mark(match: _Match | None, figure: Reported) -> str:
    if match is None:
        return NOTHING
    return f"{estimate_text(match.cell)} {_WORDS[position(figure.fraction, match.estimate)]}"


def _what(figure: Reported) -> tuple[str, ...]:
    direction = {"higher": " ↑", "lower": " ↓"}[figure.better]
    return figure.system or ALONE, figure.model, figure.variant or NOTHING, figure.metric + direction


def _name(row: Row) -> list[str]:
    """What a column of measured figures is called: the run, and what tells its rows apart."""
    number = [] if row.round is None else [f"round {row.round}"]
    return [row.run, *(f"seed {seed}" for seed in row.seeds), *number]
