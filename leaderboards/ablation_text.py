"""An ablation as Markdown and CSV, from the records of `leaderboards.ablation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.files import write_text
from harness.stats import SIGNIFICANT, Corrected, Difference, PooledDifference
from harness.types import Metric
from leaderboards.ablation import Ablation, AblationRow, ablate
from leaderboards.costs import LoopCost, Unit, loop_cost_names, units_of
from leaderboards.doubts import FRONTIER
from leaderboards.render import (
    NOTHING,
    RATIO,
    Section,
    Table,
    arrow,
    csv_of,
    exact,
    figure,
    interval,
    probability,
    runs_text,
    sections_markdown,
)

UNTESTABLE = "°"
DIGITS = 2  # cells differ by less than checkpoints of other models do
RATIO_DIGITS = 3


def write_ablation(folder: Path) -> list[Path]:
    """Write ablation.md, ablation.csv and cost.csv into a grid's folder; what was written."""
    ablation = ablate(folder)
    texts = {"ablation.md": ablation_markdown, "ablation.csv": ablation_csv, "cost.csv": loop_csv}
    for name, text in texts.items():
        write_text(folder / name, text(ablation))
    return [folder / name for name in texts]


def ablation_markdown(ablation: Ablation) -> str:
    """ablation.md: a table for each metric shown, a line for each cell; then costs, what was gained for them, and what
    failed or was not run."""
    tables: dict[tuple[str, str], list[AblationRow]] = {shown: [] for shown in ablation.grid.show}
    for row in sorted(ablation.rows, key=lambda row: bool(row.seeds)):  # what nobody trained stands first
        if row.shown:
            tables.setdefault((row.task, row.metric.name), []).append(row)
    tables = {shown: rows for shown, rows in tables.items() if rows}
    sections = [Section(title="How to read it", words=(caption(ablation),))]
    if tables:
        sections.append(overview_section(ablation, list(tables.values())))
    sections += settings_section(ablation)
    sections += [_metric_section(rows) for rows in tables.values()]
    sections += cost_sections(ablation, list(tables.values()))
    if ablation.missing:
        sections.append(missing_section(ablation))
    if ablation.notes:
        sections.append(Section(title="Notes", words=ablation.notes))
    return sections_markdown(f"Ablation {ablation.grid.name}", sections)


def caption(ablation: Ablation) -> str:
    """How the tables are read."""
    return (
        "A row is a cell, its last round, the mean over its training seeds. Δ in points, paired by sample: to the seed "
        f"model, and to the base cell ({ablation.grid.baseline or 'there is none'}), seed by seed. In brackets the "
        "95 % interval over training seeds and pictures, of a t, in braces over pictures only, then how many training "
        f"runs there are and their ratio. {RATIO} p is two-sided, never below 2^(1 − n) with n runs, and corrected "
        "after Holm for all cells: headline metrics among themselves, and the others shown. The corrected interval "
        "holds for all of those differences to the base at once (Bonferroni). ↑ means higher is better, ↓ lower."
    )


def settings_section(ablation: Ablation) -> list[Section]:
    """What settings with a name stand for, where the labels have such names or cells differ in their level."""
    cells = ablation.grid.cells
    if not any("setting" in cell.label for cell in cells) and len({cell.level for cell in cells}) < 2:
        return []
    lines = tuple((cell.name, cell.level or NOTHING, cell.varied) for cell in cells)
    heading = ("cell", "level", "in the base")
    return [Section(title="What each cell changes", words=(), table=Table(heading=heading, lines=lines))]


def overview_section(ablation: Ablation, metrics: Sequence[Sequence[AblationRow]]) -> Section:
    """All metrics shown side by side: of the seed model the figure, of each cell the difference to it."""
    firsts = [rows[0] for rows in metrics]
    pairs = {cost.cell: NOTHING if cost.pairs is None else f"{cost.pairs:,.0f}" for cost in ablation.costs}
    fields = tuple(firsts[0].label)
    lines = [
        ("seed model", *[""] * (len(fields) + 1), *map(_seed_models_figure, metrics)),
    ]
    trained = {row.cell: (bool(row.seeds), row.label) for rows in metrics for row in rows}
    for cell, (_, label) in sorted(trained.items(), key=lambda item: item[1][0]):
        cell_rows = [next((row for row in rows if row.cell == cell), None) for rows in metrics]
        runs = str(max(len(row.seeds) for row in cell_rows if row) or NOTHING)
        lines.append((*label.values(), runs, pairs.get(cell, NOTHING), *map(_overview_cell, cell_rows)))
    base = ablation.grid.baseline or "there is none"
    words = (
        "Differences to the seed model in points, with 95 % intervals over training runs and pictures, and r, the "
        f"ratio of the two. * p < {SIGNIFICANT:g} against the seed model, † against the base cell ({base}), "
        f"corrected after Holm; {UNTESTABLE} one of the two could not have been, whatever the answers (see the notes). "
        "Of what nobody trained, interval and * are over pictures alone. Pairs: trained on in a round, in the mean.",
    )
    heading = (*fields, "runs", "pairs", *(f"{row.metric.name}{arrow(row.metric)} ({row.task})" for row in firsts))
    return Section(title="At a glance", words=words, table=Table(heading=heading, lines=tuple(lines)))


