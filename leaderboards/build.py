"""Boards from run folders: board.md, board.csv, board.html and cost.csv, rendered and never edited by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonpath
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.files import write_text
from harness.results import Results, TaskResult
from harness.runs.ids import DEFAULT_RUNS, locate_all
from harness.runs.reading import LevelOf, Run, cost_names, filed_level, read_run, recipe_digest
from harness.stats import corrected, estimate, untestable_notes
from harness.types import Metric
from harness.wording import counted
from leaderboards.beside import Beside, Measured, Published, set_beside
from leaderboards.judged import Measured as MeasuredJudge
from leaderboards.judged import judge_notes, round_judges, task_judges, unmeasured
from leaderboards.paired import (
    frontier_of,
    obstacle,
    other_data,
    other_lengths,
    pair_seeds,
    pair_task,
    same_answers,
)
from leaderboards.render import Board, Cell, CostLine, Row, Source, TaskView, cost_csv, csv_text, html, markdown
from leaderboards.untrained import untrained, untrained_section, words_of
from leaderboards.watched import monitor_notes, monitor_sections

COMPANIONS = (
    *("CHAIRs", "CHAIRi", "frontier/CHAIRi", "recall", "precision", "frontier/precision", "frontier/AP"),
    *("f1", "words", "repeated", "IoU", "unread"),
)
"""Shown beside the headline wherever a task has them: a hallucination rate without recall and length says little."""

DRAWS = 10_000

_Key = tuple[str, int, str, str, str]  # what must agree for two results to share a column


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A run with the name that the board gives it."""

    name: str
    run: Run


def build_board(runs: Sequence[Path], out: Path, published: Published | None = None) -> Beside | None:
    """Write board.md, board.csv, board.html and cost.csv into `out`, each atomically.

    `runs` are folders written by `strop run`, or results folders (`strop eval --out`, `strop score --out`). With
    `published` figures the pages show them beside the rows of the same benchmark, and reported.csv is written too; what
    was set beside is returned. The same results give the same bytes, the section on cost aside. Raises `DataError` for
    a folder that is neither, `UsageError` when no folder is given.
    """
    entries = read_entries(runs)
    return write_board(entries, assemble(entries), out, published)


def write_board(entries: Sequence[Entry], board: Board, out: Path, published: Published | None = None) -> Beside | None:
    """`build_board` of what was read and assembled."""
    beside = None
    if published is not None:
        beside = set_beside(measured(entries, board), published)
        sections, notes = (*board.sections, *beside.sections), (*board.notes, *beside.notes)
        board = replace(board, sections=sections, notes=notes)
        write_text(out / "reported.csv", beside.csv)
    else:
        (out / "reported.csv").unlink(missing_ok=True)  # of an earlier build: it would stand beside other figures
    write_text(out / "board.md", markdown(board))
    write_text(out / "board.csv", csv_text(board))
    write_text(out / "cost.csv", cost_csv(board))
    write_text(out / "board.html", html(board))
    return beside


def read_entries(ids: Sequence[str | Path], level_of: LevelOf = filed_level, runs: Path = DEFAULT_RUNS) -> list[Entry]:
    """Reads what the IDs lead to (`harness.runs.ids`; a grid's folder stands for its finished runs), each run under a
    name of its own; raises as `build_board`."""
    locations = locate_all(ids, runs)
    if not locations:
        raise UsageError("no folder to make a board of: name run folders or results folders, e.g. `strop board runs/*`")
    return _named([read_run(location, level_of) for location in locations])


