"""Marks answers that are there already, without a model: `strop.score` in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DataError
from harness.wording import counted
from strop.evaluation import Evaluation, find_tasks, write_evaluation

if TYPE_CHECKING:
    from harness.marking import Answered
    from harness.types import Task
    from tasks.data.rows import Row

EVERY_PROFILE = "all"

ID_FIELDS = ("question_id", "id", "image_id", "image")
ANSWER_FIELDS = ("text", "answer", "response", "prediction", "caption")
"""Fields of a row that may hold the sample's id, and the answer to it; the first that is there counts."""

Answers = Mapping[str, str] | Sequence[str] | str | Path


def score(
    task: str | Task,
    answers: Answers,
    *,
    split: str = "test",
    profile: str | None = None,
    partial: bool = False,
    name: str = "answers",
    out: str | Path | None = None,
    data: str | Path | None = None,
    plugin_path: str | Path | None = None,
) -> Evaluation:
    """Mark answers to the samples of a task, as `evaluate` marks those that it asks for.

    `answers` are texts by sample id, or one for each sample in the task's order, or a file with a row an answer
    (`ID_FIELDS`, `ANSWER_FIELDS`; JSON lines, CSV, .xlsx, Parquet). Published files that name samples in other ways are
    read by the command `strop score`. `profile` is the way of reading, or "all" for each of them side by side;
    `partial` accepts samples without an answer. `name` says whose answers they are; with `out`, a results folder of one
    profile is written.

    Raises `harness.errors.DataError` for an answer to no sample, and for samples without one.

    Example:
        >>> import strop
        >>> (task,) = strop.find_tasks("pictos_pope")
        >>> answers = {sample.id: "Yes, there is." for sample in task.samples("test")[:18]}
        >>> evaluation = strop.score(task, answers, partial=True)
        >>> evaluation.figures()["pictos_pope"]["random/recall"]["value"]
        1.0
    """
    from harness.files import digest_of_json
    from harness.marking import mark_by_profiles
    from harness.profiles import profile_of, profiles_of
    from harness.provenance import provenance
    from harness.results import Results
    from harness.stats import estimate

    (scored,) = find_tasks(task, data=data, plugin_path=plugin_path)
    answered = _answered(scored, answers, split, partial)
    profiles = tuple(profiles_of(scored)) if profile == EVERY_PROFILE else (profile or profile_of(scored),)
    tasks = mark_by_profiles(dict.fromkeys(profiles, answered))
    results = Results(
        model=name,
        digest=digest_of_json([answered.answers, [sample.id for sample in answered.samples]]),
        parent=None,
        tasks=tuple(tasks),
        provenance={
            **provenance(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "answers": answers.name if isinstance(answers, Path) else answers if isinstance(answers, str) else name,
        },
    )
    evaluation = Evaluation(results=results, estimates=tuple(estimate(each.rows, each.metrics) for each in tasks))
    return write_evaluation(evaluation, Path(out).expanduser()) if out is not None else evaluation


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
        return answers
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
