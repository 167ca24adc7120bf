"""Marks answers that are there already, without a model: `strop.score` in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, UsageError
from harness.profiles import ALL_PROFILES
from harness.wording import counted
from strop.evaluation import Evaluation, find_tasks

if TYPE_CHECKING:
    from harness.marking import Answered
    from harness.types import Task
    from tasks.data.rows import Row

ID_FIELDS = ("question_id", "id", "image_id", "image")
ANSWER_FIELDS = ("text", "answer", "response", "prediction", "caption")
"""Fields of a row that may hold the sample's id, and the answer to it; the first that is there counts."""

Answers = Mapping[str, str] | Mapping[str, Path] | Sequence[str] | str | Path

OpenAnswers = Callable[..., "Mapping[str, Answered]"]
"""`open_answers` of a benchmark's `answers.py`: profile -> the answers of a file, bound to their truth."""


def score(
    task: str | Task,
    answers: Answers,
    *,
    split: str = "test",
    profile: str | None = None,
    partial: bool = False,
    name: str | None = None,
    out: str | Path | None = None,
    data: str | Path | None = None,
    plugin_path: str | Path | None = None,
    **options: Any,
) -> Evaluation:
    """Mark answers that are there already, as `evaluate` marks those that it asks for.

    `answers` are texts by sample id, or one for each sample in the task's order, or a file with a row an answer
    (`ID_FIELDS`, `ANSWER_FIELDS`; JSON lines, CSV, .xlsx, Parquet). A file of answers to a published benchmark (pope,
    chair, ic, grounding, scienceqa, mathvista) may have any layout that `strop score` reads, of POPE also a mapping of
    category -> `Path`; `options` are then those of that command (`truth`, `questions`, CHAIR's `objects` ...).

    `profile` is the way of reading, or "all" for each of them side by side; `partial` accepts samples without an
    answer. `name` says whose answers they are; with `out`, a results folder of one profile is written.

    Raises `harness.errors.StropError` for an answer to no sample, for samples without one, and for a file that does
    not fit, with the remedy.

    Example:
        >>> import strop
        >>> (task,) = strop.find_tasks("pictos_pope")
        >>> answers = {sample.id: "Yes, there is." for sample in task.samples("test")[:18]}
        >>> evaluation = strop.score(task, answers, partial=True)
        >>> evaluation.figures()["pictos_pope"]["random/recall"]["value"]
        1.0
    """
    from strop.places import data_root
    from strop.scoring import refuse_profiles, score_answered, write_scores

    refuse_profiles(out is not None and profile == ALL_PROFILES)
    open_answers = _opener(task) if _are_files(answers) else None
    if open_answers is None:
        (scored,) = find_tasks(task, data=data, plugin_path=plugin_path)
        if options:
            raise UsageError(f"score: {', '.join(options)} are for files of answers to a published benchmark")
        evaluation = _score_samples(_answered(scored, answers, split, partial), profile, split, name or _name(answers))
    else:
        files = {key: Path(file) for key, file in answers.items()} if isinstance(answers, Mapping) else _path(answers)
        paths = {key: _path(value) if key in ("truth", "questions") else value for key, value in options.items()}
        opened = open_answers(files, data=data_root(data).folder, profile=profile, partial=partial, **paths)
        evaluation = score_answered(opened, name=name)
    return write_scores(evaluation, _path(out)) if out is not None else evaluation


def _are_files(answers: Answers) -> bool:
    if isinstance(answers, Mapping):
        return bool(answers) and all(isinstance(file, Path) for file in answers.values())
    return isinstance(answers, str | Path)


def _opener(task: str | Task) -> OpenAnswers | None:
    """What reads files of answers to a benchmark of this name, None where its folder has no such reader."""
    module = f"tasks.{task}.answers"
    if not (isinstance(task, str) and task.isidentifier() and find_spec(f"tasks.{task}") and find_spec(module)):
        return None
    opener: OpenAnswers | None = getattr(import_module(module), "open_answers", None)
    return opener


def _score_samples(answered: Answered, profile: str | None, split: str, name: str) -> Evaluation:
    from harness.files import digest_of_json
    from harness.marking import mark_by_profiles
    from harness.profiles import profile_of, profiles_of
    from harness.provenance import provenance
    from harness.results import Results
    from harness.stats import estimate

    task = answered.task
    profiles = tuple(profiles_of(task)) if profile == ALL_PROFILES else (profile or profile_of(task),)
    tasks = tuple(replace(result, split=split) for result in mark_by_profiles(dict.fromkeys(profiles, answered)))
    results = Results(
        model=name,
        digest=digest_of_json([answered.answers, [sample.id for sample in answered.samples]]),
        parent=None,
        tasks=tasks,
        provenance={**provenance(), "finished": datetime.now(UTC).isoformat(timespec="seconds"), "answers": name},
    )
    return Evaluation(results=results, estimates=tuple(estimate(result.rows, result.metrics) for result in tasks))


def _name(answers: Answers) -> str:
    return Path(answers).name if isinstance(answers, str | Path) else "answers"


def _path(file: str | Path | Any) -> Path:
    return Path(file).expanduser()


def _answered(task: Task, answers: Answers, split: str, partial: bool) -> Answered:
    """The samples of the task that are answered, in its order."""
    from harness.marking import Answered
    from harness.task_faults import samples_of

    samples = samples_of(task, split)
    texts = _by_id(answers, [sample.id for sample in samples], task.name)
    if strangers := sorted(texts.keys() - {sample.id for sample in samples}):
        raise DataError(
            f"{task.name} has no sample '{strangers[0]}' in the split {split} ({counted(len(strangers), 'answer')} to "
            "none of its samples); name the split and the data that the answers are to"
        )
    missing = [sample.id for sample in samples if sample.id not in texts]
    if (missing and not partial) or not texts:
        raise DataError(
            f"{task.name}: {counted(len(missing), 'sample has', 'samples have')} no answer, such as '{missing[0]}'; "
            "answer all, or accept that by partial=True"
        )
    chosen = tuple(sample for sample in samples if sample.id in texts)
    return Answered(task=task, samples=chosen, answers=tuple(texts[sample.id] for sample in chosen))


def _by_id(answers: Answers, ids: Sequence[str], task: str) -> Mapping[str, str]:
    if isinstance(answers, Mapping):
        return {id: str(text) for id, text in answers.items()}
    if isinstance(answers, str | Path):
        return _read(Path(answers).expanduser())
    if len(answers) != len(ids):
        raise DataError(
            f"{task} has {counted(len(ids), 'sample')} and {counted(len(answers), 'answer')} came; give one for each, "
            "or answers by sample id"
        )
    return dict(zip(ids, answers, strict=True))


def _read(path: Path) -> dict[str, str]:
    from tasks.data.rows import read_rows

    answers: dict[str, str] = {}
    for row in read_rows(path):
        id = row.identifier(_field(row, ID_FIELDS))
        if id in answers:
            raise DataError(f"{path}: sample '{id}' is answered twice; keep one answer")
        answers[id] = row.text(_field(row, ANSWER_FIELDS))
    return answers


def _field(row: Row, names: Sequence[str]) -> str:
    return next((name for name in names if name in row.content), names[0])
