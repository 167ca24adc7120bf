"""An ablation: what each cell of a grid came to, against the model it started from and against the base cell.

Reads a folder that `strop grid` wrote. Every figure is the last round of a cell, pooled over the training seeds that
are finished; two cells are paired by training seed and by sample. p is corrected after Holm over all cells, in two
families for each of the two comparisons: the headline metrics, and the others that are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.results import Results, TaskResult, read_results
from harness.runs.grids import Grid, GridCell, GridRun, read_grid
from harness.runs.names import RESULTS, evaluation_folder
from harness.runs.reading import read_stages
from harness.runs.watches import last_evaluation
from harness.stats import Corrected, Difference, corrected, untestable_notes, widening
from harness.types import Metric
from leaderboards.build import COMPANIONS
from leaderboards.costs import LoopCost, loop_cost
from leaderboards.paired import other_data, pair_seeds, same_answers
from leaderboards.untrained import untrained, words_of

DRAWS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class AblationRow:
    """One metric of one cell, last round.

    `to_seed` is the difference to the model that the cell started from (its `a` is that model's figure, its `b` the
    cell's), over the training seeds `seeds`; `to_base` the one to the base cell, over those that both finished, None
    for the base cell itself and where they cannot be compared. `to_seed_result` and `to_base_result` are what Holm's
    correction makes of them, None outside the families, `to_base_corrected` an interval that holds for the whole family
    of differences to the base at once (`_widened`).
    With several training seeds both are `harness.stats.PooledDifference`.
    """

    cell: str
    label: Mapping[str, str]
    task: str
    metric: Metric
    headline: bool
    shown: bool
    seeds: tuple[int, ...]
    to_seed: Difference
    to_base: Difference | None
    to_seed_result: Corrected | None = None
    to_base_result: Corrected | None = None
    to_base_corrected: tuple[float, float] | None = None

    @property
    def to_seed_holm(self) -> float | None:
        """The corrected p of the difference to the seed model."""
        return self.to_seed_result.p if self.to_seed_result else None

    @property
    def to_base_holm(self) -> float | None:
        """The corrected p of the difference to the base cell."""
        return self.to_base_result.p if self.to_base_result else None


@dataclass(frozen=True, kw_only=True, slots=True)
class CellCost:
    """What a cell took, all its training seeds together. `seconds` were spent on it, `seconds_shared` on stages that
    other cells had done already; `pairs` are those that a round trained on, in the mean; None where none
    is recorded."""

    cell: str
    label: Mapping[str, str]
    seconds: float
    seconds_shared: float
    pairs: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """The figures of a grid's files; `missing` are (cell, run) that failed or were not run."""

    grid: Grid
    rows: tuple[AblationRow, ...]
    costs: tuple[CellCost, ...]
    loops: tuple[LoopCost, ...]
    missing: tuple[tuple[GridCell, GridRun], ...]
    notes: tuple[str, ...]


def ablate(folder: Path, *, draws: int = DRAWS) -> Ablation:
    """Every figure of a grid's finished runs. Raises `DataError` for a folder without a grid and for broken results."""
    grid = read_grid(folder)
    base_cell = next((cell for cell in grid.cells if cell.name == grid.baseline), None)
    seed_models: dict[bytes, Results] = {}
    base = _ends(base_cell, seed_models) if base_cell else {}
    notes: list[str] = []
    rows: list[AblationRow] = []
    starts: dict[int, dict[str, str]] = {}  # training seed -> the weights that cells start from -> one such cell
    for cell in grid.cells:
        ends = base if cell.name == grid.baseline else _ends(cell, seed_models)
        for seed, (before, _) in ends.items():
            starts.setdefault(seed, {}).setdefault(before.digest, cell.name)
        if ends:
            rows += _cell_rows(cell, ends, {} if cell.name == grid.baseline else base, grid.show, draws, notes)
    if base_cell and base:
        notes += same_answers(next(iter(base.values()))[0])
        rows += _untrained_rows(base_cell, base, grid.show, draws, notes)
    if unlike := next((cells for cells in starts.values() if len(cells) > 1), None):
        digests = "; ".join(f"{digest[:12]} ({name})" for digest, name in unlike.items())
        notes.append(f"not all cells start from the same weights: {digests}. Their seed models are not one.")
    return Ablation(
        grid=grid,
        rows=tuple(_corrected(rows, notes)),
        loops=tuple(filter(None, map(loop_cost, grid.cells))),
        costs=tuple(_cost(cell) for cell in grid.cells if any(run.state == "done" for run in cell.runs)),
        missing=tuple((cell, run) for cell in grid.cells for run in cell.runs if run.state != "done"),
        notes=tuple(dict.fromkeys(notes)),
    )


# Figures -------------------------------------------------------------------------------------------------------------


_Ends = Mapping[int, tuple[Results, Results]]  # training seed -> round 0, last round


def _ends(cell: GridCell, seed_models: dict[bytes, Results]) -> _Ends:
    """The seed model and the last round of every finished run. Runs of a grid share the seed model's results, which are
    read once: `seed_models` holds those read so far by the content of their `results.json`."""
    ends = {}
    for run in (run for run in cell.runs if run.state == "done"):
        first = evaluation_folder(run.folder, 0)
        says = (first / RESULTS).read_bytes() if (first / RESULTS).is_file() else b""
        if says not in seed_models:
            seed_models[says] = read_results(first)
        ends[run.seed] = (
            seed_models[says],
            read_results(evaluation_folder(run.folder, last_evaluation(run.folder, cell.rounds))),
        )
    return ends


def _untrained_rows(
    base_cell: GridCell, base: _Ends, show: Sequence[tuple[str, str]], draws: int, notes: list[str]
) -> Iterable[AblationRow]:
    """The baselines without training as rows, at the words of the base cell, the mean over its training seeds: they
    have no training run of their own."""
    seed, _ = next(iter(base.values()))
    folder = next(run.folder for run in base_cell.runs if run.state == "done")
    named = untrained(folder, seed, words_of([last for _, last in base.values()]))
    first, *others = base_cell.label
    for name, results in named.items():
        label = {first: f"{name}, untrained", **dict.fromkeys(others, "")}
        for task in results.tasks:
            metrics, to_seed = _compared([_sides(seed, results, task.task)], draws, f"{name}: ", notes)
            _, to_base = _compared(
                [_sides(last, results, task.task) for _, last in base.values()], draws, f"{name} and the base: ", notes
            )
            yield from _metric_rows(name, label, task, metrics, (), to_seed, to_base, show)


def _cell_rows(
    cell: GridCell, ends: _Ends, base: _Ends, show: Sequence[tuple[str, str]], draws: int, notes: list[str]
) -> Iterable[AblationRow]:
    shared = sorted(ends.keys() & base.keys())
    if base and len(shared) < len(ends):
        notes.append(f"{cell.name}: held against the base over the training seeds that both finished, {shared}.")
    for task in next(iter(ends.values()))[1].tasks:
        name = task.task
        metrics, to_seed = _compared([_sides(*ends[seed], name) for seed in ends], draws, f"{cell.name}: ", notes)
        _, to_base = _compared(
            [_sides(base[seed][1], ends[seed][1], name) for seed in shared], draws, f"{cell.name} and the base: ", notes
        )
        yield from _metric_rows(cell.name, cell.label, task, metrics, tuple(ends), to_seed, to_base, show)


def _metric_rows(
    cell: str,
    label: Mapping[str, str],
    task: TaskResult,
    metrics: Sequence[Metric],
    seeds: tuple[int, ...],
    to_seed: Mapping[str, Difference],
    to_base: Mapping[str, Difference],
    show: Sequence[tuple[str, str]],
) -> Iterable[AblationRow]:
    shown = show or [(task.task, name) for name in (task.headline, *COMPANIONS)]
    for metric in metrics:
        yield AblationRow(
            cell=cell,
            label=label,
            task=task.task,
            metric=metric,
            headline=metric.name == task.headline,
            shown=(task.task, metric.name) in shown,
            seeds=seeds,
            to_seed=to_seed[metric.name],
            to_base=to_base.get(metric.name),
        )


_Sides = tuple[TaskResult, TaskResult]


def _sides(before: Results, after: Results, task: str) -> _Sides | None:
    tasks = {result.task: result for result in before.tasks}
    return (tasks[task], after.task(task)) if task in tasks else None


def _compared(
    pairs: Sequence[_Sides | None], draws: int, who: str, notes: list[str]
) -> tuple[tuple[Metric, ...], Mapping[str, Difference]]:
    """Every metric that all sides define alike, over all training seeds; nothing, and a note, where none can be."""
    sides = [pair for pair in pairs if pair]
    if not sides:
        return (), {}
    pair = pair_seeds(sides, draws=draws)
    notes += [f"{who}{pair.obstacle}."] if pair.obstacle else []
    notes += [f"{who}{words}" for side in sides if (words := other_data(*side))]
    return pair.metrics, pair.differences


def _corrected(rows: Sequence[AblationRow], notes: list[str]) -> list[AblationRow]:
    """The rows with Holm's p: headlines and the others shown each among themselves, of each of the two comparisons."""
    results = list(rows)
    families = {
        "headlines": [index for index, row in enumerate(rows) if row.headline],
        "other figures": [index for index, row in enumerate(rows) if row.shown and not row.headline],
    }
    for what, indices in families.items():
        seeds = {str(index): rows[index].to_seed for index in indices}
        bases = {str(index): each for index in indices if (each := rows[index].to_base)}
        to_seed, to_base = corrected(seeds), corrected(bases)
        notes += untestable_notes(seeds, f"{what} beside the seed model")
        notes += untestable_notes(bases, f"{what} beside the base")
        for index in indices:
            results[index] = replace(
                rows[index],
                to_seed_result=to_seed.get(str(index)),
                to_base_result=to_base.get(str(index)),
                to_base_corrected=_widened(rows[index].to_base, len(to_base)),
            )
    return results


def _widened(difference: Difference | None, family: int) -> tuple[float, float] | None:
    """The 95 % interval widened so that all of a family hold at once with 95 % (Bonferroni). None where there is no p,
    and so no family."""
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        return None
    growth = widening(family, difference.df)
    return difference.value - growth * (difference.value - difference.low), difference.value + growth * (
        difference.high - difference.value
    )


def _cost(cell: GridCell) -> CellCost:
    ledgers = [read_stages(run.folder) for run in cell.runs if run.state == "done"]
    stages = [stage for ledger in ledgers for stage in ledger]
    # a stage that was done again has a line for each time, and the last one is what became of it
    last = [stage for ledger in ledgers for stage in {stage.name: stage for stage in ledger}.values()]
    pairs = [stage.facts["pairs"] for stage in last if "pairs" in stage.facts]
    return CellCost(
        cell=cell.name,
        label=cell.label,
        seconds=sum(stage.cost.get("seconds", 0.0) for stage in stages),
        seconds_shared=sum(stage.shared_cost.get("seconds", 0.0) for stage in stages),
        pairs=sum(pairs) / len(pairs) if pairs else None,
    )
