"""`strop eval` and `strop tasks`."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import UsageError
from harness.wording import counted
from strop.models import open_model
from strop.notes import notes_of
from strop.options import (
    PARALLEL,
    AdapterOption,
    DataOption,
    DeviceOption,
    EndpointOption,
    JsonOption,
    LimitOption,
    ModelOption,
    ParallelOption,
    PicturesOption,
    SplitOption,
    TaskPathOption,
    names_in,
    set_places,
    writable_folder,
)
from tasks.data.sources import DEFAULT_DATA, data_folder

if TYPE_CHECKING:
    from harness.results import TaskResult
    from harness.types import Advance

SIGHTS = {
    "padded": "pictures were padded to squares, as LLaVA's authors pad them",
    "cropped": "pictures were cut to their middle squares, by the model's processor; --pictures pad shows all of them",
}
"""What is told of how pictures were shown, where not as they are."""

CUT_SHARE = 0.2
"""Above this share of answers that ended at the longest allowed, it is told."""


def evaluate(
    model: ModelOption,
    tasks: Annotated[str, typer.Option(help="Names of tasks, separated by commas; `strop tasks` lists them.")],
    out: Annotated[Path, typer.Option(help="Folder for the marked answers and figures.", callback=writable_folder)],
    adapter: AdapterOption = None,
    limit: LimitOption = None,
    split: SplitOption = "test",
    max_tokens: Annotated[
        str | None,
        typer.Option(
            metavar="TOKENS or TASK=TOKENS,...",
            help="Longest answers, thoughts included: of every task, or of those named. Default: the task's own.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = None,
    pictures: PicturesOption = None,
    endpoint: EndpointOption = None,
    parallel: ParallelOption = PARALLEL,
    data: DataOption = DEFAULT_DATA,
    task_path: TaskPathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model the questions of some tasks and mark its answers.

    Stopped half-way, the same command goes on at the sample where it stopped.

    **Examples**

    strop eval --model pictos-seed --tasks pictos_pope,pictos_chair --limit 500 --out runs/seed

    strop eval --model runs/demo/round-2/optimise/checkpoint --tasks pictos_captions --out runs/honed

    strop eval --model my/llava --endpoint http://localhost:8000/v1 --tasks pictos_pope --out runs/served

    strop eval --model my/thinker --tasks pope,mathvista --max-tokens 1024,mathvista=4096 --out runs/thinker
    """
    from loops.reserve import refuse_reserve
    from tasks.registry import find_task

    refuse_reserve(split, "strop eval")
    set_places(data, task_path)
    chosen = [find_task(name) for name in names_in(tasks)]
    if not chosen:
        raise UsageError("--tasks names no task; `strop tasks` lists them")
    longest = read_longest(max_tokens, [task.name for task in chosen])
    from harness.measure import measure
    from harness.results import read_owner, read_results
    from strop.progress import progress_bars

    asked = open_model(model, endpoint=endpoint, parallel=parallel, adapter=adapter, device=device, pictures=pictures)
    if (out / "results.json").is_file() and (before := read_owner(out)).digest != asked.digest:
        held = f"{before.model} ({before.digest_of} {before.digest[:12]})"
        raise UsageError(f"{out} holds results of {held}; name another --out")
    began: dict[str, tuple[int, int]] = {}
    with progress_bars() as bars:

        def begin(task: str, total: int) -> Advance:
            began[task] = asked.asked, asked.cut
            return bars(task, total)

        kept = out / "answers.jsonl"
        figures = measure(asked, chosen, out, split=split, limit=limit, max_tokens=longest, store=kept, progress=begin)
    if as_json:
        typer.echo(json.dumps({"model": model, "digest": asked.digest, "tasks": figures}))
        return
    cut = dict(_cut(began, (asked.asked, asked.cut)))
    console = Console(markup=False)
    for task in read_results(out).tasks:
        title = f"{task.task}, profile {task.profile}, split {split}, {model}"
        table = Table(title=title, title_justify="left")
        table.add_column("metric")
        for heading in ("value", "95 % interval", "n"):
            table.add_column(heading, justify="right")
        for metric in task.metrics:
            found, scale = figures[task.task][metric.name], 100 if metric.percent else 1
            known = found["low"] is not None
            interval = f"{found['low'] * scale:.2f} .. {found['high'] * scale:.2f}" if known else "-"
            value = "-" if found["value"] is None else f"{found['value'] * scale:.2f}"
            table.add_row(metric.name, value, interval, str(found["n"]))
        console.print(table)
        for note in (*_notes(task), *_often_cut(task, *cut[task.task])):
            console.print(note, highlight=False, markup=False, soft_wrap=True)
    about = asked.about
    if sight := SIGHTS.get(about.get("pictures", "")):
        console.print(sight, highlight=False, markup=False, soft_wrap=True)
    if endpoint is not None:
        console.print(
            f"{model} is a name served at {about['url']}, not weights; of {about['asked']} answers had now, "
            f"{about['ended_at_max_tokens']} ended at the task's longest",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        from harness.models.endpoint import BLANK

        for why, count in about.get("blank", {}).items():
            console.print(
                f"{count} of {about['asked']} answers had now are blank: they {BLANK[why]}",
                highlight=False, markup=False, soft_wrap=True,
            )  # fmt: skip
    console.print(f"written to {out}", highlight=False, soft_wrap=True)


def _notes(task: TaskResult) -> list[str]:
    """What must be told of the figures, and what the other ways of reading made of the same answers."""
    unread = task.info.get("unread_by_profile")
    if not unread:
        return notes_of([task])
    counts = ", ".join(f"{count} by {name}" for name, count in unread.items())
    differently = counted(task.info["read_differently"], "is", "are")
    answers = counted(len(task.rows), "answer")
    return [*notes_of([task]), f"unread of {answers}: {counts}; {differently} not read alike by all (`strop rescore`)"]


def read_longest(given: str | None, names: Sequence[str]) -> dict[str, int]:
    """Task -> longest answers, of what `--max-tokens` says of these tasks; raises `UsageError` for anything else."""
    found: dict[str, int] = {}
    for piece in (given or "").split(",") if given is not None else ():
        name, named, tokens = piece.strip().rpartition("=")
        if named and name not in names:
            near = difflib.get_close_matches(name, names, n=1) or names
            raise UsageError(f"--max-tokens {piece}: --tasks does not name '{name}'; it names {', '.join(near)}")
        if not (tokens.isascii() and tokens.isdecimal() and int(tokens)):
            raise UsageError(f"--max-tokens {piece}: not a number of tokens above 0; say e.g. 2048 or pope=1024")
        if name in found:
            raise UsageError(f"--max-tokens {given}: {name or 'every task'} is given twice; keep one")
        found[name] = int(tokens)
    every = found.pop("", None)
    return {**({} if every is None else dict.fromkeys(names, every)), **found}


def _cut(began: Mapping[str, tuple[int, int]], now: tuple[int, int]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Task -> how many answers were given now, and how many of them ended at the longest allowed."""
    for (task, (asked, cut)), (later, later_cut) in zip(began.items(), [*[*began.values()][1:], now], strict=True):
        yield task, (later - asked, later_cut - cut)


def _often_cut(task: TaskResult, asked: int, cut: int) -> Iterator[str]:
    """A line where more answers than usual ended because they might not be longer."""
    if asked and cut / asked > CUT_SHARE:
        longest = task.sampling["max_tokens"]
        yield (
            f"{cut:,} of {counted(asked, 'answer')} had now ended at {counted(longest, 'token')}, the longest allowed: "
            f"--max-tokens {task.task}={2 * longest} allows longer ones"
        )


def tasks(
    task_path: TaskPathOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the tasks.

    **Example**

    strop tasks
    """
    from tasks.registry import usable_tasks

    if task_path is not None:
        set_places(data_folder(), task_path)
    found, unusable = usable_tasks()
    for why in unusable:
        Console(stderr=True).print(f"not usable: {why}", highlight=False, markup=False, soft_wrap=True)
    about = {name: " ".join((type(task).__doc__ or "").split("\n\n")[0].split()) for name, task in found.items()}
    if as_json:
        listed = {n: {"version": t.version, "headline": t.headline, "about": about[n]} for n, t in found.items()}
        typer.echo(json.dumps(listed))
        return
    table = Table("task", "headline", "what it asks")
    for name, task in found.items():
        table.add_row(name, task.headline, about[name])
    Console(markup=False).print(table)
