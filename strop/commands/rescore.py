"""`strop rescore`: the answers of a results folder marked again, under any profile of their task, without a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError
from harness.profiles import ALL_PROFILES
from harness.wording import names_in
from strop.commands.score.options import DisagreementsOption
from strop.commands.score.report import marked_as_json, print_marked, write_disagreements
from strop.models import open_judge, with_judge
from strop.options import DataOption, JsonOption, JudgeEndpointOption, JudgeOption, PluginPathOption, writable_folder
from strop.places import data_root, set_plugin_path
from tasks.data.root import DEFAULT_DATA


def rescore(
    folder: Annotated[Path, typer.Argument(help="A results folder that `strop eval` wrote.", show_default=False)],
    profile: Annotated[str, typer.Option(help="The profile to mark by, or all, side by side.")] = ALL_PROFILES,
    tasks: Annotated[
        str | None, typer.Option(help="Names of tasks, separated by commas; default: all in the folder.")
    ] = None,
    judge: JudgeOption = None,
    judge_endpoint: JudgeEndpointOption = None,
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

    The tasks' data are needed as they were when the model was asked, and no model, unless as a judge (--judge): it is
    shown what strict does not read in answers to ScienceQA and MathVista, and says the short answer in them.

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
    names = names_in(tasks) if tasks else [one.task for one in results.tasks]
    asked = open_judge(judge, judge_endpoint)
    marked = []
    for name in names:
        result, task = results.task(name), find_task(name, data_root(data))
        samples = samples_of(task, result.split)
        wanted = list(profiles_of(task)) if profile == ALL_PROFILES else [profile]
        each = remark_each(result, task, samples, wanted)
        if asked and can_judge(samples):
            known = {sample.id: sample for sample in samples}
            each = with_judge(asked, each, [known[row.id] for row in result.rows], profiles_of(task)[PLAIN], data)
        marked.append(each)
    if asked and not any("judge" in one.info for group in marked for one in group):
        raise UsageError(f"a judge reads answers to ScienceQA and MathVista; {folder} holds others, leave --judge away")
    write_disagreements(disagreements, marked)
    figures = [[estimate(one.rows, one.metrics) for one in group] for group in marked]
    if out is not None:
        chosen = tuple(group[0] for group in marked)
        provenance = {**results.provenance, "rescored": f"profile {profile}"}
        plain = {one.task: as_plain(found[0]) for one, found in zip(chosen, figures, strict=True)}
        write_results(out, replace(results, tasks=chosen, provenance=provenance), plain)
    if as_json:
        pairs = [pair for group, found in zip(marked, figures, strict=True) for pair in zip(group, found, strict=True)]
        typer.echo(json.dumps([marked_as_json(*pair) for pair in pairs], ensure_ascii=False, allow_nan=False))
        return
    for group, found in zip(marked, figures, strict=True):
        print_marked(group, found)
