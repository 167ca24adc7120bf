"""`strop score ic`: the objects and counts of captions, and what a judge thinks of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError
from strop.commands.score.deliver import deliver, mark_all, write_disagreements
from strop.commands.score.options import (
    AnswerKeyOption,
    AnswersOption,
    CaptionProfileOption,
    DisagreementsOption,
    IdKeyOption,
    NameOption,
    OutOption,
    PartialOption,
    chosen_profiles,
    in_data,
)
from strop.commands.score.words import caption_reader, read_by
from strop.models import KEPT, open_judge
from strop.options import DataOption, JsonOption, JudgeEndpointOption, JudgeOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.judge import Judge
    from harness.results import TaskResult
    from harness.types import Sample, Score
    from tasks.data.rows import AnswerFile
    from tasks.reading.object_words import ChairTables, Normaliser


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
    from harness.marking import side_by_side
    from tasks.ic import answers as task_answers
    from tasks.ic import marks as task
    from tasks.reading import object_words as chair
    from tasks.reading.caption_files import read_captions
    from tasks.reading.object_words import tables_folder

    wanted = (None,) if profile is None else chosen_profiles(profile, tuple(chair.PROFILES), out)
    if images is not None and judge is None:
        raise UsageError("--images shows pictures to a judge; name one by --judge")
    captions = read_captions(answers, id_key, answer_key)  # a bad line is told before anything large is loaded
    folder = data.expanduser()
    truth = truth or in_data("--truth", folder / task.NAME, [folder / task.NAME / "truth.json"]).parent
    tables = chair.load_tables(tables_folder(truth, folder))
    found = task_answers.join_truth(answers, captions, truth, tables, partial=partial)
    marked = []
    for one in wanted:
        used, normaliser = caption_reader(one, truth, folder)
        score = functools.partial(_score, normaliser, tables)
        about = (task.NAME, task.VERSION, task.HEADLINE)
        marked.append(mark_all(about, used, read_by(normaliser, found), task.IC_METRICS, score))
    if asked := open_judge(judge, judge_endpoint):
        marked = [_judged(one, found, asked, images, folder / task.NAME / KEPT) for one in marked]
    right = {sample.id: sorted(sample.target) for sample in found.samples}
    marked = side_by_side(marked, lambda index: right[found.samples[index].id])
    write_disagreements(disagreements, [marked])
    deliver(marked, as_json, out, name, [answers], truth)


def _score(normaliser: Normaliser, tables: ChairTables, sample: Sample, answer: str) -> Score:
    from tasks.ic.marks import score_ic

    return score_ic(normaliser.words(answer), sample.target, tables)


def _judged(marked: TaskResult, found: AnswerFile, judge: Judge, images: Path | None, kept: Path) -> TaskResult:
    """The result with the judge's opinions; its replies are kept in a file."""
    from dataclasses import replace

    from harness.store import Store
    from strop.progress import progress_bars
    from tasks.ic import judge as ic_judge

    with progress_bars() as bars:
        opinions = ic_judge.judge_captions(judge, found, images, Store(kept), bars("judge", len(found.samples)))
    rows = tuple(
        replace(row, counts={**row.counts, **ic_judge.opinion_counts(row.answer, opinion)})
        for row, opinion in zip(marked.rows, opinions, strict=True)
    )
    about = {"id": judge.id, "prompt": ic_judge.PROMPT_VERSION, "sees_pictures": images is not None}
    metrics = (*marked.metrics, *ic_judge.judge_metrics(judge.id))
    return replace(marked, rows=rows, metrics=metrics, info={**marked.info, "judge": about})
