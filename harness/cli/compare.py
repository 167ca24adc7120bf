"""`strop compare`: did B do better than A? Paired by sample, with intervals, and a verdict for each task."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import DataError, UsageError

if TYPE_CHECKING:
    from harness.results import Results
    from harness.stats import Difference
    from harness.types import Metric
    from leaderboards.paired import TaskPair

SIGNIFICANT = 0.05

SEARCH_DEPTH = 5  # ./runs/NAME/round-2/eval/results.json lies five levels down

IDS_SHOWN = 5

SIDE_HELP = (
    "a results folder, a run (its last round), RUN:2 or RUN/round-2, or the first digits of a weights digest, looked "
    "up under ./runs and here."
)


def compare(
    a: Annotated[str, typer.Argument(help=SIDE_HELP, show_default=False)],
    b: Annotated[str, typer.Argument(help="The same; differences are B minus A.", show_default=False)],
    draws: Annotated[int, typer.Option(min=100, help="Bootstrap draws.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Compare two sets of answers sample by sample and say whether B is better.

    Pictures are resampled, not questions. The verdict goes by each task's headline metric, its p corrected after Holm
    for the number of tasks; the other metrics are corrected among themselves.

    [bold]Examples[/]

    strop compare runs/honed:0 runs/honed:2

    strop compare runs/seed runs/honed --json

    strop compare 3fa94c12 runs/honed/round-1
    """
    from harness.results import read_results

    folders = [find_results(one) for one in (a, b)]
    report = compare_results(*(read_results(folder) for folder in folders), draws=draws, seed=seed)
    for side, folder in zip(("a", "b"), folders, strict=True):
        report[side] = {"folder": str(folder), **report[side]}
    typer.echo(json.dumps(report, ensure_ascii=False) if as_json else as_text(report))


