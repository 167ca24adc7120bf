"""`strop parity`: do two backends answer alike? Sample by sample, and whether the figure moves by more than noise."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError
from harness.files import write_json
from harness.runs.ids import DEFAULT_RUNS
from harness.wording import counted, names_in, one_line
from strop.backends import BACKEND_FORMS, Named, ask_backend, named, read_backend
from strop.models import PARALLEL
from strop.options import (
    DataOption,
    IncludePathOption,
    JsonOption,
    LimitOption,
    ParallelOption,
    PluginPathOption,
    RunsOption,
    SplitOption,
    writable_folder,
)
from strop.places import set_include_path, set_plugin_path
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from leaderboards.parity import Backend

SAMPLES_SHOWN = 10
CHARACTERS_SHOWN = 24
"""Of an answer, from where it parts from the other."""

PARITY = "parity.json"
"""The report's file in `--out`, beside the folders `a` and `b`."""


def parity(
    a: Annotated[str, typer.Argument(metavar="A", help=f"{BACKEND_FORMS.capitalize()}.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; differences are B minus A.", show_default=False)],
    tasks: Annotated[
        str, typer.Option(help="Names of tasks, separated by commas. Default: those of the stored results.")
    ] = "",
    limit: LimitOption = None,
    split: SplitOption = "test",
    parallel: ParallelOption = PARALLEL,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for both sides' results and parity.json; stopped, the command resumes from it.",
                     callback=writable_folder),
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    include_path: IncludePathOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Say whether two backends of a model answer alike, sample by sample.

    A local model in another precision, the same one behind a server, or stored runs: answers, marks and
    log-probabilities, each sample that differs with the place where its answers part, and whether the difference in
    score is more than noise.

    **Examples**

    strop parity pictos-seed pictos-seed,dtype=bfloat16 --tasks pictos_pope,pictos_chair --limit 60

    strop parity my/llava my/llava,endpoint=http://localhost:8000/v1 --tasks pope --limit 200 --out runs/parity

    strop parity runs/seed runs/served --json
    """
    from leaderboards.parity import compare_backends

    set_plugin_path(plugin_path)
    set_include_path(include_path)
    sides = {"a": named(a, runs), "b": named(b, runs)}
    names = names_in(tasks)
    if not names and all(side.folder is None for side in sides.values()):
        raise UsageError("--tasks names no task; `strop tasks` lists them")
    stored = {name: read_backend(side.folder, names) for name, side in sides.items() if side.folder}
    task_names = names or [task.task for task in next(iter(stored.values())).results.tasks]

    def open_side(name: str, side: Named) -> Backend:
        if name in stored:
            return stored[name]
        from strop.evaluation import find_tasks

        backend = ask_backend(
            side.model, side.options, find_tasks(task_names, data=data), split=split, limit=limit, parallel=parallel,
            out=out / name if out else None,
        )  # fmt: skip
        gc.collect()  # the next model must not find this one in memory
        return backend

    backends = {name: open_side(name, side) for name, side in sides.items()}
    report = {
        **{name: _about(side, backends[name]) for name, side in sides.items()},
        **compare_backends(backends["a"], backends["b"]),
    }
    if out:
        write_json(out / PARITY, report)
    typer.echo(json.dumps(report, ensure_ascii=False) if as_json else "\n".join(_lines(report)))


def _about(side: Named, backend: Backend) -> dict[str, Any]:
    """What a side names, and what its results say of where the answers come from."""
    results = backend.results
    about = results.provenance.get("model") or {}
    kept = ("device", "dtype", "attn_implementation", "url")
    return {
        "side": side.text,
        "model": results.model,
        "digest": results.digest,
        "digest_of": results.digest_of,
        **{name: about[name] for name in kept if name in about},
    }


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for people."""
    for name in "ab":
        side = report[name]
        where = ", ".join(str(side[key]) for key in ("url", "device", "dtype", "attn_implementation") if key in side)
        yield f"{name.upper()}: {side['side']} ({where or 'stored'})  {side['digest_of']} {side['digest'][:12]}"
    for task in report["tasks"]:
        yield ""
        yield from _task_lines(task)
    for note in (*(f"not compared: {obstacle}" for obstacle in report["not_compared"]), *report["notes"]):
        yield ""
        yield note


def _task_lines(task: Mapping[str, Any]) -> Iterator[str]:
    from leaderboards.parity import shown_as
    from leaderboards.render import figure, interval

    metric, difference = shown_as(task), task["difference"]
    values = [figure(difference[side], metric) for side in "ab"]
    moved = figure(difference["value"], metric, signed=True)
    moved = f"{moved} {interval(difference['low'], difference['high'], metric, signed=True)}".rstrip()
    yield (
        f"{task['task']}, {counted(task['n'], 'sample')}: {task['answers_equal']} answers and {task['marks_equal']} "
        f"marks are equal; {metric.name} {values[0]} and {values[1]}, {moved}: {task['verdict']}"
    )
    if weighed := task["log_probabilities"]:
        yield (
            f"log-probabilities of {counted(weighed['n'], 'equal answer')} lie {weighed['mean_apart']:.2g} nats apart "
            f"on average, {weighed['largest_apart']:.2g} at most (sample {weighed['largest_at']})"
        )
    for side in "ab":
        if ids := task[f"only_{side}"]:
            yield f"only {side.upper()} answered {counted(len(ids), 'sample')}"
    for row in task["differing"][:SAMPLES_SHOWN]:
        yield f"  {_differing_line(row)}"
    if (more := len(task["differing"]) - SAMPLES_SHOWN) > 0:
        yield f"  and {more} more (--json lists all)"


def _differing_line(row: Mapping[str, Any]) -> str:
    """Where a sample's answers part, and what each says from there on."""
    where = f"character {row['character']}" + (f", token {row['token']}" if "token" in row else "")
    texts = " against ".join(f"'{_cut(row[side], row['character'])}'" for side in "ab")
    marks = "equal marks" if row["marks_equal"] else f"marks {row['mark_a']:g} and {row['mark_b']:g}"
    return f"{row['id']}: from {where} on {texts}; {marks}"


def _cut(answer: str, start: int) -> str:
    rest = answer[start:]
    return one_line(rest[:CHARACTERS_SHOWN]) + ("…" if len(rest) > CHARACTERS_SHOWN else "")
