"""`strop score ic`: the objects and counts of captions, and what a judge thinks of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.models import KEPT, JudgeEndpointOption, JudgeOption, open_judge
from harness.cli.score.deliver import deliver, mark_all
from harness.cli.score.options import (
    AnswersOption,
    CaptionProfileOption,
    DataOption,
    JsonOption,
    NameOption,
    OutOption,
    PartialOption,
    in_data,
    known_profile,
)
from harness.cli.score.words import caption_reader, read_by
from harness.errors import UsageError
from tasks.sources import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.results import TaskResult
    from tasks.answer_files import AnswerFile


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
    images: Annotated[Path | None, typer.Option(help="Folder of the pictures, if the judge is to see them.")] = None,
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
    from tasks import chair
    from tasks import ic as task
    from tasks.chair_truth import tables_folder

    if profile is not None:
        known_profile(profile, tuple(chair.PROFILES))
    if images is not None and judge is None:
        raise UsageError("--images shows pictures to a judge; name one by --judge")
    folder = data.expanduser()
    truth = truth or in_data("--truth", folder / task.NAME, [folder / task.NAME / "truth.json"]).parent
    tables = chair.load_tables(tables_folder(truth, folder))
    found = task.load_answers(answers, truth, tables, partial=partial)
    profile, normaliser = caption_reader(profile, truth, folder)
    marked = mark_all(
        (task.NAME, task.VERSION, task.HEADLINE),
        profile,
        read_by(normaliser, found),
        task.IC_METRICS,
        lambda sample, answer: task.score_ic(normaliser.words(answer), sample.target, tables),
    )
    if asked := open_judge(judge, judge_endpoint):
        marked = _judged(marked, found, asked, images, folder / task.NAME / KEPT)
    deliver([marked], as_json, out, name, answers, truth)


def _judged(marked: TaskResult, found: AnswerFile, judge: Judge, images: Path | None, kept: Path) -> TaskResult:
    """The result with the judge's opinions; its replies are kept in a file."""
    from dataclasses import replace

    from harness.cli.progress import progress_bars
    from harness.store import Store
    from tasks import ic_judge

    with progress_bars() as bars:
        opinions = ic_judge.judge_captions(judge, found, images, Store(kept), bars("judge", len(found.samples)))
    rows = tuple(
        replace(row, counts={**row.counts, **ic_judge.opinion_counts(row.answer, opinion)})
        for row, opinion in zip(marked.rows, opinions, strict=True)
    )
    about = {"id": judge.id, "prompt": ic_judge.PROMPT_VERSION, "sees_pictures": images is not None}
    metrics = (*marked.metrics, *ic_judge.judge_metrics(judge.id))
    return replace(marked, rows=rows, metrics=metrics, info={**marked.info, "judge": about})
