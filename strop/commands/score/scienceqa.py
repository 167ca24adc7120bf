"""`strop score scienceqa`: answers by option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.models.options import ModelOptions
from strop.commands.score.options import AnswersOption, DisagreementsOption, NameOption, OutOption, PartialOption
from strop.commands.score.report import Output, judge_answers, judged_profile, score
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


def scienceqa(
    answers: AnswersOption,
    questions: Annotated[
        Path | None, typer.Option(help="llava_test_CQM-A.json of LLaVA, or problems.json of ScienceQA.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="pid_splits.json: which questions are the test split, if that is to be checked.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Who reads the letter: official, lmms-eval, vlmeval, strict; or all, side by side. "
            "Default: official, and strict with a judge.",
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
    """ScienceQA: accuracy and unread share of the test split, of its questions with a picture, and of other cells.

    The answers are one JSON document with the texts under "outputs", or a JSON object a line with question_id and text.
    A judge (--judge) is shown what strict does not read and says which option it means: a profile of its own.

    **Examples**

    strop score scienceqa --answers llava-v1.5-13b_result.json --questions llava_test_CQM-A.json

    strop score scienceqa --answers mine.jsonl --data data --judge my/llava
    """
    from tasks.scienceqa.answers import open_answers

    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    profile = judged_profile(judge, profile)
    output = Output(profile=profile, as_json=as_json, out=out, name=name, disagreements=disagreements)
    score(
        output,
        open_answers(answers, data=data, questions=questions, truth=truth, profile=profile, partial=partial),
        judge_answers(
            judge,
            judge_endpoint,
            data,
            options,
        ),
    )
