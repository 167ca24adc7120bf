"""What the commands of `strop score` do once answers are read: mark, estimate, write, print."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.errors import UsageError
from harness.wording import counted, one_line
from strop.notes import notes_of

if TYPE_CHECKING:
    from harness.results import TaskResult
    from harness.stats import Estimate
    from harness.types import Metric, Sample, Score
    from tasks.chair.cut import Cut
    from tasks.data.rows import AnswerFile

    Curves = Sequence[tuple[Cut, Mapping[str, Estimate]]]

SHOWN = 5
"""How many of the answers that profiles read differently are printed."""


def mark_all(
    task: tuple[str, int, str],
    profile: str,
    found: AnswerFile,
    metrics: Sequence[Metric],
    score: Callable[[Sample, str], Score],
    *,
    replica: bool = False,
) -> TaskResult:
    """Mark every answer; `task` is its name, version and headline. A `replica` of another's script is given a model's
    whole text, any other profile the answer in it (`harness.thoughts`)."""
    from harness.results import TaskResult, mark
    from harness.thoughts import thoughts_in, without_thought

    if not replica:
        score = without_thought(score)

    rows = (
        mark(sample, answer, score(sample, answer)) for sample, answer in zip(found.samples, found.answers, strict=True)
    )
    return TaskResult(
        task=task[0],
        version=task[1],
        headline=task[2],
        profile=profile,
        split="test",
        metrics=tuple(metrics),
        rows=tuple(rows),
        info={**found.info, **thoughts_in(found.answers, marked=replica)},
    )


def mark_each(
    task: tuple[str, int, str],
    profiles: Sequence[str],
    found: AnswerFile,
    metrics: Sequence[Metric],
    scorer: Callable[[str], Callable[[Sample, str], Score]],
    gold: Callable[[Any], str],
    beside: Sequence[str] = (),
    replicas: Collection[str] = (),
) -> list[TaskResult]:
    """Mark every answer under every profile; `info` tells which they do not read alike. `gold` is of a target.

    Of the profiles `beside` the headline alone is told, in `info["headline_by_profile"]`; `replicas` as in `mark_all`.
    """
    from harness.marking import headline_values, side_by_side

    def marked_by(profile: str) -> TaskResult:
        return mark_all(task, profile, found, metrics, scorer(profile), replica=profile in replicas)

    right = {sample.id: gold(sample.target) for sample in found.samples}
    marked = [marked_by(profile) for profile in profiles]
    if len(marked) == 1 and beside:
        others = [marked_by(name) for name in beside if name not in profiles]
        values = headline_values([*marked, *others])
        return [replace(one, info={**one.info, "headline_by_profile": values}) for one in marked]
    return side_by_side(marked, lambda index: right[found.samples[index].id])


def deliver(
    marked: Sequence[TaskResult],
    as_json: bool,
    out: Path | None,
    name: str | None,
    answers: Sequence[Path],
    truth: Path,
    curves: Curves | None = None,
) -> None:
    """Estimate, write the results folder if one is wanted, and print: figures are shown only after they are safe.

    `answers` are the files that were read.
    """
    from harness.files import write_json
    from harness.stats import estimate

    estimates = [estimate(result.rows, result.metrics) for result in marked]
    if out is not None:
        _write(out, marked[0], estimates[0], name, answers, truth)
        beside = out / f"{marked[0].task}_cut.json"
        if curves is None:
            beside.unlink(missing_ok=True)  # that of an earlier call, perhaps against another truth
        else:
            write_json(beside, curves_as_json(curves))
    if as_json:
        shown = [marked_as_json(result, figures) for result, figures in zip(marked, estimates, strict=True)]
        if curves is not None:
            shown[0]["cut"] = curves_as_json(curves)
        typer.echo(json.dumps(shown[0] if len(shown) == 1 else shown, ensure_ascii=False, allow_nan=False))
    else:
        print_marked(marked, estimates)
        if curves is not None:
            _print_curves(curves)


def marked_as_json(result: TaskResult, figures: Mapping[str, Estimate]) -> dict[str, Any]:
    from harness.stats import as_plain

    metrics = as_plain(figures)
    about = {"info": dict(result.info), "notes": notes_of([result])}
    return {"task": result.task, "profile": result.profile, "metrics": metrics, **about}


def curves_as_json(curves: Curves) -> dict[str, list[dict[str, Any]]]:
    from harness.stats import as_plain

    plain: dict[str, list[dict[str, Any]]] = {}
    for one, figures in curves:
        plain.setdefault(one.unit, []).append({"k": one.k, "shortened": one.shortened, "metrics": as_plain(figures)})
    return plain


def _write(
    out: Path,
    result: TaskResult,
    figures: Mapping[str, Estimate],
    name: str | None,
    answers: Sequence[Path],
    truth: Path,
) -> None:
    from harness.files import digest_of_bytes, digest_of_file
    from harness.provenance import provenance
    from harness.results import Results, write_results
    from harness.stats import as_plain

    digests = [digest_of_file(path) for path in answers]
    digest = digests[0] if len(digests) == 1 else digest_of_bytes(*(one.encode() for one in digests))
    _refuse_other_results(out, digest)
    truths = [truth]
    if truth.is_dir():
        named = result.info.get("truth_files") or [path.name for path in truth.iterdir() if path.is_file()]
        truths = sorted(truth / name for name in named)
    # outputs that hold their own questions differ from each other whatever is asked
    data = None if truth in answers else digest_of_bytes(*(path.read_bytes() for path in truths))
    results = Results(
        model=name or ", ".join(path.stem for path in answers),
        digest=digest,
        parent=None,
        tasks=(replace(result, data=data),),
        provenance={
            **provenance(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "answers": ", ".join(path.name for path in answers),
            "truth": truth.name,
        },
    )
    write_results(out, results, {result.task: as_plain(figures)})


def _refuse_other_results(out: Path, digest: str) -> None:
    """Scoring the same answers again may replace its own results, and nobody else's."""
    from harness.results import read_owner

    if (out / "results.json").exists() and read_owner(out).digest != digest:
        raise UsageError(f"--out {out} holds the results of other answers; name another folder or remove it")


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
        if metric.name == first.headline:  # said again, since a table of cells is longer than a screen
            cells = [_cell(figures[metric.name], 100 if metric.percent else 1, alone) for figures in estimates]
            said = (f"{result.profile} {cell}" for result, cell in zip(marked, cells, strict=True))
            console.print(f"{metric.name}: {', '.join(said)}", highlight=False, markup=False, soft_wrap=True)
    for note in notes_of(marked):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    if first.info.get("disagreements") and not alone:
        _print_disagreements(first.info["disagreements"])


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
    write_jsonl(path, ({"task": one.task, **row} for one in compared for row in one.info["disagreements"]))


