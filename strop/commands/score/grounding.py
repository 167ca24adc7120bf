"""`strop score grounding`: boxes against those that COCO's instances have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strop.commands.score.deliver import deliver, mark_each, write_disagreements
from strop.commands.score.options import (
    AnswersOption,
    DisagreementsOption,
    NameOption,
    OutOption,
    PartialOption,
    chosen_profiles,
)
from strop.options import DataOption, JsonOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.types import Sample, Score


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
    from tasks.grounding import answers as task_answers
    from tasks.grounding import marks as task
    from tasks.grounding import questions as task_questions
    from tasks.grounding import readers as task_readers
    from tasks.grounding.task import grounding_annotations

    profiles = chosen_profiles(profile, task_readers.PROFILES, out)
    annotations = task_questions.annotations_of(truth) if truth else grounding_annotations(data.expanduser())
    found = task_answers.load_answers(answers, annotations, partial=partial)

    def scorer(frame: str) -> Callable[[Sample, str], Score]:
        return lambda sample, answer: task.score_framed(sample.target, answer, sample.meta["size"], frame)

    about = (task.NAME, task.VERSION, task.HEADLINE)
    marked = mark_each(about, profiles, found, task.GROUNDING_METRICS, scorer, task_readers.box_text)
    write_disagreements(disagreements, [marked])
    deliver(marked, as_json, out, name, [answers], annotations)
