"""Baselines without training that a run must beat: the seed made cautious, and the verifier put to use at answer time.

`quiet` is the seed model less the sentences of which it is itself least sure, `filter` less those of which the verifier
is, both until as many words are left as a honed checkpoint says; `rerank` is the verifier's best of several answers.
`wordy` is the seed that goes on, the end of its answers made less likely: what a checkpoint that says more is held
against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.ranked import OWN, VERIFIER, at_words
from harness.results import Results, TaskResult, read_results
from harness.runs.names import BASELINES, FILTER, RERANK, WORDY, stage_name
from harness.stats import difference, estimate
from leaderboards.paired import shared_metrics
from leaderboards.render import NOTHING, Section, Table, arrow, figure, interval

WORDS = (
    "The seed model without any training. quiet: less the sentences of which it is itself least sure; filter: less "
    "those of which the verifier is least sure; both by one threshold, at the words of the checkpoint named. rerank: "
    "the verifier's best of several answers; wordy: the seed that goes on, the end of its answers made less likely. In "
    "parentheses the difference to the seed model, with its 95 % interval over pictures."
)

SHOWN = ("CHAIRs", "CHAIRi", "precision", "recall", "f1", "words", "repeated")


def untrained(run: Path, seed: Results, words: Mapping[str, float]) -> dict[str, Results]:
    """The baselines of a run's folder by name. `words` maps a ranked task to how many a caption are to be left; the
    tasks are those, and but for quiet there is none where the run has none."""
    named = {"quiet": _cut(seed, OWN, words)}
    if (kept := run / stage_name(0, BASELINES) / FILTER).is_dir():
        named["filter"] = _cut(read_results(kept), VERIFIER, words)
    if (best := run / stage_name(0, BASELINES) / RERANK).is_dir():
        named["rerank"] = _only(read_results(best), words)
    if (longer := run / stage_name(0, WORDY)).is_dir():
        named["wordy"] = _only(read_results(longer), words)
    return {name: results for name, results in named.items() if results.tasks}


def words_of(results: Iterable[Results]) -> dict[str, float]:
    """Words a caption of each ranked task, the mean over these results."""
    means: dict[str, list[float]] = {}
    for each in results:
        for task in each.tasks:
            if task.frontier and any(metric.name == "words" for metric in task.metrics):
                means.setdefault(task.task, []).append(mean_words(task))
    return {name: sum(values) / len(values) for name, values in means.items()}


def mean_words(task: TaskResult) -> float:
    """Words a row, as the task's metric of that name counts them; 0 for 0/0."""
    words = [metric for metric in task.metrics if metric.name == "words"]
    return estimate(task.rows, words, draws=1)["words"].value or 0.0


def untrained_section(lines: Sequence[tuple[str, str, Results, Results]], draws: int) -> list[Section]:
    """A table for each task: (run, baseline, seed model's results, baseline's results) a line; none without lines."""
    sections = []
    for name in dict.fromkeys(task.task for _, _, _, results in lines for task in results.tasks):
        of_task = [line for line in lines if any(task.task == name for task in line[3].tasks)]
        metrics = [metric for metric in of_task[0][3].task(name).metrics if metric.name in SHOWN]
        table = []
        for run, baseline, seed, results in of_task:
            before, after = seed.task(name), results.task(name)
            moved = difference(before.rows, after.rows, shared_metrics(before, after), draws=draws)
            cells = [moved.get(metric.name) for metric in metrics]
            values = [
                f"{figure(cell.b, metric)} ({figure(cell.value, metric, signed=True)} "
                f"{interval(cell.low, cell.high, metric, signed=True)})"
                if cell
                else NOTHING
                for cell, metric in zip(cells, metrics, strict=True)
            ]
            table.append((run, baseline, *values))
        heading = ("run", "baseline", *(metric.name + arrow(metric) for metric in metrics))
        sections.append(
            Section(title=f"{name}: without training", words=(WORDS,), table=Table(heading=heading, lines=tuple(table)))
        )
    return sections


def _cut(results: Results, ranking: str, words: Mapping[str, float]) -> Results:
    kept = _only(results, words)
    tasks = [at_words(task, ranking, words[task.task]) for task in kept.tasks if _is_ranked(task, ranking)]
    return replace(results, tasks=tuple(replace(task, frontier=None) for task in tasks))


def _is_ranked(task: TaskResult, ranking: str) -> bool:
    return all(ranking in row.ranked for row in task.rows)


def _only(results: Results, tasks: Iterable[str]) -> Results:
    return replace(results, tasks=tuple(task for task in results.tasks if task.task in set(tasks)))
