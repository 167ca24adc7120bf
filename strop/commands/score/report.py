"""The one way of `strop score`: mark, estimate, write, print."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.errors import UsageError
from harness.models.options import ModelOptions
from harness.profiles import ALL_PROFILES, PLAIN
from harness.wording import counted, one_line
from strop.notes import notes_of
from strop.scoring import Judged, refuse_profiles, score_answered, write_scores

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.marking import Answered
    from harness.results import TaskResult
    from harness.stats import Estimate
    from tasks.chair.cut import Cut

    Curves = Sequence[tuple[Cut, Mapping[str, Estimate]]]

SHOWN = 5
"""How many of the answers that profiles read differently are printed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where figures go: printed, as JSON if `as_json`; into the results folder `out`, the model called `name`; the
    answers that profiles read differently into the file `disagreements`.

    Raises `UsageError` where `profile` stands for all of them and `out` holds one.
    """

    profile: str | None
    as_json: bool
    out: Path | None
    name: str | None
    disagreements: Path | None

    def __post_init__(self) -> None:
        refuse_profiles(self.out is not None and self.profile == ALL_PROFILES)


def score(
    output: Output,
    answered: Mapping[str, Answered],
    judged: Judged | None = None,
    curves: Callable[[Answered], Curves] | None = None,
) -> None:
    """Mark the answers of a file under each profile, estimate, write, and print: figures are shown only after they are
    safe. `judged` adds a judge's opinions, `curves` are those of the captions cut short."""
    from harness.files import write_json

    evaluation = score_answered(answered, name=output.name, judged=judged)
    results, estimates = evaluation.results.tasks, evaluation.estimates
    cut = curves(next(iter(answered.values()))) if curves else None
    write_disagreements(output.disagreements, [results])
    if output.out is not None:
        write_scores(evaluation, output.out)
        beside = output.out / f"{results[0].task}_cut.json"
        if cut is None:
            beside.unlink(missing_ok=True)  # that of an earlier call, perhaps against another truth
        else:
            write_json(beside, curves_as_json(cut))
    if output.as_json:
        shown = [marked_as_json(result, figures) for result, figures in zip(results, estimates, strict=True)]
        if cut is not None:
            shown[0]["cut"] = curves_as_json(cut)
        typer.echo(json.dumps(shown[0] if len(shown) == 1 else shown, ensure_ascii=False, allow_nan=False))
        return
    print_marked(results, estimates)
    if cut is not None:
        _print_curves(cut)


def judged_profile(judge: str | None, profile: str | None) -> str | None:
    """The profile to mark by where there may be a judge, who is shown what `strict` leaves unread: then the default.

    Raises `UsageError` where there is a judge and `strict` is not among the profiles.
    """
    if judge is None:
        return profile
    if profile not in (None, PLAIN, ALL_PROFILES):
        raise UsageError(
            f"--judge is asked about what {PLAIN} leaves unread; leave --profile away, or name {PLAIN} or all"
        )
    return profile or PLAIN


def judge_answers(judge: str | None, endpoint: str | None, data: Path, options: ModelOptions) -> Judged | None:
    """What adds the opinions of a judge of short answers to results, None where there is no judge."""
    from strop.models import open_judge

    opened = open_judge(judge, endpoint, options)
    return partial(_judged, opened, data) if opened else None


def _judged(judge: Judge, data: Path, results: Sequence[TaskResult], answered: Answered) -> list[TaskResult]:
    from harness.profiles import profiles_of
    from strop.models import with_judge

    return with_judge(judge, results, answered.samples, profiles_of(answered.task)[PLAIN], data)


def marked_as_json(result: TaskResult, figures: Mapping[str, Estimate]) -> dict[str, Any]:
    from harness.stats import as_plain

    metrics = as_plain(figures)
    about = {"info": dict(result.info), "notes": notes_of([result])}
    return {"task": result.task, "profile": result.profile, "metrics": metrics, **about}


def curves_as_json(curves: Curves) -> dict[str, list[dict[str, Any]]]:
    from harness.stats import as_plain

    plain: dict[str, list[dict[str, Any]]] = {}
    for cut, figures in curves:
        plain.setdefault(cut.unit, []).append({"k": cut.k, "shortened": cut.shortened, "metrics": as_plain(figures)})
    return plain


