"""`strop compare`: did B do better than A? Paired by sample, with intervals, and a verdict for each task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.errors import UsageError
from harness.runs.ids import DEFAULT_RUNS, locate
from harness.wording import counted
from strop.options import ID_HELP, JsonOption, RunsOption

IDS_SHOWN = 5

SIDE_HELP = (
    f"{ID_HELP.removesuffix('.')}, of which the last round is meant; several, separated by commas, for several "
    "training seeds."
)


def compare(
    a: Annotated[str, typer.Argument(help=SIDE_HELP, show_default=False)],
    b: Annotated[str, typer.Argument(help="The same; differences are B minus A.", show_default=False)],
    margin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[METRIC=]POINTS",
            help="Ask whether B is not worse by so much, on the headline or METRIC; repeatable.",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(min=100, help="Bootstrap draws (10000, or more where many figures are corrected together)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    runs: RunsOption = DEFAULT_RUNS,
    as_json: JsonOption = False,
) -> None:
    """Compare two sets of answers sample by sample and say whether B is better.

    Pictures are resampled, not questions. The verdict goes by each task's headline metric, its p corrected after Holm
    for the number of tasks; the other metrics are corrected among themselves.

    **Examples**

    strop compare runs/honed:0 runs/honed:2

    strop compare runs/seed runs/honed --margin 1 --margin recall=0.5 --json

    strop compare runs/seed runs/honed-1,runs/honed-2,runs/honed-3
    """
    from harness.results import read_results
    from leaderboards.verdicts import compare_results

    folders = [find_seeds(side, runs) for side in (a, b)]
    sides = [[read_results(folder) for folder in seeds] for seeds in folders]
    report = compare_results(*sides, draws=draws, seed=seed, margins=read_margins(margin or ()))
    for name, seeds, results in zip(("a", "b"), folders, sides, strict=True):
        report[name] = [
            {"folder": str(folder), "model": result.model, "digest": result.digest, "digest_of": result.digest_of}
            for folder, result in zip(seeds, results, strict=True)
        ]
    typer.echo(json.dumps(report, ensure_ascii=False) if as_json else as_text(report))


def read_margins(texts: Sequence[str]) -> dict[str, float]:
    """METRIC=POINTS, or POINTS for the headline (under the empty name); raises `UsageError` for anything else."""
    margins = {}
    for text in texts:
        name, _, points = text.rpartition("=")
        try:
            margins[name] = float(points)
        except ValueError:
            margins[name] = -1.0
        if not 0 < margins[name] < float("inf"):
            raise UsageError(f"--margin {text}: not a number of points above 0; say e.g. 1.0 or recall=0.5")
    return margins


# Which folder --------------------------------------------------------------------------------------------------------


def find_seeds(side: str, runs: Path = DEFAULT_RUNS) -> list[Path]:
    """The results folders that a side of the comparison means, one for each training seed."""
    ids = [side] if Path(side).exists() else side.split(",")
    if not all(id.strip() for id in ids):
        raise UsageError("a side, or a part of it between commas, is empty; name a folder")
    return [find_results(id, runs) for id in ids]


def find_results(name: str, runs: Path = DEFAULT_RUNS) -> Path:
    """The results folder that an ID means, of a run that of its last round; raises as `harness.runs.ids.locate`."""
    return locate(name, runs, same_figures_do=True).last


# What to say ---------------------------------------------------------------------------------------------------------


def as_text(report: Mapping[str, Any]) -> str:
    """The comparison for people: percentages where a metric is one, differences in points."""
    lines = [
        f"{side.upper()}: {result['model']}  {result['digest_of']} {result['digest'][:12]}  {result['folder']}"
        for side in ("a", "b")
        for result in report[side]
    ]
    for task in report["tasks"]:
        lines += ["", *_task_text(task)]
    for side, other in (("a", "B"), ("b", "A")):
        if report[f"tasks_only_{side}"]:
            lines += ["", f"not compared, as {other} lacks them: {', '.join(report[f'tasks_only_{side}'])}"]
    for note in report["notes"]:
        lines += ["", note]
    return "\n".join([*lines, "", report["sentence"]])


def _task_text(task: Mapping[str, Any]) -> list[str]:
    from leaderboards.render import RATIO
    from leaderboards.verdicts import margin_words, moved

    if task["obstacle"]:
        return [f"not compared: {task['obstacle']}"]
    name = task["headline"]
    headline = task["metrics"][name]
    seeds = f", {len(headline['seeds'])} training seeds together" if "seeds" in headline else ""
    text = [f"{task['task']}, {counted(headline['n'], 'sample')} that both answered{seeds}: {task['verdict']}"]
    lines = _table(task)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *cells, line[-1]]).rstrip())
    text += [margin_words(metric, verdict) for metric, verdict in task["margins"].items()]
    if "seeds" in headline:
        each = [{**headline, "value": value, "low": None} for value in headline["seeds"]]
        text.append(f"{name} by training seed: {', '.join(moved(name, report) for report in each)}")
        text.append(RATIO)
    if any(report["mcnemar"] and report["mcnemar"]["clustered"] for report in task["metrics"].values()):
        text.append("several rows a picture: McNemar's p takes them to be independent; go by p (Holm)")
    for side in ("a", "b"):
        if ids := task[f"only_{side}"]:
            more = f" and {len(ids) - IDS_SHOWN} more (--json lists all)" if len(ids) > IDS_SHOWN else ""
            text.append(f"only {side.upper()} answered {len(ids)}: {', '.join(ids[:IDS_SHOWN])}{more}")
    return text


def _table(task: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Heading and a line a metric, the headline first; the columns of McNemar's test only where it is there, and of
    several training runs how much they differ, beside what pictures leave open."""
    from leaderboards.render import NOTHING, arrow, figure, interval, probability
    from leaderboards.verdicts import shown_as

    exact = any(report["mcnemar"] for report in task["metrics"].values())
    runs = len(task["metrics"][task["headline"]].get("seeds", ()))
    heading = ["metric", "A", "B", "B − A", "95 % interval", "p", "p (Holm)"]
    beside = [*(["only A/B", "McNemar p"] if exact else []), *([f"ratio, {runs} runs"] if runs else [])]
    lines = [(*heading, *beside, "detectable", "verdict")]
    for name, report in sorted(task["metrics"].items(), key=lambda item: item[0] != task["headline"]):
        metric, test = shown_as(name, report), report["mcnemar"]
        line = [
            name + arrow(metric),
            figure(report["a"], metric),
            figure(report["b"], metric),
            figure(report["value"], metric, signed=True),
            interval(report["low"], report["high"], metric, signed=True),
            probability(report["p"]),
            probability(report["p_holm"]),
        ]
        if exact:
            line += [f"{test['only_a']}/{test['only_b']}", probability(test["p"])] if test else ["", ""]
        if runs:
            line.append(NOTHING if report["ratio"] is None else f"{report['ratio']:.1f}")
        lines.append((*line, figure(report["detectable"], metric), report["verdict"]))
    return lines