def compare_results(a: Results, b: Results, *, draws: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """The comparison as plain values, which `--json` prints; figures are fractions.

    Raises `DataError` when no task can be compared.
    """
    from leaderboards.paired import pair_tasks

    pairs = pair_tasks(a, b, draws=draws, seed=seed)
    if not pairs:
        raise DataError(
            f"nothing to compare: A holds {_names(a)}, B holds {_names(b)}; evaluate both on the same tasks"
        )
    if all(pair.obstacle for pair in pairs):
        raise DataError("nothing to compare: " + "; ".join(str(pair.obstacle) for pair in pairs))
    corrected = _corrected(pairs)
    tasks = [_task_report(pair, corrected) for pair in pairs]
    held = [{task.task for task in side.tasks} for side in (a, b)]
    return {
        "a": {"model": a.model, "digest": a.digest},
        "b": {"model": b.model, "digest": b.digest},
        "draws": draws,
        "tasks": tasks,
        "tasks_only_a": sorted(held[0] - held[1]),
        "tasks_only_b": sorted(held[1] - held[0]),
        "verdict": _overall([task["verdict"] for task in tasks if task["verdict"]]),
        "sentence": _sentence(tasks),
    }


def find_results(name: str) -> Path:
    """The results folder that a name on the command line means; raises `UsageError` saying where it was looked for."""
    for folder, number in _readings(name):
        if found := _results_in(folder, number):
            return found
    if Path(name).is_dir():
        raise DataError(
            f"{name} holds no finished results (no results.json, no eval/results.json, no round-0/eval/results.json); "
            "name a folder that `strop eval --out`, `strop score --out` or `strop run` wrote"
        )
    if re.fullmatch(r"[0-9a-f]{4,64}", name):
        return _by_digest(name)
    if match := re.fullmatch(r"(.+):(\d+)", name):
        raise DataError(
            f"{match[1]} has no finished evaluation of round {match[2]}; `strop run` it on, or name another"
        )
    raise UsageError(f"{name} is no folder and no weights digest (4 to 64 hex digits); name: {SIDE_HELP}")


def as_text(report: Mapping[str, Any]) -> str:
    """The comparison for people: percentages where a metric is one, differences in points."""
    lines = [
        f"{side.upper()}: {report[side]['model']}  weights {report[side]['digest'][:12]}  "
        f"{report[side].get('folder', '')}".rstrip()
        for side in ("a", "b")
    ]
    for task in report["tasks"]:
        lines += ["", *_task_text(task)]
    for side, other in (("a", "B"), ("b", "A")):
        if report[f"tasks_only_{side}"]:
            lines += ["", f"not compared, as {other} lacks them: {', '.join(report[f'tasks_only_{side}'])}"]
    return "\n".join([*lines, "", report["sentence"]])


# Which folder --------------------------------------------------------------------------------------------------------


def _readings(name: str) -> Iterator[tuple[Path, int | None]]:
    yield Path(name), None
    if match := re.fullmatch(r"(.+):(\d+)", name):
        yield Path(match[1]), int(match[2])


def _results_in(folder: Path, number: int | None) -> Path | None:
    if number is not None:
        places = [folder / f"round-{number}" / "eval"]
    else:
        from leaderboards.ledger import finished_rounds

        places = [folder, folder / "eval", *list(finished_rounds(folder).values())[-1:]]
    return next((place for place in places if (place / "results.json").is_file()), None)


def _by_digest(prefix: str) -> Path:
    from harness.files import read_json

    found: list[tuple[Path, str, Any]] = []
    for path in _results_files():
        content = read_json(path)
        digest = content.get("digest") if isinstance(content, dict) else None
        if isinstance(digest, str) and digest.startswith(prefix):
            found.append((path.parent, digest, content.get("tasks")))
    if not found:
        raise UsageError(f"no results of weights {prefix}... under ./runs or here; name the folder instead")
    first, *others = found
    # Runs share their seed, whose answers then lie in several folders: any will do if they say the same.
    if any((digest, tasks) != first[1:] for _, digest, tasks in others):
        folders = ", ".join(str(folder) for folder, _, _ in found)
        raise UsageError(f"{prefix} fits several results that differ: {folders}; name one of the folders")
    return first[0]


def _results_files() -> list[Path]:
    seen: dict[Path, Path] = {}
    for root in (Path("runs"), Path()):
        for folder, below, files in os.walk(root):
            here = Path(folder)
            deep = len(here.relative_to(root).parts) >= SEARCH_DEPTH
            below[:] = [] if deep else sorted(one for one in below if not one.startswith((".", "_")))
            if "results.json" in files:
                seen.setdefault((here / "results.json").resolve(), here / "results.json")
    return list(seen.values())


# What to say ---------------------------------------------------------------------------------------------------------


def _names(results: Results) -> str:
    return ", ".join(task.task for task in results.tasks) or "no task"


def _corrected(pairs: list[TaskPair]) -> dict[tuple[str, str], float]:
    """Holm's p by task and metric, in two families: headlines, which the verdict goes by, and all others."""
    from harness.stats import holm

    found: dict[tuple[str, str], float] = {}
    for headlines in (True, False):
        family = {
            json.dumps([pair.a.task, name]): one.p
            for pair in pairs
            for name, one in pair.differences.items()
            if one.p is not None and (name == pair.a.headline) == headlines
        }
        for key, p in holm(family).items():
            task, name = json.loads(key)
            found[task, name] = p
    return found


def _task_report(pair: TaskPair, corrected: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    report: dict[str, Any] = {"task": pair.a.task, "headline": pair.a.headline, "obstacle": pair.obstacle}
    if pair.obstacle:
        return {**report, "verdict": None, "metrics": {}, "only_a": [], "only_b": []}
    headline = next(metric for metric in pair.metrics if metric.name == pair.a.headline)
    found = pair.differences[headline.name]
    return {
        **report,
        "verdict": _verdict(headline, found, corrected.get((pair.a.task, headline.name))),
        "metrics": {
            metric.name: _metric_report(
                metric, pair.differences[metric.name], corrected.get((pair.a.task, metric.name))
            )
            for metric in pair.metrics
        },
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
    }


def _metric_report(metric: Metric, found: Difference, p_holm: float | None) -> dict[str, Any]:
    plain = dataclasses.asdict(found)
    figures = {key: plain[key] for key in ("a", "b", "value", "low", "high", "p", "n")}
    return {**figures, "p_holm": p_holm, "better": metric.better, "percent": metric.percent}


def _verdict(metric: Metric, found: Difference, p_holm: float | None) -> str:
    if found.value is None or p_holm is None or p_holm >= SIGNIFICANT:
        return "no difference seen"
    if metric.better == "neither":
        return "different"
    return "better" if (found.value > 0) == (metric.better == "higher") else "worse"


def _overall(verdicts: list[str]) -> str:
    said = set(verdicts) - {"no difference seen"}
    if not said:
        return "no difference seen"
    return said.pop() if len(said) == 1 else "mixed"


def _sentence(tasks: list[dict[str, Any]]) -> str:
    words = {
        "better": "B is better",
        "worse": "B is worse",
        "different": "B differs",
        "no difference seen": "no difference seen",
    }
    said = [f"{task['task']}: {words[task['verdict']]} ({_grounds(task)})" for task in tasks if task["verdict"]]
    return "Verdict. " + "; ".join(said) + "."


def _grounds(task: Mapping[str, Any]) -> str:
    from leaderboards.paired import EQUAL_RECALL
    from leaderboards.render import probability

    found = task["metrics"][task["headline"]]
    words = f"{task['headline']} {_moved(task['headline'], found)}, p {probability(found['p_holm'])}"
    matched = task["metrics"].get(EQUAL_RECALL.name)
    if matched is None:
        return words
    words += f"; at equal recall {_moved(EQUAL_RECALL.name, matched)}"
    if task["verdict"] == "better" and (matched["high"] is None or matched["high"] >= 0):
        words += ": saying less may explain it"
    return words


def _moved(name: str, found: Mapping[str, Any]) -> str:
    from leaderboards.render import figure, interval

    metric = _shown_as(name, found)
    moved = figure(found["value"], metric, signed=True)
    return f"{moved} {interval(found['low'], found['high'], metric, signed=True)}".rstrip()


def _shown_as(name: str, found: Mapping[str, Any]) -> Metric:
    from harness.types import Metric

    return Metric(name=name, better=found["better"], percent=found["percent"])


def _task_text(task: Mapping[str, Any]) -> list[str]:
    from leaderboards.render import arrow, figure, interval, probability

    if task["obstacle"]:
        return [f"not compared: {task['obstacle']}"]
    headline = task["metrics"][task["headline"]]
    lines = [("metric", "A", "B", "B − A", "95 % interval", "p", "p (Holm)")]
    for name, found in sorted(task["metrics"].items(), key=lambda item: item[0] != task["headline"]):
        metric = _shown_as(name, found)
        lines.append(
            (
                name + arrow(metric),
                figure(found["a"], metric),
                figure(found["b"], metric),
                figure(found["value"], metric, signed=True),
                interval(found["low"], found["high"], metric, signed=True),
                probability(found["p"]),
                probability(found["p_holm"]),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [f"{task['task']}, {headline['n']} samples that both answered: {task['verdict']}"]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *cells]).rstrip())
    for side in ("a", "b"):
        if ids := task[f"only_{side}"]:
            more = f" and {len(ids) - IDS_SHOWN} more (--json lists all)" if len(ids) > IDS_SHOWN else ""
            text.append(f"only {side.upper()} answered {len(ids)}: {', '.join(ids[:IDS_SHOWN])}{more}")
    return text
