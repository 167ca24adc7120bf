"""`strop plan`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.errors import UsageError
from harness.models.hub import bytes_text
from strop.options import (
    AttnImplementationOption,
    ChangesOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    PluginPathOption,
    SeedModelOption,
    with_placement,
)
from strop.places import data_root, set_plugin_path
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.models.footprint import Memory
    from loops.plan import Plan

UNITS = {"": 1, "MB": 10**6, "GB": 10**9, "MIB": 2**20, "GIB": 2**30}

COLUMNS = ("weights", "cache", "activations", "optimiser", "total")


def plan(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of one that comes with Strop.")],
    changes: ChangesOption = None,
    model: SeedModelOption = None,
    device_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory of a GPU to plan for, such as 80GB or 24GiB. Default: that of the device here.",
            show_default=False,
        ),
    ] = None,
    picture: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Size of the pictures in pixels, such as 640x480. Default: the largest of the pool's first.",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what memory each stage of a recipe takes, before anything is loaded.

    Only config.json of the model is needed, with its processor's files where they are there; of a hub id no weights are
    downloaded. Each stage is reckoned at its peak, with answers of full length. A stage that does not fit is
    shown with the changes of the recipe by which it does.

    **Examples**

    strop plan judge_free

    strop plan judge_free --model my/qwen --device-memory 80GB --picture 640x480

    strop plan my.yaml --device-memory 24GB --set optimise.quantise=nf4 --json
    """
    set_plugin_path(plugin_path)
    size = None if device_memory is None else _bytes_of(device_memory)
    shown = None if picture is None else _sides_of(picture)

    from loops.plan import plan_memory
    from strop.progress import spinner
    from strop.running import open_recipe, setting

    named = [f"model={json.dumps(model)}"] if model is not None else []
    changed = with_placement([*named, *(changes or ())], device, dtype, attn_implementation)
    opened = open_recipe(recipe, changed)
    target = opened.device or ("cuda" if size is not None or _has_gpu() else "cpu")
    with spinner() as tell:
        tell("planning")
        planned = plan_memory(
            opened, setting(data_root(data)), device=target, size=size or _memory_of(target), picture=shown
        )
    if as_json:
        typer.echo(json.dumps(_as_json(planned)))
        return
    for line in (*_about(planned), *_table_lines(planned), *_verdict(planned)):
        typer.echo(line)


def _about(planned: Plan) -> Iterator[str]:
    outline, question = planned.outline, planned.question
    parts = ", ".join(f"{name} {count:,}" for name, count in outline.parts.items())
    yield f"{outline.name}: {outline.weights:,} weights ({parts})"
    tokens = question.head + question.tail
    source = "" if outline.processor else ", by config.json alone: the files of its processor are not there"
    yield f"a question: {tokens:,} tokens, {question.picture:,} of them its picture's{source}"


def _table(planned: Plan) -> Table:
    table = Table("stage", "weights in", "at once", box=SIMPLE_HEAD)
    for name in (*COLUMNS, "fits"):
        table.add_column(name, justify="right")
    for name, stage in planned.stages.items():
        things = "" if stage.batch is None else f"{stage.batch} {stage.things}"
        fits = {True: "yes", False: "no", None: "–"}[planned.fits(name)]
        table.add_row(name, stage.dtype, things, *_sizes(stage.memory), fits)
        if stage.remedied is not None:
            table.add_row("  changed as below", "", "", *_sizes(stage.remedied), "yes")
    return table


def _table_lines(planned: Plan) -> Iterator[str]:
    console = Console(width=140, markup=False, highlight=False)
    with console.capture() as captured:
        console.print(_table(planned))
    return (line.rstrip() for line in captured.get().splitlines())


def _sizes(memory: Memory) -> Iterator[str]:
    for name in COLUMNS:
        yield bytes_text(getattr(memory, name)) if getattr(memory, name) else "–"


def _verdict(planned: Plan) -> Iterator[str]:
    where = "the processor" if planned.device == "cpu" else planned.device
    if planned.room is None:
        yield f"the memory of {where} is not known; name it by --device-memory"
        return
    yield f"on {where} {bytes_text(planned.room)} are planned with: a tenth is left for what is not counted"
    for name, stage in planned.stages.items():
        if planned.fits(name):
            continue
        if stage.remedy:
            yield f"{name} fits with {' '.join(f'--set {change}' for change in stage.remedy)}"
        else:
            yield f"{name} does not fit, and no field of the recipe makes it; take a smaller model or more memory"


def _as_json(planned: Plan) -> dict[str, Any]:
    question = planned.question
    return {
        "model": planned.outline.name,
        "weights": planned.outline.weights,
        "parts": dict(planned.outline.parts),
        "question": {"tokens": question.head + question.tail, "picture_tokens": question.picture},
        "processor": planned.outline.processor is not None,
        "device": planned.device,
        "room": planned.room,
        "stages": {
            name: {
                "dtype": stage.dtype,
                "at_once": stage.batch,
                **_as_fields(stage.memory),
                "fits": planned.fits(name),
                "remedy": list(stage.remedy),
                "remedied": None if stage.remedied is None else _as_fields(stage.remedied),
            }
            for name, stage in planned.stages.items()
        },
    }


def _as_fields(memory: Memory) -> dict[str, int]:
    return {name: getattr(memory, name) for name in COLUMNS}


def _bytes_of(size: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", size.strip())
    if match is None or match[2].upper() not in UNITS or not float(match[1]):
        raise UsageError(f"--device-memory {size}: is no size; write 80GB, 24GiB, or bytes")
    return int(float(match[1]) * UNITS[match[2].upper()])


def _sides_of(picture: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", picture.strip())
    if match is None:
        raise UsageError(f"--picture {picture}: is no size in pixels; write 640x480")
    return int(match[1]), int(match[2])


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _memory_of(device: str) -> int | None:
    """Bytes of a device's memory; None of a GPU that is not here."""
    import torch

    if device == "cpu":
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(torch.cuda.get_device_properties(device).total_memory) if torch.cuda.is_available() else None
