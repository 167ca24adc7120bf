"""A board's words and numbers: Markdown, CSV and one static HTML page from the same records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.stats import Difference, Estimate, PooledDifference
from harness.types import Metric
from leaderboards.charts import SERIES_STYLES, Point, Series, rounds_chart

NOTHING = "–"

CAPTION = (
    "A row is a checkpoint, or with several seeds the mean of their checkpoints. Run, seed and round say where it "
    "comes from (round 0 is the model before the loop); weights are the first 12 digits of their digest (or that of an "
    "answer file or a served name, where weights are not known); level follows from who judged (L0 gold, L3 an "
    "external encoder, control nobody; it is told where the encoder learnt from gold of the same world); verifier is "
    "who judged the candidates. A figure stands with its 95 % interval over "
    "test pictures in brackets (Wilson's for shares, with as many trials as the pictures are worth), "
    "percentages as such. Δ is the difference to round 0 of the same run in points, paired by sample, with its own "
    "interval; p is two-sided and corrected after Holm for all headline differences shown here, pooled rows apart. ↑ "
    "means higher is better, ↓ lower."
)

RATIO = (
    "The ratio is that of the standard deviation between training runs to one run's standard error over pictures: far "
    "above 1, runs differ more than pictures do, and only more runs make the interval narrower."
)

POOLED_CAPTION = (
    "Pooled rows: Δ is the mean over seeds; the interval in brackets is of a t over runs and pictures and speaks of "
    "the next training run; the one in braces resamples pictures only and speaks of these checkpoints. "
    f"{RATIO} Of n runs p is never below 2^(1 − n). Their figures are means over seeds, without an interval of their "
    "own."
)


MEANINGS = {
    "CHAIRs": "captions with an object that is not there, of all captions",
    "CHAIRi": "mentions of objects that are not there, of all mentions",
    "frontier/CHAIRi": "CHAIRi where this round and round 0 reach one recall, each less the sentences that it is least "
    "sure of itself: saying less does not lower it",
    "frontier/precision": "precision where this round and round 0 reach one recall, each less the sentences that it is "
    "least sure of itself: saying less does not raise it",
    "frontier/AP": "average precision over recall, from 0 to what both reach, sentences ranked by the model's own "
    "log-probability",
    "recall": "objects of the picture that are named",
    "precision": "named objects that are there",
    "f1": "harmonic mean of precision and recall",
    "words": "words an answer",
    "repeated": "mentions of an object already named, of all mentions",
    "IoU": "area that the named and the true box share, of all that they cover",
    "unread": "answers that no rule could read; never guessed",
}
"""What the companion metrics of a task mean, for the line above its table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One metric of one row. `estimate` is None for a figure that exists as a difference only. `holm` is the corrected
    p of a headline's difference; not `testable` where it could not have been below 0.05, whatever the answers."""

    metric: Metric
    estimate: Estimate | None
    difference: Difference | None = None
    holm: float | None = None
    testable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a row's figures come from: whole digests of weights, parent, recipe and each task's data (by label), empty
    where there is none, and `harness.provenance.provenance` of then."""

    weights: str
    parent: str
    recipe: str
    data: Mapping[str, str]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the board; `cells` by task label and metric name. `round` is None for results without a run, `source`
    for pooled rows. `judge` is the one that verified the round's answers, `task_judges` those that marked tasks, by
    label, each with what was measured of it."""

    run: str
    seeds: tuple[str, ...]
    round: int | None
    model: str
    digest: str
    level: str
    verifier: str
    commit: str
    pooled: bool
    cells: Mapping[tuple[str, str], Cell]
    source: Source | None = None
    judge: str = ""
    task_judges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskView:
    """One task as shown: `label` is its name, with what tells it apart where two of one name differ."""

    label: str
    task: str
    version: int
    profile: str
    split: str
    headline: Metric
    shown: tuple[Metric, ...]  # the headline first, then its companions
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CostLine:
    """One finished stage of one run."""

    run: str
    seed: str
    stage: str
    cost: Mapping[str, float]
    finished: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Text in rows; every line is as long as the heading."""

    heading: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of a page: paragraphs, and a table where there is one."""

    title: str
    words: tuple[str, ...]
    table: Table | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """The figures of all runs; `sections` stand after the tasks."""

    rows: tuple[Row, ...]
    tasks: tuple[TaskView, ...]
    notes: tuple[str, ...]
    costs: tuple[CostLine, ...]
    cost_names: tuple[str, ...]
    sections: tuple[Section, ...] = ()