def assemble(entries: Sequence[Entry], judges: MeasuredJudge = unmeasured) -> Board:
    """Work out every figure of the board. `judges` knows what was measured of judges."""
    labels = task_labels(entries)
    notes: list[str] = []
    rows = [row for entry in entries for row in _rows(entry, labels, notes, judges)]
    pooled = [row for group in _seed_groups(entries) for row in _pooled_rows(group, labels, notes)]
    notes = [*_seed_notes(entries), *notes]
    notes += [note for entry in entries for results in entry.run.rounds.values() for note in same_answers(results)]
    notes += [note for entry in entries for note in judge_notes(entry.name, entry.run, judges)]
    notes += [note for entry in entries for note in monitor_notes(entry.name, entry.run)]
    with_p = (
        *_corrected(rows, labels, "headline differences", notes),
        *_corrected(pooled, labels, "pooled headline differences", notes),
    )
    return Board(
        rows=with_p,
        tasks=tuple(_views(entries, labels)),
        notes=tuple(dict.fromkeys(notes)),
        costs=tuple(
            CostLine(run=entry.name, seed=entry.run.seed or "", stage=stage.name, cost=stage.cost,
                     finished=stage.finished)
            for entry in entries for stage in entry.run.stages
        ),
        cost_names=cost_names(stage for entry in entries for stage in entry.run.stages),
        sections=(
            *untrained_section(list(_untrained(entries)), DRAWS),
            *monitor_sections([(entry.name, entry.run) for entry in entries]),
        ),
    )  # fmt: skip


def _untrained(entries: Sequence[Entry]) -> Iterable[tuple[str, str, Results, Results]]:
    """The baselines of every run at the words of its last round."""
    for entry in entries:
        seed, last = entry.run.rounds.get(0), max((number for number in entry.run.rounds if number), default=None)
        if seed is None or last is None:
            continue
        words = words_of([entry.run.rounds[last]])
        for name, results in untrained(entry.run.folder, seed, words).items():
            yield f"{entry.name}, words of round {last}", name, seed, results


def _named(runs: Sequence[Run]) -> list[Entry]:
    """Names that tell the runs apart: the recipe's, with the folder's where two runs share name and seed."""
    entries = []
    for run in runs:
        twins = [other.folder.resolve() for other in runs if (other.name, other.seed) == (run.name, run.seed)]
        subfolder = run.folder.resolve().relative_to(commonpath(twins))
        entries.append(Entry(name=run.name if len(twins) == 1 else f"{run.name} ({subfolder})", run=run))
    return entries


def measured(entries: Sequence[Entry], board: Board) -> list[Measured]:
    """Every task of every row that was measured itself, which pooled rows are not."""
    labels = task_labels(entries)
    rows = [row for row in board.rows if not row.pooled]
    evaluations = [results for entry in entries for results in entry.run.rounds.values()]
    return [
        Measured(row=row, task=task, label=labels[task_key(task)], sight=results.sight)
        for row, results in zip(rows, evaluations, strict=True)
        for task in results.tasks
    ]


def task_key(task: TaskResult) -> _Key:
    built = task.info.get("built")  # under the name of a benchmark, but not on its questions
    return f"{task.task} ({built})" if built else task.task, task.version, task.profile, task.split, task.headline


def _all_tasks(entries: Sequence[Entry]) -> Iterable[TaskResult]:
    return (task for entry in entries for results in entry.run.rounds.values() for task in results.tasks)


def task_labels(entries: Sequence[Entry]) -> dict[_Key, str]:
    """A column for each task; results of one name that were marked differently get a column each."""
    keys = list(dict.fromkeys(task_key(task) for task in _all_tasks(entries)))
    names = [key[0] for key in keys]
    return {
        key: key[0] if names.count(key[0]) == 1 else f"{key[0]} (version {key[1]}, {key[2]}, {key[3]}, {key[4]})"
        for key in keys
    }


def _views(entries: Sequence[Entry], labels: Mapping[_Key, str]) -> Iterable[TaskView]:
    for key, label in labels.items():
        results = [task for task in _all_tasks(entries) if task_key(task) == key]
        metrics = {metric.name: metric for task in results for metric in task.metrics}
        metrics |= {metric.name: metric for task in results for metric in frontier_of(task)}
        name, version, profile, split, headline = key
        if headline not in metrics:
            raise DataError(f"results of {name} name the headline '{headline}', which they do not define; score again")
        yield TaskView(
            label=label,
            task=name,
            version=version,
            profile=profile,
            split=split,
            headline=metrics[headline],
            shown=shown_metrics(metrics, headline),
            metrics=tuple(metrics.values()),
        )


