"""`strop score chair`: captions against the objects that are in the picture."""

from __future__ import annotations

from functools import partial
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
from strop.options import DataOption, JsonOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.types import Sample, Score
    from strop.commands.score.deliver import Curves
    from tasks.data.rows import AnswerFile
    from tasks.reading.object_words import ChairTables, Normaliser


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
    from harness.marking import side_by_side
    from tasks.chair import answers as task_answers
    from tasks.chair import marks as task
    from tasks.reading import object_words
    from tasks.reading.caption_files import read_captions
    from tasks.reading.object_words import tables_folder

    wanted = (None,) if profile is None else chosen_profiles(profile, tuple(object_words.PROFILES), out)
    if cut and len(wanted) > 1:
        raise UsageError("--cut marks by one profile; name it, or leave --cut away to see all of them")
    captions = read_captions(answers, id_key, answer_key)  # a bad line is told before anything large is loaded
    folder = data.expanduser()
    truth = truth or _chair_truth(folder / task.NAME)
    tables = object_words.load_tables(tables_folder(truth, folder))
    marked = []
    for one in wanted:
        used, normaliser = caption_reader(one, truth, folder)
        found = task_answers.join_truth(
            *(answers, captions, truth),
            objects=objects,
            tables=tables,
            words=normaliser.words,
            partial=incomplete,
        )
        found = read_by(normaliser, found)
        # Results are compared only under one profile, and the two truths are two yardsticks.
        title = used if objects == "all" else f"{used}/{objects}"
        score = partial(_score, normaliser, tables)
        marked.append(mark_all((task.NAME, task.VERSION, task.HEADLINE), title, found, task.CHAIR_METRICS, score))
    curves = _curves(found, tables, normaliser) if cut else None
    right = {sample.id: sorted(sample.target) for sample in found.samples}
    marked = side_by_side(marked, lambda index: right[found.samples[index].id])
    write_disagreements(disagreements, [marked])
    deliver(marked, as_json, out, name, [answers], truth, curves)


def _score(normaliser: Normaliser, tables: ChairTables, sample: Sample, answer: str) -> Score:
    from tasks.chair.marks import score_caption

    return score_caption(normaliser.words(answer), sample.target, tables)


def _chair_truth(folder: Path) -> Path:
    from tasks.chair.truth import truth_in

    return truth_in(folder) or in_data("--truth", folder, [folder / "ground_truth_<build>.json.gz"])


def _curves(found: AnswerFile, tables: ChairTables, normaliser: Normaliser) -> Curves:
    """Each cut with its figures, from the first sentence to the whole captions, then by words."""
    from harness.stats import estimate
    from tasks.chair.cut import cut_captions
    from tasks.chair.marks import CHAIR_METRICS

    return [(one, estimate(one.rows, CHAIR_METRICS)) for one in cut_captions(found, tables, normaliser)]
