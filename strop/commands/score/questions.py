"""`strop score` for the benchmarks of questions with one right answer: POPE, ScienceQA, MathVista."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strop.commands.score.deliver import deliver, mark_each, write_disagreements
from strop.commands.score.options import (
    AnswersOption,
    CategoryAnswersOption,
    DisagreementsOption,
    NameOption,
    OutOption,
    PartialOption,
    answer_files,
    chosen_profiles,
    if_there,
    in_data,
    judged_profiles,
    profile_beside,
)
from strop.models import open_judge, with_judge
from strop.options import DataOption, JsonOption, JudgeEndpointOption, JudgeOption
from tasks.data.root import DEFAULT_DATA

if TYPE_CHECKING:
    from harness.types import Sample, Score


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
    from tasks.pope import marks as task
    from tasks.pope.answers import are_labels, load_answers
    from tasks.reading.readers import YES_NO_PROFILES

    profiles = chosen_profiles(profile, tuple(YES_NO_PROFILES), out)
    folder = data.expanduser() / task.NAME
    files = answer_files(answers)
    questions = questions or (None if isinstance(files, Mapping) else if_there(folder / "llava_pope_test.jsonl"))
    if truth is None:
        truth = questions if questions and are_labels(questions) else _pope_truth(folder)
    joined = load_answers(files, questions, truth, partial=partial)
    answered = {sample.meta["group"] for sample in joined.samples}
    categories = [category for category in joined.info["splits"] if category in answered]
    metrics = task.pope_metrics(categories)

    def scorer(reader: str) -> Callable[[Sample, str], Score]:
        return lambda sample, answer: task.score_pope(sample.target, answer, reader)

    about = (task.NAME, task.VERSION, task.headline(categories))
    beside = profile_beside(profiles)
    marked = mark_each(about, profiles, joined, metrics, scorer, str, beside, task.REPLICAS)
    write_disagreements(disagreements, [marked])
    deliver(marked, as_json, out, name, [files] if isinstance(files, Path) else list(files.values()), truth)


def _pope_truth(folder: Path) -> Path:
    """The folder of label files below the data folder: AoiDragon/POPE's own, or one named after its rows."""
    from tasks.pope.questions import labels_folder

    return labels_folder(folder) or in_data("--truth", folder, [folder / "coco_pope_adversarial.json"])


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
    from harness.profiles import PLAIN
    from harness.thoughts import without_thought
    from tasks.reading.readers import OPTION_PROFILES
    from tasks.scienceqa import answers as task_answers
    from tasks.scienceqa import marks as task

    profiles = judged_profiles(judge, profile, tuple(OPTION_PROFILES), out)
    folder = data.expanduser() / task.NAME
    questions = questions or in_data(
        "--questions", folder, [folder / "llava_test_CQM-A.json", folder / "problems.json"]
    )
    found = task_answers.load_answers(
        answers, questions, truth or if_there(folder / "pid_splits.json"), partial=partial
    )

    def scorer(reader: str) -> Callable[[Sample, str], Score]:
        return lambda sample, answer: task.score_scienceqa(sample.target, answer, reader)

    metrics = task.scienceqa_metrics(found.info["cells"])
    about = (task.NAME, task.VERSION, task.HEADLINE)
    beside = profile_beside(profiles)
    marked = mark_each(about, profiles, found, metrics, scorer, lambda target: target.gold, beside, task.REPLICAS)
    marked = with_judge(open_judge(judge, judge_endpoint), marked, found.samples, without_thought(scorer(PLAIN)), data)
    write_disagreements(disagreements, [marked])
    deliver(marked, as_json, out, name, [answers], questions)


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
    from harness.profiles import PLAIN
    from harness.thoughts import without_thought
    from tasks.mathvista import answers as task_answers
    from tasks.mathvista import marks as task
    from tasks.mathvista.readers import MATHVISTA_PROFILES

    if profile is not None:
        chosen_profiles(profile, tuple(MATHVISTA_PROFILES), out)  # a wrong name is told before a file is read
    questions = questions or if_there(data.expanduser() / task.NAME / "testmini.json")
    found = task_answers.load_answers(answers, questions, partial=partial)
    profiles = judged_profiles(
        judge, profile, tuple(MATHVISTA_PROFILES), out, default=task_answers.default_profile(found)
    )

    def scorer(reader: str) -> Callable[[Sample, str], Score]:
        return lambda sample, answer: task.score_mathvista(sample.target, found.reply(sample.id, answer), reader)

    metrics = task.mathvista_metrics(found.info["cells"])
    about = (task.NAME, task.VERSION, task.HEADLINE)
    # where hardly an extraction is stored, official is no figure to hold another against
    beside = [one for one in profile_beside(profiles) if one in (PLAIN, task_answers.default_profile(found))]
    marked = mark_each(about, profiles, found, metrics, scorer, lambda target: target.answer, beside, task.REPLICAS)
    marked = with_judge(open_judge(judge, judge_endpoint), marked, found.samples, without_thought(scorer(PLAIN)), data)
    write_disagreements(disagreements, [marked])
    deliver(marked, as_json, out, name, [answers], questions or answers)