def shown_metrics(metrics: Mapping[str, Metric], headline: str) -> tuple[Metric, ...]:
    """The headline, then those of its companions that are there."""
    return tuple(metrics[name] for name in dict.fromkeys((headline, *COMPANIONS)) if name in metrics)


def _rows(entry: Entry, labels: Mapping[_Key, str], notes: list[str], judges: MeasuredJudge) -> Iterable[Row]:
    seed_results = entry.run.rounds.get(0)
    verified = round_judges(entry.run, judges)
    for number, results in entry.run.rounds.items():
        before = entry.run.rounds.get(number - 1) if number else None
        if number and before and results.parent and results.parent != before.digest:
            notes.append(
                f"{entry.name}, round {number}: its weights were trained from {results.parent[:12]}, not from those of "
                f"round {number - 1} here ({before.digest[:12]}), which were made since; let `strop run` go on."
            )
        cells: dict[tuple[str, str], Cell] = {}
        marked = task_judges(results)
        for task in results.tasks:
            label = labels[task_key(task)]
            figures = estimate(task.rows, task.metrics, draws=DRAWS)
            for metric in task.metrics:
                cells[label, metric.name] = Cell(metric=metric, estimate=figures[metric.name])
            if number and seed_results is not None:
                _add_differences(cells, label, seed_results, task, f"{entry.name}, round {number}", notes)
        yield Row(
            run=entry.name,
            seeds=(entry.run.seed,) if entry.run.seed is not None else (),
            round=number,
            model=results.named,
            digest=_known_by(results),
            level=entry.run.level,
            verifier=entry.run.verifier,
            commit=_commit(results),
            pooled=False,
            cells=cells,
            judge=verified.get(number, "") if number is not None else "",
            task_judges={labels[task_key(task)]: marked[task.task] for task in results.tasks if task.task in marked},
            source=Source(
                weights=results.digest,
                parent=results.parent or "",
                recipe=recipe_digest(entry.run.recipe),
                data={labels[task_key(task)]: task.data or "" for task in results.tasks},
                provenance=results.provenance,
            ),
        )


def _add_differences(
    cells: dict[tuple[str, str], Cell], label: str, seed: Results, task: TaskResult, who: str, notes: list[str]
) -> None:
    before = next((result for result in seed.tasks if result.task == task.task), None)
    if before is None:
        notes.append(f"{who}: round 0 has no {task.task}, so there is no difference to it.")
        return
    pair = pair_task(before, task, draws=DRAWS)
    if pair.obstacle:
        notes.append(f"{who}: no difference to round 0. {pair.obstacle}.")
        return
    for words in (other_data(before, task), other_lengths(before, task)):
        if words:
            notes.append(f"{who}, beside round 0: {words}")
    if words := pair.differences[task.headline].doubt:
        notes.append(f"{who}, beside round 0 (A): what is gained cannot be told. {words[0].upper()}{words[1:]}.")
    for metric in pair.metrics:
        difference = pair.differences[metric.name]
        cell = cells.get((label, metric.name))
        cells[label, metric.name] = Cell(metric=metric, estimate=cell.estimate if cell else None, difference=difference)
    headline = pair.differences[task.headline]
    if headline.only_a or headline.only_b:
        notes.append(
            f"{who}, {task.task}: {counted(len(headline.only_a), 'sample')} that only round 0 answered and "
            f"{len(headline.only_b)} that only this round answered are in no difference; `strop compare` lists them."
        )


