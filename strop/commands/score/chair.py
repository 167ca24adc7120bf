"""`strop score chair`: captions against the objects that are in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError
from harness.profiles import ALL_PROFILES
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
from strop.options import DataOption, JsonOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.marking import Answered
    from strop.commands.score.report import Curves


def chair(
    answers: AnswersOption,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="`ground_truth_*.json` or .json.gz, or a folder of COCO's `instances_*.json` and `captions_*.json`; "
            "synonyms.json and double_words.json lie beside or in it."
        ),
    ] = None,
    objects: Annotated[
        str,
        typer.Option(help="all: annotated or named by the human captions; instances: annotated only (COCO folder)."),
    ] = "all",
    profile: CaptionProfileOption = None,
    cut: Annotated[
        bool,
        typer.Option("--cut", help="Also mark the captions cut after k sentences and k words: CHAIRi by recall."),
    ] = False,
    disagreements: DisagreementsOption = None,
    id_key: IdKeyOption = None,
    answer_key: AnswerKeyOption = None,
    incomplete: PartialOption = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
    out: OutOption = None,
    name: NameOption = None,
) -> None:
    """CHAIR: objects named that are not in the picture, beside recall and length, which the figure trades against.

    A row names its image (`image_id`, `image`, `file_name`, ...: an id or COCO's file name) and has a `caption`,
    `text`, `answer`, `response` or `prediction`. Fewer captions than the protocol's 500, or than the truth has images,
    are refused without --partial.

    NLTK's data are found through NLTK_DATA, or as a folder nltk_data beside the truth file, above it, or in --data.
    Where they are missing, a terminal is asked whether to download them.

    **Examples**

    strop score chair --answers greedy.jsonl --truth ground_truth_maxlinn.json.gz --cut

    strop score chair --answers mine.jsonl --truth my/annotations --objects instances --out scored/mine
    """
    from tasks.chair.answers import open_answers

    if cut and profile == ALL_PROFILES:
        raise UsageError("--cut marks by one profile; name it, or leave --cut away to see all of them")
    output = Output(profile=profile, as_json=as_json, out=out, name=name, disagreements=disagreements)
    answered = open_answers(
        answers,
        data=data,
        truth=truth,
        objects=objects,
        profile=profile,
        partial=incomplete,
        id_key=id_key,
        answer_key=answer_key,
        fetch=offer_download,
    )
    score(output, answered, curves=_curves if cut else None)


def _curves(answered: Answered) -> Curves:
    """Each cut with its figures, from the first sentence to the whole captions, then by words."""
    from harness.stats import estimate
    from tasks.chair.cut import cut_captions
    from tasks.chair.marks import CHAIR_METRICS
    from tasks.chair.task import Chair

    task = answered.task
    assert isinstance(task, Chair) and task.bound is not None
    cuts = cut_captions(answered.samples, answered.answers, task.bound)
    return [(cut, estimate(cut.rows, CHAIR_METRICS)) for cut in cuts]
