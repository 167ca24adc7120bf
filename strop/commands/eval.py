"""`strop eval`: asks a model the questions of tasks and marks its answers."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.errors import UsageError
from harness.models.options import ModelOptions
from harness.wording import counted
from strop.evaluation import evaluate as ask_and_mark
from strop.evaluation import find_tasks
from strop.models import PARALLEL, load_apart, load_model, open_account, refuse_with_endpoint
from strop.notes import notes_of
from strop.options import (
    AdapterOption,
    AttnImplementationOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    EndBiasOption,
    EndpointOption,
    GenerationConfigOption,
    IncludePathOption,
    JsonOption,
    LimitOption,
    MaxThoughtTokensOption,
    ModelOption,
    ParallelOption,
    PicturesOption,
    PluginPathOption,
    SplitOption,
    SystemOption,
    ThinkingOption,
    writable_folder,
)
from strop.places import set_include_path, set_plugin_path
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.measure import Measured
    from harness.models.account import Price
    from harness.results import Results, TaskResult
    from harness.stats import Estimate
    from strop.evaluation import Evaluation, Lengths

PICTURE_NOTES = {
    "padded": "pictures were padded to squares, as LLaVA's authors pad them",
    "cropped": "pictures were cut to their middle squares, by the model's processor; --pictures pad shows all of them",
}
"""The line about how pictures were shown, where not as they are."""

CUT_SHARE = 0.2
"""Above this share of answers that ended at the longest allowed, it is told."""


def evaluate(
    model: ModelOption,
    tasks: Annotated[str, typer.Option(help="Names of tasks, separated by commas; `strop tasks` lists them.")],
    out: Annotated[Path, typer.Option(help="Folder for the marked answers and figures.", callback=writable_folder)],
    adapter: AdapterOption = None,
    apart: Annotated[
        bool,
        typer.Option(
            help="Ask each --adapter by itself, into a folder of its name in --out; the base weights are read once."
        ),
    ] = False,
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
    max_thought_tokens: MaxThoughtTokensOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    pictures: PicturesOption = None,
    system: SystemOption = None,
    thinking: ThinkingOption = None,
    generation_config: GenerationConfigOption = "model",
    end_bias: EndBiasOption = 0.0,
    endpoint: EndpointOption = None,
    parallel: ParallelOption = PARALLEL,
    price: Annotated[
        str | None,
        typer.Option(
            metavar="PROMPT,GENERATED", help="What an endpoint's million prompt tokens costs, and a million generated."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Ask an endpoint no more once the answers in --out have cost so much, in the currency of --price; "
            "without --price, so many tokens.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    include_path: IncludePathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model the questions of some tasks and mark its answers.

    Stopped half-way, the same command goes on at the sample where it stopped.

    **Examples**

    strop eval --model pictos-seed --tasks pictos_pope,pictos_chair --limit 500 --out runs/seed

    strop eval --model runs/demo/round-2/optimise/checkpoint --tasks pictos_captions --out runs/honed

    strop eval --model my/llava --endpoint http://localhost:8000/v1 --tasks pictos_pope --out runs/served

    strop eval --model m --endpoint http://localhost:8000/v1 --tasks pope --price 0.15,0.6 --budget 2 --out runs/paid

    strop eval --model my/llava --adapter runs/a/round-1 --adapter runs/b/round-1 --apart --tasks pope --out runs/both

    strop eval --model my/llava --tasks chair --end-bias -0.5 --out runs/wordy

    strop eval --model my/thinker --tasks pope,mathvista --max-thought-tokens 4096 --out runs/thinker

    strop eval --model runs/demo/round-2/optimise/checkpoint --tasks lm_eval:hellaswag,lm_eval:mmmu_val --out runs/kept
    """
    set_plugin_path(plugin_path)
    set_include_path(include_path)
    chosen = find_tasks(tasks, data=data)
    if not chosen:
        raise UsageError("--tasks names no task; `strop tasks` lists them")
    longest = read_longest(max_tokens, [task.name for task in chosen])
    options = ModelOptions(
        device=device, dtype=dtype, attn_implementation=attn_implementation, pictures=pictures, system=system,
        thinking=thinking, generation_config=generation_config, end_bias=end_bias,
    )  # fmt: skip
    models: Iterable[tuple[str, Measured]]
    if apart:
        if endpoint is not None:
            refuse_with_endpoint(options, adapter)
        models = zip(names_apart(adapter or []), load_apart(model, adapter or [], **options.keywords), strict=True)
    else:
        loaded = load_model(
            model, adapter=adapter or None, endpoint=endpoint, parallel=parallel, **options.keywords
        )  # fmt: skip
        open_account(loaded, out, read_price(price), budget)
        models = [("", loaded)]
    for name, loaded in models:
        evaluation = ask_and_mark(
            loaded, chosen, split=split, limit=limit, max_tokens=longest, max_thought_tokens=max_thought_tokens,
            out=out / name, progress=True,
        )  # fmt: skip
        if as_json:
            typer.echo(json.dumps({"model": model, "digest": loaded.digest, "tasks": evaluation.figures()}))
        else:
            _print(evaluation)


def read_price(text: str | None) -> Price | None:
    """The two prices of `--price`; raises `UsageError` for anything else."""
    from harness.models.account import Price

    if text is None:
        return None
    try:
        prompt, generated = (float(piece) for piece in text.split(","))
    except ValueError:
        prompt = generated = -1.0
    if not (0 <= prompt < float("inf") and 0 <= generated < float("inf")):
        raise UsageError(f"--price {text}: not two prices of a million tokens; say e.g. 0.15,0.6")
    return Price(prompt=prompt, generated=generated)