def _seed_groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Runs of one recipe name with different seeds, one run a seed."""
    groups: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        if entry.run.seed is not None:
            groups.setdefault(entry.run.name, {}).setdefault(entry.run.seed, entry)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def _seed_notes(entries: Sequence[Entry]) -> list[str]:
    notes = []
    seeds: dict[str, list[str]] = {}
    for entry in entries:
        if entry.run.recipe:
            seeds.setdefault(entry.run.name, []).append(entry.run.seed or "unknown")
    for name, run_seeds in seeds.items():
        if len(set(run_seeds)) == 1:
            notes.append(
                f"{name}: one training seed ({run_seeds[0]}). Its intervals speak of other test pictures, not of "
                "another training run; run it again with other seeds before believing a small difference."
            )
        if len(set(run_seeds)) < len(run_seeds):
            notes.append(f"{name}: several runs share a seed; a pooled row takes the first of each seed.")
    for group in _seed_groups(entries):
        recipes = [entry.run.recipe for entry in group]
        names = sorted({str(name) for recipe in recipes for name in recipe} - {"seed"})
        unlike = [name for name in names if any(recipe.get(name) != recipes[0].get(name) for recipe in recipes)]
        if unlike:
            notes.append(
                f"{group[0].run.name}: pooled over seeds though the recipes differ in more than the seed: "
                f"{', '.join(unlike)}."
            )
    return notes


def _pooled_rows(group: Sequence[Entry], labels: Mapping[_Key, str], notes: list[str]) -> Iterable[Row]:
    numbers = sorted({number for entry in group for number in entry.run.rounds if number})
    for number in numbers:
        present = [entry for entry in group if number in entry.run.rounds and 0 in entry.run.rounds]
        if len(present) < 2:
            continue
        cells: dict[tuple[str, str], Cell] = {}
        for task in present[0].run.rounds[number].tasks:
            pairs = [pair for entry in present if (pair := _seed_pair(entry.run, number, task_key(task)))]
            if len(pairs) < 2:
                continue
            if len(pairs) < len(present):
                notes.append(
                    f"{group[0].run.name}, round {number}, {task.task}: pooled over {len(pairs)} of {len(present)} "
                    "seeds; the others have no comparable results."
                )
            pooled = pair_seeds(pairs, draws=DRAWS)
            if pooled.obstacle:
                notes.append(f"{group[0].run.name}, round {number}: seeds not pooled. {pooled.obstacle}.")
            for metric in pooled.metrics:
                difference = pooled.differences[metric.name]
                cells[labels[task_key(task)], metric.name] = Cell(metric=metric, estimate=None, difference=difference)
        if cells:
            first = present[0].run
            yield Row(
                run=first.name,
                seeds=tuple(entry.run.seed or "" for entry in present),
                round=number,
                model="",
                digest="",
                level=first.level,
                verifier=first.verifier,
                commit="",
                pooled=True,
                cells=cells,
            )


def _seed_pair(run: Run, number: int, key: _Key) -> tuple[TaskResult, TaskResult] | None:
    before, after = (
        next((task for task in run.rounds[round_number].tasks if task_key(task) == key), None)
        for round_number in (0, number)
    )
    return (before, after) if before and after and obstacle(before, after) is None else None


def _corrected(rows: Sequence[Row], labels: Mapping[_Key, str], what: str, notes: list[str]) -> list[Row]:
    """The rows with Holm's p for each headline difference among them; `what` a note calls those."""
    headlines = {(label, key[4]) for key, label in labels.items()}
    family = {
        f"{index} {label}": cell.difference
        for index, row in enumerate(rows)
        for (label, name), cell in row.cells.items()
        if (label, name) in headlines and cell.difference is not None
    }
    results = corrected(family)
    notes += untestable_notes(family, what)

    def with_p(cell: Cell, key: str) -> Cell:
        return replace(cell, holm=results[key].p, testable=results[key].testable) if key in results else cell

    return [
        replace(
            row,
            cells={
                (label, name): with_p(cell, f"{index} {label}") if (label, name) in headlines else cell
                for (label, name), cell in row.cells.items()
            },
        )
        for index, row in enumerate(rows)
    ]


def _known_by(results: Results) -> str:
    """The first digits of the digest, and what it is of where that is no weights."""
    digits = results.digest[:12]
    return digits if results.digest_of == "weights" else f"{results.digest_of} {digits}"


def _commit(results: Results) -> str:
    commit = str(results.provenance.get("commit") or "")[:12]
    return f"{commit}+changes" if commit and results.provenance.get("dirty") else commit
