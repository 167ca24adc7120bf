"""Asks a model the questions of tasks and marks its answers: `strop eval`, and `strop.evaluate` in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.runs.names import ANSWERS, RESULTS

if TYPE_CHECKING:
    from harness.engine import Progress
    from harness.measure import Measured
    from harness.results import Results, TaskResult
    from harness.stats import Estimate
    from harness.tables import Frame
    from harness.types import Advance, Task

FIGURE_COLUMNS = ("task", "profile", "split", "metric", "value", "low", "high", "n", "method", "headline")
ANSWER_COLUMNS = ("task", "profile", "id", "cluster", "group", "answer", "parsed", "value")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lengths:
    """How many answers a model gave now rather than before, and how many of them ended at the longest allowed."""

    answers: int
    at_longest: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Marked answers of one model and their figures.

    `estimates` has for each of `results.tasks` its metrics' values with 95 % intervals, as fractions (0.86, not 86).
    `folder` is the results folder, None where none was written. `lengths` is of the tasks that were asked now.
    """

    results: Results
    estimates: tuple[Mapping[str, Estimate], ...]
    folder: Path | None = None
    lengths: Mapping[str, Lengths] = field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[TaskResult, Mapping[str, Estimate]]]:
        """Each task's marked answers with its figures."""
        yield from zip(self.results.tasks, self.estimates, strict=True)

    def figures(self) -> dict[str, dict[str, Any]]:
        """figures[task][metric] is {"value", "low", "high", "n", "method"}, as `strop eval --json` prints it."""
        from harness.stats import as_plain

        return {result.task: as_plain(figures) for result, figures in self.pairs()}

    def figure_rows(self) -> Iterator[dict[str, Any]]:
        """The rows of `frame`."""
        for result, figures in self.pairs():
            for name, figure in figures.items():
                yield {
                    "task": result.task,
                    "profile": result.profile,
                    "split": result.split,
                    "metric": name,
                    **asdict(figure),
                    "headline": name == result.headline,
                }

    def frame(self) -> Frame:
        """The figures as a pandas frame, a row a metric."""
        from harness.tables import frame_of

        return frame_of(self.figure_rows(), FIGURE_COLUMNS)

    def answers(self) -> Frame:
        """The marked answers as a pandas frame, a row an answer; `value` is its mark in 0..1."""
        from harness.tables import frame_of

        return frame_of(
            (
                {
                    "task": result.task,
                    "profile": result.profile,
                    **{name: getattr(row, name) for name in ANSWER_COLUMNS[2:]},
                }
                for result in self.results.tasks
                for row in result.rows
            ),
            ANSWER_COLUMNS,
        )


def evaluate(
    model: str | Measured,
    tasks: str | Task | Sequence[str | Task],
    *,
    split: str = "test",
    limit: int | None = None,
    max_tokens: int | Mapping[str, int] | None = None,
    max_thought_tokens: int | None = None,
    out: str | Path | None = None,
    data: str | Path | None = None,
    plugin_path: str | Path | None = None,
    progress: bool = False,
) -> Evaluation:
    """Ask a model the questions of some tasks and mark its answers.

    `model` is a name (see `load_model`) or a loaded model; `tasks` are names, several separated by commas, or tasks.
    `limit` keeps the first samples of each task. `max_tokens` bounds the answers: of every task, or of those that a
    mapping names; with `max_thought_tokens` a thought has so many beside it. With `out`, a results folder is written,
    and the same call goes on at the sample where it stopped. `data` is the data folder, `plugin_path` a folder of tasks
    of one's own, and `progress` shows bars on stderr.

    Raises `harness.errors.StropError` for a name, a file or a model that does not fit, with the remedy.

    Example:
        >>> import strop
        >>> evaluation = strop.evaluate("pictos-seed", "pictos_pope", limit=12)
        >>> evaluation.results.model
        'pictos-seed'
        >>> evaluation.frame().query("headline")[["task", "metric", "n"]].to_dict("records")
        [{'task': 'pictos_pope', 'metric': 'macro/f1', 'n': 12}]
        >>> len(evaluation.answers())
        12
    """
    from harness.measure import answer_tasks
    from harness.stats import estimate
    from loops.reserve import refuse_reserve

    refuse_reserve(split, "strop eval")
    chosen = find_tasks(tasks, data=data, plugin_path=plugin_path)
    longest = dict.fromkeys((task.name for task in chosen), max_tokens) if isinstance(max_tokens, int) else max_tokens
    measured = _loaded(model)
    folder = Path(out).expanduser() if out is not None else None
    if folder is not None:
        refuse_other_model(folder, measured)
    with _counted_progress(measured, progress) as (begin, lengths):
        results = answer_tasks(
            measured, chosen, split=split, limit=limit, max_tokens=longest or {},
            max_thought_tokens=max_thought_tokens, store=folder / ANSWERS if folder else None, progress=begin,
        )  # fmt: skip
    estimates = tuple(estimate(result.rows, result.metrics) for result in results.tasks)
    evaluation = Evaluation(results=results, estimates=estimates, folder=folder, lengths=lengths())
    if folder is not None:
        from harness.results import write_results

        write_results(folder, results, evaluation.figures())
    return evaluation


