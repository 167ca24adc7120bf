"""`strop score pope`: answers of yes or no."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strop.commands.score.options import (
    CategoryAnswersOption,
    DisagreementsOption,
    NameOption,
    OutOption,
    PartialOption,
    answer_files,
)
from strop.commands.score.report import Output, score
from strop.options import DataOption, JsonOption
from tasks.data.root import DEFAULT_DATA


def pope(
    answers: CategoryAnswersOption,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="llava_pope_test.jsonl, which the answers are to, or a label file. Default: that of the data folder, "
            "and the label files themselves where there is none or answers are named by category."
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="The folder of coco_pope_random.json and its like, or one of them for its category only."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Who reads yes or no: official, lmms-eval, vlmeval, strict; or all, side by side.")
    ] = "official",
    disagreements: DisagreementsOption = None,
    partial: PartialOption = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
    out: OutOption = None,
    name: NameOption = None,
) -> None:
    """POPE: accuracy, precision, recall, F1, yes-ratio and unread share of each category, their means, and pooled.

    A row that names its picture or repeats its question must name those of the question it is joined to; where ids
    restart in each category, name a file for each.

    **Examples**

    strop score pope --answers llava-v1.5-13b.jsonl --questions llava_pope_test.jsonl --truth labels_2910

    strop score pope --answers mine.jsonl --data data --profile all --disagreements unlike.jsonl

    strop score pope --answers random=a.jsonl,popular=b.jsonl,adversarial=c.jsonl --truth labels_3000
    """
    from tasks.pope.answers import open_answers

    output = Output(profile=profile, as_json=as_json, out=out, name=name, disagreements=disagreements)
    files = answer_files(answers)
    score(
        output,
        open_answers(files, data=data, questions=questions, truth=truth, profile=profile, partial=partial),
    )