def _seed_models_figure(rows: Sequence[AblationRow]) -> str:
    """The one figure of the model that all cells start from; none where that is not one model, nor for what is read off
    beside the cell (the frontier), which is another figure in each."""
    figures = {figure(row.to_seed.a, row.metric, digits=DIGITS) for row in rows}
    return figures.pop() if len(figures) == 1 and not rows[0].metric.name.startswith(FRONTIER) else NOTHING


def _overview_cell(row: AblationRow | None) -> str:
    if row is None:
        return NOTHING
    value = figure(row.to_seed.value, row.metric, signed=True, digits=DIGITS)
    bounds = interval(row.to_seed.low, row.to_seed.high, row.metric, signed=True, digits=DIGITS)
    return f"{value}{_marks(row)} {bounds}{_ratio(row.to_seed)}".rstrip()


def _marks(row: AblationRow) -> str:
    results = [(mark, each) for mark, each in (("*", row.to_seed_result), ("†", row.to_base_result)) if each]
    marks = [mark for mark, each in results if each.p < SIGNIFICANT]
    untestable = any(not each.testable for _, each in results)
    return "".join([*marks, UNTESTABLE] if untestable else marks)


def _ratio(difference: Difference) -> str:
    if not isinstance(difference, PooledDifference) or difference.ratio is None:
        return ""
    return f" r {difference.ratio:.1f}"


def _metric_section(rows: Sequence[AblationRow]) -> Section:
    first, metric = rows[0], rows[0].metric
    fields = tuple(first.label)
    heading = (
        *fields,
        "training seeds",
        metric.name + arrow(metric),
        "Δ to the seed model",
        "p",
        "Δ to the base",
        "corrected",
        "p",
    )
    started: dict[str, list[str]] = {}  # cells may start from different models, or be held at different recalls
    for row in rows:
        started.setdefault(figure(row.to_seed.a, metric, digits=DIGITS), []).append(row.cell)
    lines = []
    for shown, cells in started.items():
        whose = f" of {'; '.join(cells)}" if len(started) > 1 else ""
        lines.append((f"seed model{whose}", *[""] * len(fields[1:]), "", shown, *[""] * 5))
    for row in rows:
        lines.append(
            (
                *row.label.values(),
                " ".join(map(str, row.seeds)),
                figure(row.to_seed.b, metric, digits=DIGITS),
                _moved(row.to_seed, metric),
                _p(row.to_seed_result),
                _moved(row.to_base, metric),
                interval(*row.to_base_corrected, metric, signed=True, digits=DIGITS)
                if row.to_base_corrected
                else NOTHING,
                _p(row.to_base_result),
            )
        )
    headline = ", the headline" if first.headline else ""
    return Section(
        title=f"{first.task}: {metric.name}{headline}", words=(), table=Table(heading=heading, lines=tuple(lines))
    )


def _p(result: Corrected | None) -> str:
    if result is None:
        return probability(None)
    return f"{probability(result.p)}{'' if result.testable else ', not testable'}"


def _moved(difference: Difference | None, metric: Metric) -> str:
    if difference is None:
        return NOTHING
    words = [
        figure(difference.value, metric, signed=True, digits=DIGITS),
        interval(difference.low, difference.high, metric, signed=True, digits=DIGITS),
    ]
    if isinstance(difference, PooledDifference):
        words.append(
            interval(difference.fixed_low, difference.fixed_high, metric, signed=True, digits=DIGITS, ends="{}")
        )
        words.append(runs_text(difference))
    return " ".join(word for word in words if word)


def cost_section(ablation: Ablation) -> Section:
    """What each cell took."""
    heading = (*ablation.costs[0].label, "pairs a round", "minutes spent", "minutes of stages shared")
    lines = tuple(
        (
            *cost.label.values(),
            NOTHING if cost.pairs is None else f"{cost.pairs:,.0f}",
            f"{cost.seconds / 60:.1f}",
            f"{cost.seconds_shared / 60:.1f}",
        )
        for cost in ablation.costs
    )
    words = (
        "Pairs are those that a round trained on, in the mean. A stage that several runs need alike is computed once: "
        "its minutes stand where it was done, and as shared where it was taken over."
    )
    return Section(title="Cost, all training seeds together", words=(words,), table=Table(heading=heading, lines=lines))


def cost_sections(ablation: Ablation, metrics: Sequence[Sequence[AblationRow]]) -> list[Section]:
    """What each cell took, and what it gained of each metric shown for a unit of that."""
    if not ablation.costs:
        return []
    units = units_of(ablation.loops) if metrics else []
    return [cost_section(ablation), loop_section(ablation.loops), *(_gain_section(ablation, metrics, u) for u in units)]