def read_evaluation(folder: str | Path) -> Evaluation:
    """A results folder that `strop eval`, `strop score` or a run's round wrote, with the figures it states.

    Raises `harness.errors.DataError` where it is none, or where its rows give other figures.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import strop
        >>> with TemporaryDirectory() as folder:
        ...     written = strop.evaluate("pictos-seed", "pictos_pope", limit=12, out=folder)
        ...     strop.read_evaluation(folder).figures() == written.figures()
        True
    """
    from harness.files import read_json
    from harness.results import read_results
    from harness.stats import Estimate

    path = Path(folder).expanduser()
    results = read_results(path)
    stated = {entry["task"]: entry["metrics"] for entry in read_json(path / RESULTS)["tasks"]}
    estimates = tuple(
        {name: Estimate(**figure) for name, figure in stated[result.task].items()} for result in results.tasks
    )
    return Evaluation(results=results, estimates=estimates, folder=path)


def find_tasks(
    tasks: str | Task | Sequence[str | Task],
    *,
    data: str | Path | None = None,
    plugin_path: str | Path | None = None,
) -> list[Task]:
    """The tasks of these names, and those that are tasks already; raises `UsageError` for a name that no task has.

    Example:
        >>> import strop
        >>> [task.name for task in strop.find_tasks("pictos_pope, pictos_chair")]
        ['pictos_pope', 'pictos_chair']
    """
    from harness.wording import names_in
    from strop.places import data_root, set_plugin_path
    from tasks.registry import find_task

    set_plugin_path(plugin_path)
    listed = names_in(tasks) if isinstance(tasks, str) else tasks if isinstance(tasks, Sequence) else [tasks]
    return [find_task(each, data_root(data)) if isinstance(each, str) else each for each in listed]


def refuse_other_model(folder: Path, model: Measured) -> None:
    """Raises `UsageError` where a folder holds the results of another model."""
    from harness.results import read_owner

    if not (folder / RESULTS).is_file():
        return
    owner = read_owner(folder)
    if owner.digest != model.digest:
        holder = f"{owner.model} ({owner.digest_of} {owner.digest[:12]})"
        raise UsageError(f"{folder} holds results of {holder}; name another --out")


def _loaded(model: str | Measured) -> Measured:
    from strop.models import load_model

    return load_model(model) if isinstance(model, str) else model


@contextmanager
def _counted_progress(model: Measured, shown: bool) -> Iterator[tuple[Progress, Callable[[], Mapping[str, Lengths]]]]:
    """(what starts a task's bar and notes what the model had answered until then; the lengths of each task's answers
    once all are asked)."""
    from strop.progress import progress_bars

    starts: dict[str, tuple[int, int]] = {}

    def lengths() -> Mapping[str, Lengths]:
        ends = [*list(starts.values())[1:], (model.answered, model.cut)]
        return {
            task: Lengths(answers=answers - before, at_longest=cut - cut_before)
            for (task, (before, cut_before)), (answers, cut) in zip(starts.items(), ends, strict=True)
        }

    with progress_bars(shown) as bars:

        def begin(task: str, total: int) -> Advance:
            starts[task] = model.answered, model.cut
            return bars(task, total)

        yield begin, lengths
