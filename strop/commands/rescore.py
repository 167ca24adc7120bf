"""`strop rescore`: the answers of a results folder marked again, under any profile of their task, without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError
from harness.models.options import ModelOptions
from harness.profiles import ALL_PROFILES
from harness.wording import names_in
from strop.commands.score.options import DisagreementsOption
from strop.commands.score.report import marked_as_json, print_marked, write_disagreements
from strop.models import open_judge, with_judge
from strop.options import (
    AttnImplementationOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    JudgeEndpointOption,
    JudgeOption,
    PluginPathOption,
    writable_folder,
)
from strop.places import data_root, set_plugin_path
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.results import TaskResult
    from harness.stats import Estimate


def rescore(
    folder: Annotated[Path, typer.Argument(help="A results folder that `strop eval` wrote.", show_default=False)],
    profile: Annotated[str, typer.Option(help="The profile to mark by, or all, side by side.")] = ALL_PROFILES,
    tasks: Annotated[
        str | None, typer.Option(help="Names of tasks, separated by commas; default: all in the folder.")
    ] = None,
    judge: JudgeOption = None,
    judge_endpoint: JudgeEndpointOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    data: DataOption = DEFAULT_DATA,
    plugin_path: PluginPathOption = None,
    disagreements: DisagreementsOption = None,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also write a results folder of that one profile.", callback=writable_folder),
    ] = None,
) -> None:
    """Score the stored answers of a results folder again, under any profile.

    Every profile of a task comes from one pass of a model, at no further cost.

    The tasks' data must be those that the model was asked. No model is needed, unless as a judge (--judge), which
    reads the answers to ScienceQA and MathVista that strict leaves unread.

    **Examples**

    strop rescore runs/mine

    strop rescore runs/mine --tasks pope --profile strict --out runs/mine-strict
    """
    from harness.marking import remark_each
    from harness.profiles import PLAIN, profiles_of
    from harness.results import read_results, write_results
    from harness.stats import as_plain, estimate
    from harness.task_faults import samples_of
    from tasks.reading.answer_judge import can_judge
    from tasks.registry import find_task

    set_plugin_path(plugin_path)
    if judge and profile not in (PLAIN, ALL_PROFILES):
        raise UsageError(
            f"--judge is asked about what {PLAIN} leaves unread; name {PLAIN} or {ALL_PROFILES} by --profile"
        )
    if out is not None and profile == ALL_PROFILES:
        raise UsageError("--out holds one profile; name it, or leave --out away to see all of them")
    if out is not None and out.exists():
        raise UsageError(f"--out {out} is there already; name another folder or remove it")
    results = read_results(folder)
    names = names_in(tasks) if tasks else [result.task for result in results.tasks]
    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    opened = open_judge(judge, judge_endpoint, options)
    marked = []
    for name in names:
        result, task = results.task(name), find_task(name, data_root(data))
        samples = samples_of(task, result.split)
        profiles = list(profiles_of(task)) if profile == ALL_PROFILES else [profile]
        by_profile = remark_each(result, task, samples, profiles)
        if opened and can_judge(samples):
            by_id = {sample.id: sample for sample in samples}
            answered = [by_id[row.id] for row in result.rows]
            by_profile = with_judge(opened, by_profile, answered, profiles_of(task)[PLAIN], data)
        marked.append(by_profile)
    if opened and not any("judge" in result.info for by_profile in marked for result in by_profile):
        raise UsageError(f"a judge reads answers to ScienceQA and MathVista; {folder} holds others, leave --judge away")
    write_disagreements(disagreements, marked)
    figures = [[estimate(result.rows, result.metrics) for result in by_profile] for by_profile in marked]
    if out is not None:
        alone = tuple(by_profile[0] for by_profile in marked)
        provenance = {**results.provenance, "rescored": f"profile {profile}"}
        plain = {result.task: as_plain(estimates[0]) for result, estimates in zip(alone, figures, strict=True)}
        write_results(out, replace(results, tasks=alone, provenance=provenance), plain)
    _print(marked, figures, as_json)


def _print(
    marked: Sequence[Sequence[TaskResult]], figures: Sequence[Sequence[Mapping[str, Estimate]]], as_json: bool
) -> None:
    """`marked` and `figures` hold for each task its results by profile."""
    if as_json:
        pairs = [
            pair
            for by_profile, estimates in zip(marked, figures, strict=True)
            for pair in zip(by_profile, estimates, strict=True)
        ]
        typer.echo(json.dumps([marked_as_json(*pair) for pair in pairs], ensure_ascii=False, allow_nan=False))
        return
    for by_profile, estimates in zip(marked, figures, strict=True):
        print_marked(by_profile, estimates)
