"""`strop score mathvista`: answers by option or number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.models.options import ModelOptions
from strop.commands.score.options import DisagreementsOption, NameOption, OutOption, PartialOption
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


def mathvista(
    answers: Annotated[
        Path, typer.Option("--answers", help="The model's outputs: a JSON document of pid -> row, gzipped or not.")
    ],
    questions: Annotated[
        Path | None, typer.Option(help="testmini.json, for outputs that do not hold their own questions.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="official: the authors' script of today; official/integer_old: that of the published tables; "
            "lmms-eval/rules, vlmeval/rules: what those read before they ask a language model; strict: ours, from the "
            "responses; or all, side by side. Default: official where most rows hold the extraction that it reads, "
            "else strict; and strict with a judge.",
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
    """MathVista: accuracy and unread share of testmini, and of each type, source, task, grade, context and skill.

    A judge (--judge) is shown what strict does not read and says the short answer in it: a profile of its own.

    **Examples**

    strop score mathvista --answers output_bard.json.gz --profile all

    strop score mathvista --answers mine.json --questions testmini.json --out scored/mine
    """
    from tasks.mathvista.answers import open_answers

    options = ModelOptions(device=device, dtype=dtype, attn_implementation=attn_implementation)
    profile = judged_profile(judge, profile)
    output = Output(profile=profile, as_json=as_json, out=out, name=name, disagreements=disagreements)
    score(
        output,
        open_answers(answers, data=data, questions=questions, profile=profile, partial=partial),
        judge_answers(
            judge,
            judge_endpoint,
            data,
            options,
        ),
    )