# Numbers as text -----------------------------------------------------------------------------------------------------


def figure(value: float | None, metric: Metric, *, signed: bool = False, digits: int | None = None) -> str:
    """A fraction as people read it: 0.8691 -> 86.9 for a percentage, two decimals otherwise; None as a dash."""
    if value is None:
        return NOTHING
    digits = digits or (1 if metric.percent else 2)
    rounded = round(value * (100 if metric.percent else 1), digits) + 0.0  # no minus before a zero
    return f"{rounded:{'+' if signed and rounded else ''}.{digits}f}".replace("-", "−")


def interval(
    low: float | None,
    high: float | None,
    metric: Metric,
    *,
    signed: bool = False,
    digits: int | None = None,
    ends: str = "[]",
) -> str:
    """[low, high], or nothing where there is no interval."""
    if low is None or high is None:
        return ""
    below, above = (figure(bound, metric, signed=signed, digits=digits) for bound in (low, high))
    return f"{ends[0]}{below}, {above}{ends[1]}"


def probability(p: float | None) -> str:
    """p with as many digits as mean anything."""
    if p is None:
        return NOTHING
    if p < 0.0001:
        return "<0.0001"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def arrow(metric: Metric) -> str:
    return {"higher": " ↑", "lower": " ↓"}.get(metric.better, "")


def estimate_text(cell: Cell | None) -> str:
    if cell is None:
        return NOTHING
    if cell.estimate is None:
        return figure(cell.difference.b if cell.difference else None, cell.metric)
    bounds = interval(cell.estimate.low, cell.estimate.high, cell.metric)
    return f"{figure(cell.estimate.value, cell.metric)} {bounds}".rstrip()


def difference_text(cell: Cell | None) -> str:
    """The difference with its intervals, and p where it belongs to the headline family."""
    if cell is None or cell.difference is None:
        return NOTHING
    difference = cell.difference
    words = [
        figure(difference.value, cell.metric, signed=True),
        interval(difference.low, difference.high, cell.metric, signed=True),
    ]
    if isinstance(difference, PooledDifference):
        words += [
            interval(difference.fixed_low, difference.fixed_high, cell.metric, signed=True, ends="{}"),
            runs_text(difference),
        ]
    if cell.holm is not None:
        words.append(f"p {probability(cell.holm)}{'' if cell.testable else ', not testable'}")
    return " ".join(word for word in words if word)


def runs_text(difference: Difference) -> str:
    """How many training runs are pooled, and their ratio (`RATIO`); blank for one."""
    if not isinstance(difference, PooledDifference):
        return ""
    return f"{len(difference.seeds)} runs" + ("" if difference.ratio is None else f", ratio {difference.ratio:.1f}")


# Tables --------------------------------------------------------------------------------------------------------------


def _overview(board: Board) -> Table:
    heading = ["run", "seed", "round", "model", "weights", "level", "verifier"]
    for task in board.tasks:
        heading += [f"{task.label} {task.headline.name}{arrow(task.headline)}", "Δ"]
    lines = []
    for row in board.rows:
        line = [*who(row), row.model, row.digest, row.level or NOTHING, row.verifier or NOTHING]
        for task in board.tasks:
            cell = row.cells.get((task.label, task.headline.name))
            line += [estimate_text(cell), difference_text(cell)]
        lines.append(tuple(line))
    return Table(heading=tuple(heading), lines=tuple(lines))


def _task_table(board: Board, task: TaskView) -> Table:
    heading = ["run", "seed", "round", "n"]
    for metric in task.shown:
        heading += [metric.name + arrow(metric), "Δ"]
    lines = []
    for row in board.rows:
        cells = [row.cells.get((task.label, metric.name)) for metric in task.shown]
        if any(cells):
            line = [*who(row), _samples(cells[0])]
            for cell in cells:
                line += [estimate_text(cell), difference_text(cell)]
            lines.append(tuple(line))
    return Table(heading=tuple(heading), lines=tuple(lines))


