"""`strop score grounding`: boxes against those that COCO's instances have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from strop.commands.score.options import AnswersOption, DisagreementsOption, NameOption, OutOption, PartialOption
from strop.commands.score.report import Output, score
from strop.options import DataOption, JsonOption
from tasks.data.root import DEFAULT_DATA


def grounding(
    answers: AnswersOption,
    truth: Annotated[
        Path | None, typer.Option(help="The folder of COCO's instances_*.json, or one such file.", show_default=False)
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="What the numbers are. Fractions: strict, of the picture, as asked; llava, of the square that "
            "LLaVA-1.5 pads it to; crop, of its middle square. pixels: of the picture; qwen2.5-vl: of the picture as "
            "that model is shown it; thousandths (Qwen-VL, Qwen2-VL, InternVL); paligemma, kosmos-2: their tokens; or "
            "all, side by side."
        ),
    ] = "strict",
    disagreements: DisagreementsOption = None,
    partial: PartialOption = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
    out: OutOption = None,
    name: NameOption = None,
) -> None:
    """Grounding: how well boxes overlap COCO's, and how many cannot be read on the scale of the profile.

    The answers have `question_id` and `text`; `strop data build grounding` writes the questions.

    **Example**

    strop score grounding --answers boxes.jsonl --truth annotations --profile all
    """
    from tasks.grounding.answers import open_answers

    output = Output(profile=profile, as_json=as_json, out=out, name=name, disagreements=disagreements)
    score(output, open_answers(answers, data=data, truth=truth, profile=profile, partial=partial))
