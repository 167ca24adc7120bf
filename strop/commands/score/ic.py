"""`strop score ic`: the objects and counts of captions, and what a judge thinks of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial as partial_function
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError
from harness.models.options import ModelOptions
from strop.commands.score.options import (
    AnswerKeyOption,
    AnswersOption,
    CaptionProfileOption,
    DisagreementsOption,
    IdKeyOption,
    NameOption,
    OutOption,
    PartialOption,
)
from strop.commands.score.report import Output, score
from strop.commands.score.words import offer_download
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


def ic(
    answers: AnswersOption,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="The folder of `strop data build ic`, or its truth.json; synonyms.json and double_words.json lie "
            "beside it, or in the data folder under ic or chair."
        ),
    ] = None,
    profile: CaptionProfileOption = None,
    judge: JudgeOption = None,
    judge_endpoint: JudgeEndpointOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    attn_implementation: AttnImplementationOption = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures, if the judge is to see them.")] = None,
    disagreements: DisagreementsOption = None,
    id_key: IdKeyOption = None,
    answer_key: AnswerKeyOption = None,
    partial: PartialOption = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
    out: OutOption = None,
    name: NameOption = None,
) -> None:
    """IC: precision, recall and F1 of the objects that captions name, and whether the counts they say are right.

    The answers are captions in CHAIR's layout. NLTK's data are found as by `strop score chair`. A judge (--judge) is
    also asked for precision and recall of each caption; what it says is kept in the data folder, and never asked again;
    a caption without a readable reply is counted as unjudged.

    **Examples**

    strop score ic --answers captions.jsonl --truth data/ic

    strop score ic --answers captions.jsonl --truth data/ic --judge my/llava --images val2014
    """
    from tasks.ic.answers import open_answers

    output = Output(profile=profile, as_json=as_json, out=out, name=name, disagreements=disagreements)
    if images is not None and judge is None:
        raise UsageError("--images shows pictures to a judge; name one by --judge")
    answered = open_answers(
        answers,
        data=data,
        truth=truth,
        profile=profile,
        partial=partial,
        id_key=id_key,
        answer_key=answer_key,
        fetch=offer_download,
    )
    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    opened = open_judge(judge, judge_endpoint, options)
    score(output, answered, partial_function(_judged, opened, images, data) if opened else None)


def _judged(
    judge: Judge, images: Path | None, data: Path, results: Sequence[TaskResult], answered: Answered
) -> list[TaskResult]:
    """The results with the judge's opinions; its replies are kept in a file of the data folder."""
    from harness.store import Store
    from strop.progress import progress_bars
    from tasks.ic import judge as ic_judge

    store = Store(data.expanduser() / answered.task.name / KEPT)
    with progress_bars() as bars:
        opinions = ic_judge.judge_captions(
            *(judge, answered.samples, answered.answers, images, store), bars("judge", len(answered.samples))
        )
    about = {"id": judge.id, "prompt": ic_judge.PROMPT_VERSION, "sees_pictures": images is not None}
    judged = [
        replace(
            result,
            rows=tuple(
                replace(row, counts={**row.counts, **ic_judge.opinion_counts(row.answer, opinion)})
                for row, opinion in zip(result.rows, opinions, strict=True)
            ),
            metrics=(*result.metrics, *ic_judge.judge_metrics(judge.id)),
            info={**result.info, "judge": about},
        )
        for result in results
    ]
    return [with_measured(result, data, "captions") for result in judged]