def _cost_table(board: Board) -> Table:
    return Table(
        heading=("run", "seed", "stage", *(name.replace("_", " ") for name in board.cost_names), "finished"),
        lines=tuple(
            (line.run, line.seed or NOTHING, line.stage, *(_amount(line.cost.get(name)) for name in board.cost_names),
             line.finished)
            for line in board.costs
        ),
    )  # fmt: skip


def who(row: Row) -> list[str]:
    """Run, seed and round as a board's first cells."""
    number = NOTHING if row.round is None else str(row.round)
    name = f"{row.run} (mean of {len(row.seeds)} seeds)" if row.pooled else row.run
    return [name, ", ".join(row.seeds) or NOTHING, number]


def _samples(cell: Cell | None) -> str:
    if cell is None:
        return NOTHING
    return str(cell.estimate.n if cell.estimate else cell.difference.n if cell.difference else NOTHING)


def _amount(value: float | None) -> str:
    if value is None:
        return NOTHING
    return str(int(value)) if float(value).is_integer() else f"{value:.1f}"


# Files ---------------------------------------------------------------------------------------------------------------


def markdown(board: Board) -> str:
    """board.md; all that may differ between two builds from the same results stands under its last heading, Cost."""
    parts = ["# Board", CAPTION, *_pooled_caption(board), *_markdown_table(_overview(board))]
    for task in board.tasks:
        parts += [f"## {md(task.label)}", md(_task_words(task)), *_markdown_table(_task_table(board, task))]
    parts += _markdown_sections(board.sections)
    if board.notes:
        parts += ["## Notes", "\n".join(f"- {md(note)}" for note in board.notes)]
    parts += ["## Cost", *(_markdown_table(_cost_table(board)) if board.costs else ["No ledger among these folders."])]
    return "\n\n".join(parts) + "\n"


def csv_text(board: Board) -> str:
    """board.csv: a line for each row, task and metric; fractions, rounded to 6 decimals, empty where there is none."""
    heading = (
        "run seed round pooled model weights level verifier commit task version profile split metric headline better n "
        "value low high seed_value difference difference_low difference_high fixed_low fixed_high ratio p p_holm "
        "only_seed only_round parent recipe data verified_by marked_by"
    )
    lines = []
    for row in board.rows:
        who = (row.run, " ".join(row.seeds), "" if row.round is None else row.round, int(row.pooled), row.model)
        where = (row.digest, row.level, row.verifier, row.commit)
        for task in board.tasks:
            what = (task.task, task.version, task.profile, task.split)
            judges = (row.judge, row.task_judges.get(task.label, ""))
            for metric in task.metrics:
                if cell := row.cells.get((task.label, metric.name)):
                    flags = (metric.name, int(metric.name == task.headline.name), metric.better)
                    lines.append(
                        (*who, *where, *what, *flags, *_csv_figures(cell), *_csv_source(row, task.label), *judges)
                    )
    return csv_of(heading.split(), lines)


def cost_csv(board: Board) -> str:
    """cost.csv: a line for each finished stage of each run."""
    lines = [
        (line.run, line.seed, line.stage, *(line.cost.get(name, "") for name in board.cost_names), line.finished)
        for line in board.costs
    ]
    return csv_of(["run", "seed", "stage", *board.cost_names, "finished"], lines)


def html(board: Board) -> str:
    """board.html: one page without scripts, fonts or pictures from anywhere."""
    return _page(
        "board.html.jinja",
        title="Board",
        captions=[CAPTION, *_pooled_caption(board)],
        overview=_overview(board),
        tasks=[
            {
                "label": task.label,
                "words": _task_words(task),
                "table": _task_table(board, task),
                "chart": chart,
                "legend": legend,
                "axis": _axis(task.headline),
            }
            for number, task in enumerate(board.tasks, start=1)
            for chart, legend in [_chart(board, task, f"chart{number}")]
        ],
        sections=board.sections,
        notes=board.notes,
        costs=_cost_table(board) if board.costs else None,
    )


def sections_markdown(title: str, sections: Sequence[Section]) -> str:
    """A page that is nothing but sections, as Markdown."""
    return "\n\n".join([f"# {md(title)}", *_markdown_sections(sections)]) + "\n"


def sections_html(title: str, sections: Sequence[Section]) -> str:
    """The same page as HTML, in the style of the board."""
    return _page("page.html.jinja", title=title, sections=sections)


def _page(template: str, **content: object) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**content)