def names_apart(adapters: Sequence[str]) -> list[str]:
    """A folder's name for each adapter: what is left of its path without the parts that all begin and end with.

    Raises `UsageError` where there is none, or one twice.

    Example:
        >>> names_apart(["runs/a/round-1/checkpoint", "runs/b/round-2/checkpoint"])
        ['a-round-1', 'b-round-2']
    """
    paths = [[part for part in adapter.split("/") if part not in ("", ".", "..")] for adapter in adapters]
    if not paths:
        raise UsageError("--apart asks each --adapter by itself; name at least one")
    for step in (1, -1):  # what all begin with, then what all end with, but never all of a path
        ordered = [path[::step] for path in paths]
        alike = takewhile(lambda parts: len(set(parts)) == 1, zip(*ordered, strict=False))
        shared = min(len(list(alike)), *(len(path) - 1 for path in ordered))
        paths = [path[shared:][::step] for path in ordered]
    names = ["-".join(path) for path in paths]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"--adapter: two are called {twice[0]}; with --apart give each a path of its own, once")
    return names


def _print(evaluation: Evaluation) -> None:
    """A table a task with the notes on its figures; how pictures were shown; where all is written."""
    console = Console(markup=False, highlight=False)
    for result, figures in evaluation.pairs():
        console.print(_table(result, figures, evaluation.results.model))
        for note in (*_notes(result), *_often_cut(result, evaluation.lengths[result.task])):
            console.print(note, soft_wrap=True)
    for note in _model_notes(evaluation.results):
        console.print(note, soft_wrap=True)
    console.print(f"written to {evaluation.folder}", soft_wrap=True)


def _table(result: TaskResult, figures: Mapping[str, Estimate], model: str) -> Table:
    title = f"{result.task}, profile {result.profile}, split {result.split}, {model}"
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for heading in ("value", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    for metric in result.metrics:
        figure, scale = figures[metric.name], 100 if metric.percent else 1
        low, high = figure.low, figure.high
        interval = "-" if low is None or high is None else f"{low * scale:.2f} .. {high * scale:.2f}"
        value = "-" if figure.value is None else f"{figure.value * scale:.2f}"
        table.add_row(metric.name, value, interval, str(figure.n))
    return table


def _model_notes(results: Results) -> Iterator[str]:
    """How pictures were shown, and of a served model where it is and which answers are blank."""
    about = results.provenance["model"]
    if note := PICTURE_NOTES.get(about.get("pictures", "")):
        yield note
    yield from (f"{part} of {about[part]}" for part in about if part == "weights" or part.startswith("adapter"))
    if "url" not in about:
        return
    yield (
        f"{results.model} is a name served at {about['url']}, not weights; of {about['asked']} answers had now, "
        f"{about['ended_at_max_tokens']} ended at the task's longest"
    )
    if "spent" in about:
        yield f"all answers kept there took {about['spent']}"
    from harness.models.replies import BLANK

    for why, count in about.get("blank", {}).items():
        yield f"{count} of {about['asked']} answers had now are blank: they {BLANK[why]}"


def _notes(result: TaskResult) -> list[str]:
    """Notes on the figures, and the figures of the other profiles over the same answers."""
    unread = result.info.get("unread_by_profile")
    if not unread:
        return notes_of([result])
    counts = ", ".join(f"{count} by {name}" for name, count in unread.items())
    differently = counted(result.info["read_differently"], "is", "are")
    answers = counted(len(result.rows), "answer")
    return [
        *notes_of([result]),
        f"unread of {answers}: {counts}; {differently} not read alike by all (`strop rescore`)",
    ]


def read_longest(text: str | None, names: Sequence[str]) -> dict[str, int]:
    """Task -> longest answers, of the text of `--max-tokens` for these tasks; raises `UsageError` for anything else."""
    lengths: dict[str, int] = {}
    for piece in (text or "").split(",") if text is not None else ():
        name, equals, tokens = piece.strip().rpartition("=")
        if equals and name not in names:
            near = difflib.get_close_matches(name, names, n=1) or names
            raise UsageError(f"--max-tokens {piece}: --tasks does not name '{name}'; it names {', '.join(near)}")
        if not (tokens.isascii() and tokens.isdecimal() and int(tokens)):
            raise UsageError(f"--max-tokens {piece}: not a number of tokens above 0; say e.g. 2048 or pope=1024")
        if name in lengths:
            raise UsageError(f"--max-tokens {text}: {name or 'every task'} is given twice; keep one")
        lengths[name] = int(tokens)
    every = lengths.pop("", None)
    return {**({} if every is None else dict.fromkeys(names, every)), **lengths}


def _often_cut(result: TaskResult, lengths: Lengths) -> Iterator[str]:
    """A line where more answers than usual ended at the longest allowed."""
    if lengths.answers and lengths.at_longest / lengths.answers > CUT_SHARE:
        longest = result.sampling["max_tokens"]
        yield (
            f"{lengths.at_longest:,} of {counted(lengths.answers, 'answer')} had now ended at "
            f"{counted(longest, 'token')}, the longest allowed: "
            f"--max-tokens {result.task}={2 * longest} allows longer ones"
        )
