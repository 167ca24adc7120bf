"""`strop score physics`: answers in boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial as partial_function
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError
from harness.models.options import ModelOptions
from harness.profiles import ALL_PROFILES
from strop.commands.score.options import DisagreementsOption, NameOption, OutOption, PartialOption
from strop.commands.score.report import Output, score
from strop.models import KEPT, open_judge, with_measured
from strop.options import (
    AttnImplementationOption,
    DataOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    JudgeEndpointOption,
    JudgeOption,
)
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.marking import Answered
    from harness.results import TaskResult


def physics(
    answers: Annotated[
        Path,
        typer.Option(
            "--answers",
            help="A folder with a model's files by subject, as its authors keep them, with or without evaluations; or "
            "one file of rows with `id` and `response`.",
        ),
    ],
    questions: Annotated[
        Path | None,
        typer.Option(help="The folder of the problems, or one file of them. Default: physics in the data folder."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Who says whether a box is a required answer. official: the stored verdicts of the authors' judge; "
            "rule: numbers in their units, formulas at random points, math-verify; judge: the one of --judge; or all, "
            "side by side. Default: judge where there is one, else official where verdicts are stored, else rule.",
            show_default=False,
        ),
    ] = None,
    judge: JudgeOption = None,
    judge_endpoint: JudgeEndpointOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    disagreements: DisagreementsOption = None,
    partial: PartialOption = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
    out: OutOption = None,
    name: NameOption = None,
) -> None:
    """PHYSICS: whether all required answers are in the boxes of a response, beside recall, precision and its authors'
    accuracy.

    Rows that the authors' evaluation lost are counted, and figures shown with them as 0 and without them (scored/...).
    With several profiles a table says, by whose step, why they part.

    **Examples**

    strop score physics --answers outputs/gpt-4o_output --questions Physics/PHYSICS --profile all

    strop score physics --answers mine.jsonl --out scored/mine
    """
    from tasks.physics.answers import open_answers
    from tasks.physics.marks import JUDGE

    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    if profile == JUDGE and judge is None:
        raise UsageError("--profile judge marks by a model; name it by --judge")
    if judge is not None and profile not in (None, JUDGE, ALL_PROFILES):
        raise UsageError(f"--judge is a profile of its own; leave --profile away, or name {JUDGE} or {ALL_PROFILES}")
    output = Output(profile=profile, as_json=as_json, out=out, name=name or answers.name, disagreements=disagreements)
    opened = open_answers(
        answers, data=data, questions=questions, profile=None if profile == JUDGE else profile, partial=partial
    )
    score(
        output,
        opened,
        partial_function(explained, open_judge(judge, judge_endpoint, options), profile == ALL_PROFILES, data),
    )


def explained(
    judge: Judge | None, side_by_side: bool, data: Path, results: Sequence[TaskResult], answered: Answered
) -> list[TaskResult]:
    """The results with the judge's, alone unless all are wanted; where there are several, with why they part."""
    from dataclasses import replace

    from harness.marking import read_gold
    from harness.marking import side_by_side as compared
    from harness.store import Store
    from harness.thoughts import answer_of
    from strop.progress import progress_bars
    from tasks.physics import differences, rule
    from tasks.physics import judge as physics_judge
    from tasks.physics.task import Physics

    task, samples, answers = answered.task, answered.samples, answered.answers
    assert isinstance(task, Physics)
    if judge is None and not side_by_side:
        return list(results)
    pairs = [
        pair
        for sample, text in zip(samples, answers, strict=True)
        for pair in rule.pairs_of(sample.target, answer_of(text).answer)
    ]
    by_judge = None
    if judge is not None:
        store = Store(data.expanduser() / task.name / KEPT)
        with progress_bars() as bars:
            by_judge = physics_judge.verdicts_of_judge(judge, pairs, store, partial_function(bars, "judge"))
        judged = with_measured(physics_judge.mark_by_judge(task, samples, answers, judge, by_judge), data, "equality")
        if not side_by_side:
            return [judged]
        results = [*results, judged]
    reasons = differences.reasons_by_sample(
        *(samples, answers, task.evaluations or {}, rule.judge_pairs(pairs)), by_judge
    )
    results = compared(results, lambda index: read_gold(task, samples[index]))
    why = [{**row, "why": reasons.get(row["id"], [])} for row in results[0].info.get("disagreements", [])]
    told = {"disagreements": why, "differences": differences.table_of(reasons)} if len(results) > 1 else {}
    return [replace(result, info={**result.info, **told}) for result in results]