def _print_disagreements(disagreements: Sequence[Mapping[str, Any]]) -> None:
    """The first few: what was answered, what each profile read in it, and what was right."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for one in disagreements[:SHOWN]:
        console.print(f"  {shortened(one['id'])}: {shortened(one['answer'], 100)}")
        read = {**one["read"], "gold": one["gold"]}
        console.print("    " + "; ".join(f"{name}: {shortened(_shown(parsed))}" for name, parsed in read.items()))
    if len(disagreements) > SHOWN:
        console.print(f"  ... and {len(disagreements) - SHOWN} more: --disagreements FILE.jsonl writes all of them")


def _shown(parsed: Any) -> str:
    """What was read, for people: an option, a number, or the objects that a caption names."""
    if parsed is None:
        return "unread"
    if isinstance(parsed, list):
        return ", ".join(one["name"] if isinstance(one, dict) else str(one) for one in parsed)
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
    for one, figures in curves:
        cells = [
            _cell(figures["recall"], 100, False),
            _cell(figures["CHAIRi"], 100, True),
            _cell(figures["CHAIRs"], 100, False),
            _cell(figures["words"], 1, False),
        ]
        unit = one.unit.removesuffix("s") if one.k == 1 else one.unit
        table.add_row(f"{one.k or 'all'} {unit}", str(one.shortened), *cells, end_section=one.k is None)
    Console(markup=False).print(table)


def _cell(figure: Estimate, factor: int, with_interval: bool) -> str:
    if figure.value is None:
        return "none (0/0)"
    value = f"{figure.value * factor:.2f}"
    if not with_interval or figure.low is None or figure.high is None:
        return value
    return f"{value} [{figure.low * factor:.2f}, {figure.high * factor:.2f}]"