def _chart(board: Board, task: TaskView, name: str) -> tuple[Markup | None, list[dict[str, str]]]:
    """The headline over rounds, a line for each run that has rounds, and the legend to it."""
    points: dict[str, list[Point]] = {}
    for row in board.rows:
        cell = row.cells.get((task.label, task.headline.name))
        if row.pooled or row.round is None or cell is None or cell.estimate is None or cell.estimate.value is None:
            continue
        scale = 100 if task.headline.percent else 1
        low, high = (None if bound is None else bound * scale for bound in (cell.estimate.low, cell.estimate.high))
        run = row.run + "".join(f", seed {seed}" for seed in row.seeds)
        points.setdefault(run, []).append(Point(round=row.round, value=cell.estimate.value * scale, low=low, high=high))
    if not any(len(round_points) > 1 for round_points in points.values()):
        return None, []
    drawing = rounds_chart(
        [Series(style=style, points=round_points) for style, round_points in enumerate(points.values())], name=name
    )
    legend = []
    for style, run in enumerate(points):
        colour, _, mark = SERIES_STYLES[style % len(SERIES_STYLES)]
        legend.append({"colour": colour, "mark": mark, "name": run})
    return Markup(drawing), legend  # our own drawing of numbers: the one thing on the page that is not escaped


def _axis(metric: Metric) -> str:
    direction = {"higher": ", higher is better", "lower": ", lower is better"}.get(metric.better, "")
    return f"{metric.name}{' in %' if metric.percent else ''}{direction}, by round, with 95 % intervals"


def _task_words(task: TaskView) -> str:
    words = f"Version {task.version}, profile {task.profile}, split {task.split}; the headline is {task.headline.name}."
    meanings = [f"{metric.name}: {MEANINGS[metric.name]}" for metric in task.shown if metric.name in MEANINGS]
    return " ".join([words, *([f"{'. '.join(meanings)}."] if meanings else [])])


def _pooled_caption(board: Board) -> list[str]:
    return [POOLED_CAPTION] if any(row.pooled for row in board.rows) else []


def _markdown_sections(sections: Sequence[Section]) -> list[str]:
    parts = []
    for section in sections:
        parts += [f"## {md(section.title)}", *(md(words) for words in section.words)]
        parts += _markdown_table(section.table) if section.table else []
    return parts


def _markdown_table(table: Table) -> list[str]:
    lines = [table.heading, tuple("---" for _ in table.heading), *table.lines]
    escaped = [line if line[0] == "---" else tuple(md(text) for text in line) for line in lines]
    return ["\n".join("| " + " | ".join(line) + " |" for line in escaped)]


def md(text: str) -> str:
    """Text that Markdown shows as it is: a model may be called anything."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*_[]|":
        flat = flat.replace(character, "\\" + character)
    return flat


def csv_of(heading: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """CSV with a heading, quoted only where it must be."""
    content = io.StringIO()
    writer = csv.writer(content, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(lines)
    return content.getvalue()


def _csv_figures(cell: Cell) -> tuple[object, ...]:
    estimate, difference = cell.estimate, cell.difference
    pooled = difference if isinstance(difference, PooledDifference) else None
    n = estimate.n if estimate else difference.n if difference else ""
    value = estimate.value if estimate else difference.b if difference else None
    return (
        n,
        exact(value),
        *((exact(estimate.low), exact(estimate.high)) if estimate else ("", "")),
        *(
            (exact(difference.a), exact(difference.value), exact(difference.low), exact(difference.high))
            if difference
            else [""] * 4
        ),
        *((exact(pooled.fixed_low), exact(pooled.fixed_high), exact(pooled.ratio)) if pooled else [""] * 3),
        exact(difference.p) if difference else "",
        exact(cell.holm),
        *((len(difference.only_a), len(difference.only_b)) if difference else ("", "")),
    )


def _csv_source(row: Row, label: str) -> tuple[str, ...]:
    """The first digits of the digests, as those of the weights."""
    source = row.source
    return (
        tuple(digest[:12] for digest in (source.parent, source.recipe, source.data.get(label, "")))
        if source
        else ("",) * 3
    )


def exact(value: float | None) -> str:
    """A fraction as the CSV files have it: 6 decimals, empty for None."""
    return "" if value is None else f"{round(value, 6) + 0.0:.6f}"