def loop_section(loops: Sequence[LoopCost]) -> Section:
    """What a run's loop took in each cell."""
    names = loop_cost_names(loops)
    heading = (*loops[0].label, "runs", *(name.replace("_", " ") for name in names))
    lines = tuple(
        (*loop.label.values(), str(loop.runs), *(_spent(loop.took.get(name)) for name in names)) for loop in loops
    )
    words = (
        "Of one training run, the mean over its training seeds: collect, verify, select and optimise of all rounds. "
        "Measuring and watching models are left out, and a stage that another cell did counts in full. Operations are "
        "estimated: two a weight and token read, six a token trained on (Kaplan et al. 2020, arXiv 2001.08361).",
    )
    return Section(title="What the loop took", words=words, table=Table(heading=heading, lines=lines))


def _spent(amount: float | None) -> str:
    if not amount:
        return NOTHING
    return f"{amount:.3g}" if amount >= 1e9 else f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def _gain_section(ablation: Ablation, metrics: Sequence[Sequence[AblationRow]], unit: Unit) -> Section:
    firsts = [rows[0] for rows in metrics]
    heading = (
        *ablation.loops[0].label,
        unit.several,
        *(f"{row.metric.name}{arrow(row.metric)} ({row.task})" for row in firsts),
    )
    lines = []
    for loop in ablation.loops:
        spent = unit.of(loop.took)
        cells = [next((row for row in rows if row.cell == loop.cell), None) for rows in metrics]
        lines.append((*loop.label.values(), _spent(spent), *(_gain_cell(row, spent) for row in cells)))
    words = (
        f"The difference to the seed model, and its interval, by the {unit.several} that a run's loop took; the cost "
        "counts as fixed. What costs little gains much for it even where the gain is none: read it beside the gain.",
    )
    return Section(title=f"Gain for a {unit.name}", words=words, table=Table(heading=heading, lines=tuple(lines)))


def _gain_cell(row: AblationRow | None, spent: float) -> str:
    if row is None or row.to_seed.value is None:
        return NOTHING
    value, low, high = (
        None if each is None else each / spent for each in (row.to_seed.value, row.to_seed.low, row.to_seed.high)
    )
    words = [
        figure(value, row.metric, signed=True, digits=RATIO_DIGITS),
        interval(low, high, row.metric, signed=True, digits=RATIO_DIGITS),
    ]
    return " ".join(word for word in words if word)


def missing_section(ablation: Ablation) -> Section:
    """The runs that are in no figure."""
    return Section(
        title="Failed or not run",
        words=("These runs are in no figure; the same command goes on with them.",),
        table=Table(
            heading=("cell", "training seed", "state", "why"),
            lines=tuple((cell.name, str(run.seed), run.state, run.why) for cell, run in ablation.missing),
        ),
    )


def ablation_csv(ablation: Ablation) -> str:
    """ablation.csv: a line for each cell, task and metric; fractions of 6 decimals, empty where there is none."""
    fields = tuple(ablation.rows[0].label) if ablation.rows else ()
    figures = ("value", "low", "high", "fixed_low", "fixed_high", "ratio", "p", "p_holm")
    heading = (
        *("cell", *fields, "seeds", "task", "metric", "headline", "better", "seed_value", "cell_value"),
        *(f"{side}_{figure}" for side in ("to_seed", "to_base") for figure in figures),
        *("to_base_corrected_low", "to_base_corrected_high"),
    )
    lines = [
        (
            *(row.cell, *row.label.values(), " ".join(map(str, row.seeds)), row.task, row.metric.name),
            *(int(row.headline), row.metric.better, exact(row.to_seed.a), exact(row.to_seed.b)),
            *_csv_difference(row.to_seed, row.to_seed_holm),
            *_csv_difference(row.to_base, row.to_base_holm),
            *(exact(bound) for bound in row.to_base_corrected or (None, None)),
        )
        for row in ablation.rows
    ]
    return csv_of(heading, lines)


def loop_csv(ablation: Ablation) -> str:
    """cost.csv: a line for each cell, what its loop took in a run, in the mean; empty for nothing."""
    names = loop_cost_names(ablation.loops)
    fields = tuple(ablation.loops[0].label) if ablation.loops else ()
    lines = [
        (loop.cell, *loop.label.values(), loop.runs, *(round(loop.took.get(name, 0.0), 6) or "" for name in names))
        for loop in ablation.loops
    ]
    return csv_of(("cell", *fields, "runs", *names), lines)


def _csv_difference(difference: Difference | None, corrected: float | None) -> tuple[str, ...]:
    if difference is None:
        return ("",) * 8
    pooled = (
        (difference.fixed_low, difference.fixed_high, difference.ratio)
        if isinstance(difference, PooledDifference)
        else (None,) * 3
    )
    return tuple(
        exact(figure)
        for figure in (difference.value, difference.low, difference.high, *pooled, difference.p, corrected)
    )
