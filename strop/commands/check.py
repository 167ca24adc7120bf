"""`strop check`: do the tasks keep their promises on the data at hand?

The JSON is {"split", "tasks": {name: {"checked": {claim: count}, "failures": [{"claim", "sample", "reason"}]}},
"not_checked": {name: reason}}, and where there are some "unusable": [why a file or task of one's own cannot be used].
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import MissingError
from harness.wording import names_in, one_line
from strop.options import DataOption, IncludePathOption, JsonOption, LimitOption, PluginPathOption, SplitOption
from strop.places import data_root, set_include_path, set_plugin_path
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.check import Checked
    from harness.types import Task


def check(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Names of tasks, also separated by commas; default: all that `strop tasks` lists."),
    ] = None,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    include_path: IncludePathOption = None,
    limit: LimitOption = None,
    split: SplitOption = "test",
    as_json: JsonOption = False,
) -> None:
    """Check the data and the marks of tasks before a model is asked.

    Ids are unique, pictures open, the right answer earns all, silence nothing.

    Ends with 1 and a line for each claim that fails. A task whose data are not here is listed as such and no failure,
    unless it is named.

    **Examples**

    strop check

    strop check pictos_pope --limit 200 --json
    """
    from tasks.registry import find_task, usable_tasks

    set_plugin_path(plugin_path)
    set_include_path(include_path)
    names = list(dict.fromkeys(name for word in tasks or () for name in names_in(word)))
    usable, unusable = (
        ({name: find_task(name, data_root(data)) for name in names}, []) if names else usable_tasks(data_root(data))
    )
    checked, without_data = _check_each(list(usable.values()), split, limit, missing_is_error=bool(names))
    if as_json:
        typer.echo(json.dumps(_as_json(split, checked, without_data, unusable), ensure_ascii=False))
    else:
        _print(split, checked, without_data)
        for why in unusable:
            typer.echo(f"failed: {one_line(why)}")
    if unusable or any(task.failures for task in checked):
        raise typer.Exit(1)


def _check_each(
    tasks: Sequence[Task], split: str, limit: int | None, *, missing_is_error: bool
) -> tuple[list[Checked], dict[str, str]]:
    """(the checked tasks; of those whose data are not here, the reason by name)."""
    from harness.check import check as check_task
    from harness.task_faults import listed_samples
    from strop.progress import progress_bars

    checked: list[Checked] = []
    without_data: dict[str, str] = {}
    with progress_bars() as bars:
        for task in tasks:
            try:
                samples = listed_samples(task, split)[:limit]
            except MissingError as error:
                if missing_is_error:
                    raise
                without_data[task.name] = str(error)
            else:
                checked.append(check_task(task, samples, bars(task.name, len(samples))))
    return checked, without_data


def _as_json(
    split: str, checked: Sequence[Checked], without_data: Mapping[str, str], unusable: Sequence[str]
) -> dict[str, object]:
    tasks = {
        task.task: {
            "checked": dict(task.counts),
            "failures": [{"claim": bad.claim, "sample": bad.sample, "reason": bad.reason} for bad in task.failures],
        }
        for task in checked
    }
    every: dict[str, object] = {"split": split, "tasks": tasks, "not_checked": without_data}
    return every | ({"unusable": list(unusable)} if unusable else {})


def _print(split: str, checked: Sequence[Checked], without_data: Mapping[str, str]) -> None:
    """How often each claim held; then the claims that failed, each by its first sample."""
    from rich.console import Console
    from rich.table import Table

    from harness.check import CLAIMS

    table = Table("task", *CLAIMS, title=f"claims that held, of those checked, split {split}", title_justify="left")
    for task in checked:
        failed = Counter(bad.claim for bad in task.failures)
        table.add_row(task.task, *(f"{max(0, n - failed[claim])} of {n}" for claim, n in task.counts.items()))
    for name in without_data:
        table.add_row(name, "data missing")
    console = Console(markup=False, soft_wrap=True, highlight=False)
    console.print(table)
    for claim, meaning in CLAIMS.items():
        console.print(f"{claim}: {meaning}")
    for name, reason in without_data.items():
        console.print(f"data missing: {name}: {reason}", markup=False)
    for line in (line for task in checked for line in _failure_lines(task)):
        console.print(line, markup=False)


def _failure_lines(checked: Checked) -> list[str]:
    """A line for each claim that failed: task, sample, reason, and how many more samples there are."""
    lines = []
    for claim in dict.fromkeys(bad.claim for bad in checked.failures):
        first, *more = (bad for bad in checked.failures if bad.claim == claim)
        also = f" (and {len(more)} more)" if more else ""
        where = "" if first.sample is None else f", sample {first.sample}"
        lines.append(f"failed: {checked.task}, {claim}{where}: {' '.join(first.reason.split())}{also}")
    return lines
