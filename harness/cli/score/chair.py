"""`strop score chair`: captions against the objects that are in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.score.deliver import deliver, mark_all
from harness.cli.score.options import (
    AnswersOption,
    CaptionProfileOption,
    DataOption,
    JsonOption,
    NameOption,
    OutOption,
    in_data,
    known_profile,
)
from harness.cli.score.words import caption_reader, read_by
from tasks.sources import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.cli.score.deliver import Curves
    from tasks.answer_files import AnswerFile
    from tasks.chair import ChairTables, Normaliser


def chair(
    answers: AnswersOption,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="ground_truth_*.json or .json.gz, or a folder of COCO's instances_*.json and captions_*.json; "
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
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
    out: OutOption = None,
    name: NameOption = None,
) -> None:
    """CHAIR: objects named that are not in the picture, beside recall and length, which the figure trades against.

    NLTK's data are found through NLTK_DATA, or as a folder nltk_data beside the truth file, above it, or in --data.
    Where they are missing, a terminal is asked whether to download them.
    """
    from tasks import chair as task
    from tasks.chair_truth import tables_folder

    if profile is not None:
        known_profile(profile, tuple(task.PROFILES))
    folder = data.expanduser()
    truth = truth or _chair_truth(folder / task.NAME)
    tables = task.load_tables(tables_folder(truth, folder))
    profile, normaliser = caption_reader(profile, truth, folder)
    found = task.load_answers(answers, truth, objects=objects, tables=tables, words=normaliser.words)
    found = read_by(normaliser, found)
    marked = mark_all(
        (task.NAME, task.VERSION, task.HEADLINE),
        # Results are compared only under one profile, and the two truths are two yardsticks.
        profile if objects == "all" else f"{profile}/{objects}",
        found,
        task.CHAIR_METRICS,
        lambda sample, answer: task.score_caption(normaliser.words(answer), sample.target, tables),
    )
    curves = _curves(found, tables, normaliser) if cut else None
    deliver([marked], as_json, out, name, answers, truth, curves)


def _chair_truth(folder: Path) -> Path:
    from tasks.chair_truth import truth_in

    return truth_in(folder) or in_data("--truth", folder, [folder / "ground_truth_<build>.json.gz"])


def _curves(found: AnswerFile, tables: ChairTables, normaliser: Normaliser) -> Curves:
    """Each cut with its figures, from the first sentence to the whole captions, then by words."""
    from harness.stats import estimate
    from tasks.chair import CHAIR_METRICS
    from tasks.chair_cut import cut_captions

    return [(one, estimate(one.rows, CHAIR_METRICS)) for one in cut_captions(found, tables, normaliser)]