def print_marked(marked: Sequence[TaskResult], estimates: Sequence[Mapping[str, Estimate]]) -> None:
    """One row a metric, one column a profile; percentages where the metric is one. One profile shows its intervals."""
    from rich.console import Console
    from rich.table import Table

    first = marked[0]
    alone = len(marked) == 1
    table = Table(title=f"{first.task}, {counted(len(first.rows), 'answer')}", min_width=40)
    table.add_column("metric", overflow="fold")
    for result in marked:
        heading = f"{result.profile} [95 % over images]" if alone else result.profile.replace("/", "/\n")
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("n", justify="right")
    for metric in first.metrics:
        cells = [_cell(figures[metric.name], 100 if metric.percent else 1, alone) for figures in estimates]
        table.add_row(metric.name, *cells, str(estimates[0][metric.name].n))
    console = Console(markup=False)
    console.print(table)
    for metric in first.metrics:
        if metric.name == first.headline:  # repeated: a table of cells is longer than a screen
            cells = [_cell(figures[metric.name], 100 if metric.percent else 1, alone) for figures in estimates]
            headlines = (f"{result.profile} {cell}" for result, cell in zip(marked, cells, strict=True))
            console.print(f"{metric.name}: {', '.join(headlines)}", highlight=False, markup=False, soft_wrap=True)
    for note in notes_of(marked):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    if first.info.get("differences") and not alone:
        _print_differences(first.info["differences"])
    if first.info.get("disagreements") and not alone:
        _print_disagreements(first.info["disagreements"])


def _print_differences(differences: Sequence[Mapping[str, Any]]) -> None:
    """Which verdicts of the profiles stand against each other, how often, and where."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="why the profiles part", min_width=40)
    for heading in differences[0]:
        table.add_column(heading, justify="right" if heading in ("pairs", "samples") else "left", overflow="fold")
    for row in differences:
        table.add_row(*map(str, row.values()))
    Console(markup=False).print(table)


def write_disagreements(path: Path | None, marked: Sequence[Sequence[TaskResult]]) -> None:
    """The answers that the profiles do not read alike as JSON lines: {"task", "id", "answer", "gold", "read"}.

    `marked` holds for each task its results by profile. Raises `UsageError` where nothing is side by side.
    """
    from harness.files import write_jsonl

    if path is None:
        return
    if all(len(results) == 1 for results in marked):
        raise UsageError("--disagreements compares profiles; ask for all of them (--profile all)")
    compared = (results[0] for results in marked if len(results) > 1)
    write_jsonl(path, ({"task": result.task, **row} for result in compared for row in result.info["disagreements"]))


def _print_disagreements(disagreements: Sequence[Mapping[str, Any]]) -> None:
    """The first few: what was answered, what each profile read in it, and what was right."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for row in disagreements[:SHOWN]:
        console.print(f"  {shortened(row['id'])}: {shortened(row['answer'], 100)}")
        read = {**row["read"], "gold": row["gold"]}
        console.print("    " + "; ".join(f"{name}: {shortened(_shown(parsed))}" for name, parsed in read.items()))
    if len(disagreements) > SHOWN:
        console.print(f"  ... and {len(disagreements) - SHOWN} more: --disagreements FILE.jsonl writes all of them")


def _shown(parsed: Any) -> str:
    """What was read, for people: an option, a number, or the objects that a caption names."""
    if parsed is None:
        return "unread"
    if isinstance(parsed, list):
        return ", ".join(item["name"] if isinstance(item, dict) else str(item) for item in parsed)
    return str(parsed)


def shortened(text: str, limit: int = 120) -> str:
    """A model's text as `one_line`, of at most so many characters."""
    safe = one_line(text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def _print_curves(curves: Curves) -> None:
    """One row a cut: how many captions lost something by it, what the rest still names and what of that is wrong."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="the same captions cut short", min_width=40)
    table.add_column("first", no_wrap=True)
    for heading in ("shortened", "recall", "CHAIRi [95 % over images]", "CHAIRs", "words"):
        table.add_column(heading, justify="right")
    for cut, figures in curves:
        cells = [
            _cell(figures["recall"], 100, False),
            _cell(figures["CHAIRi"], 100, True),
            _cell(figures["CHAIRs"], 100, False),
            _cell(figures["words"], 1, False),
        ]
        unit = cut.unit.removesuffix("s") if cut.k == 1 else cut.unit
        table.add_row(f"{cut.k or 'all'} {unit}", str(cut.shortened), *cells, end_section=cut.k is None)
    Console(markup=False).print(table)


def _cell(figure: Estimate, factor: int, with_interval: bool) -> str:
    if figure.value is None:
        return "none (0/0)"
    value = f"{figure.value * factor:.2f}"
    if not with_interval or figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low * factor:.2f}, {figure.high * factor:.2f}]"
