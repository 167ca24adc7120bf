"""Marks answers: what `strop eval`, `strop score`, `strop rescore` and the Python API share.

Answers to samples of a task become a `TaskResult`, under one of the task's profiles or under each of them. Who else
needs a single mark (the verifiers `rule` and `oracle`, rankings of sentences) takes `harness.profiles.scorer_of`, which
is what everything here marks by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError
from harness.profiles import PLAIN, details_of, profile_of, profiles_of, replicas_of, scorer_of
from harness.ranked import steps_of, sureness_of
from harness.results import Marked, TaskResult, mark
from harness.task_faults import gold_of
from harness.thoughts import thoughts_in
from harness.types import Metric, Sample, Scorer, Task
from harness.wording import counted

Sureness = Mapping[str, Sequence[float]]
"""Of one answer: who ranked its sentences -> a number a sentence (`harness.ranked.steps_of`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A file of answers, ready to mark: `answers[i]` is the text given to `samples[i]`.

    `task` is bound to the truth that was named; its details tell which, and what was joined to what. `files` are the
    files of answers, and `truth` is the file or folder that holds the right ones: the answer file itself where that
    repeats its questions. `reference` is the profile that published figures are read by: where answers are marked
    under one profile, its headline is told beside that of `strict`, and strict's beside any other's; None: neither is.
    """

    task: Task
    samples: tuple[Sample, ...]
    answers: tuple[str, ...]
    files: tuple[Path, ...] = field(default=(), compare=False)
    truth: Path | None = field(default=None, compare=False)
    reference: str | None = None

    @property
    def info(self) -> Mapping[str, Any]:
        """What the task's details tell of the samples."""
        return details_of(self.task, self.samples).info


def mark_answers(
    task: Task,
    samples: Sequence[Sample],
    answers: Sequence[str],
    *,
    profile: str | None = None,
    split: str = "test",
    sureness: Sequence[Sureness] | None = None,
) -> TaskResult:
    """Marks answers under a profile of the task, by default its own; `answers[i]` is the text given to `samples[i]`.

    With `sureness`, one mapping an answer, each is also marked after each of its sentences, the surest first. Raises
    `UsageError` for a profile that the task does not have, `DataError` for a scorer that fails.
    """
    profile = profile_of(task) if profile is None else profile
    score = _scorer(task, profile)
    details = details_of(task, samples)
    rankings: Sequence[Sureness] = [{}] * len(samples) if sureness is None else sureness
    return TaskResult(
        task=task.name,
        version=task.version,
        profile=profile,
        split=split,
        headline=task.headline,
        metrics=details.metrics,
        rows=tuple(
            _mark(sample, answer, score, ranking)
            for sample, answer, ranking in zip(samples, answers, rankings, strict=True)
        ),
        info={**details.info, **thoughts_in(answers, marked=profile in replicas_of(task))},
    )


def mark_with_readings(
    task: Task,
    samples: Sequence[Sample],
    answers: Sequence[str],
    *,
    split: str = "test",
    sureness: Sequence[Sureness] | None = None,
) -> TaskResult:
    """As `mark_answers` under the task's own profile; `info` tells what each of its profiles makes of the answers.

    Beside what `compare_profiles` adds, "headline_by_profile" has fractions. A task with one profile has none of it.
    """
    own = profile_of(task)
    results = {
        name: mark_answers(
            task, samples, answers, profile=name, split=split, sureness=sureness if name == own else None
        )
        for name in profiles_of(task)
    }
    if len(results) == 1:
        return results[own]
    compared = compare_profiles(list(results.values()), lambda index: read_gold(task, samples[index]))
    info = {**results[own].info, **compared, "headline_by_profile": headline_values(list(results.values()))}
    return replace(results[own], info=info)


def mark_by_profiles(answered: Mapping[str, Answered]) -> list[TaskResult]:
    """The answers of a file under each of these profiles (profile -> answers), `side_by_side`.

    The samples are the same under each, but their truth may be the profile's own. Beside a single profile, the headline
    of another is kept in `info["headline_by_profile"]` (`Answered.reference`).
    """
    results = [_mark_file(each, profile) for profile, each in answered.items()]
    first = next(iter(answered.values()))
    if len(results) > 1:
        return side_by_side(results, lambda index: read_gold(first.task, first.samples[index]))
    other = first.reference if PLAIN in answered else PLAIN
    if first.reference is None or other is None or other in answered:
        return results
    values = headline_values([*results, _mark_file(first, other)])
    return [replace(result, info={**result.info, "headline_by_profile": values}) for result in results]


def remark(result: TaskResult, task: Task, samples: Sequence[Sample], profile: str) -> TaskResult:
    """The stored answers of a task marked again under one of its profiles; `samples` are those of the result's split.

    Raises `UsageError` for a profile that the task does not have and `DataError` where the answers were given to
    another version of the task or to questions that its data no longer hold.
    """
    _scorer(task, profile)
    if result.version != task.version:
        raise DataError(
            f"{task.name} was asked as version {result.version} and is version {task.version} now; ask again"
        )
    answered = _samples_of_rows(result, task, samples)
    marked = mark_answers(
        task,
        answered,
        [row.answer for row in result.rows],
        profile=profile,
        split=result.split,
        sureness=[{name: sureness_of(steps) for name, steps in row.ranked.items()} for row in result.rows],
    )
    # older results hold lm-eval's aggregates of their marks, which are not those of these
    info = {name: value for name, value in result.info.items() if name not in ("lm_eval", "thoughts")}
    info |= {name: value for name, value in marked.info.items() if name == "thoughts"}
    return replace(result, profile=profile, metrics=marked.metrics, rows=marked.rows, info=info)


def remark_each(result: TaskResult, task: Task, samples: Sequence[Sample], profiles: Sequence[str]) -> list[TaskResult]:
    """`remark` under each of these profiles, `side_by_side`."""
    results = [remark(result, task, samples, profile) for profile in profiles]
    answered = _samples_of_rows(result, task, samples)
    return side_by_side(results, lambda index: read_gold(task, answered[index]))


def side_by_side(results: Sequence[TaskResult], gold: Callable[[int], Any]) -> list[TaskResult]:
    """The same answers marked under several profiles, each result with what `compare_profiles` tells in its `info`."""
    if len(results) == 1:
        return list(results)
    compared = compare_profiles(results, gold)
    return [replace(result, info={**result.info, **compared}) for result in results]


def compare_profiles(results: Sequence[TaskResult], gold: Callable[[int], Any]) -> dict[str, Any]:
    """What several profiles read in the same answers, for the results' `info`.

    "unread_by_profile" and "read_differently" are counts; "disagreements" lists the answers that not all profiles read
    alike: {"id", "answer", "gold", "read": {profile: what it reads, None: unread}}. `gold` maps the index of an answer
    to what is read in a right one.
    """
    disagreements = []
    for index, rows in enumerate(zip(*(result.rows for result in results), strict=True)):
        if any(row.parsed != rows[0].parsed for row in rows):
            read = {result.profile: row.parsed for result, row in zip(results, rows, strict=True)}
            disagreements.append({"id": rows[0].id, "answer": rows[0].answer, "gold": gold(index), "read": read})
    return {
        "unread_by_profile": {result.profile: sum(row.parsed is None for row in result.rows) for result in results},
        "read_differently": len(disagreements),
        "disagreements": disagreements,
    }


def headline_values(results: Sequence[TaskResult]) -> dict[str, float | None]:
    """The headline of the same answers by each profile, as a fraction; None for 0/0."""
    return {result.profile: _headline_value(result.rows, result.metrics, result.headline) for result in results}


def read_gold(task: Task, sample: Sample) -> Any:
    """What the task reads in a right answer: what was read in another is judged beside it."""
    return scorer_of(task)(sample, gold_of(task, sample)).parsed


def _headline_value(rows: Sequence[Marked], metrics: Sequence[Metric], headline: str) -> float | None:
    from harness.stats import estimate

    return estimate(rows, metrics, draws=1)[headline].value


def _mark_file(answered: Answered, profile: str) -> TaskResult:
    return mark_answers(answered.task, answered.samples, answered.answers, profile=profile)


def _mark(sample: Sample, answer: str, score: Scorer, sureness: Sureness) -> Marked:
    ranked = {name: steps_of(sample, answer, numbers, score) for name, numbers in sureness.items()}
    return mark(sample, answer, score(sample, answer), ranked)


def _scorer(task: Task, profile: str) -> Scorer:
    profiles = profiles_of(task)
    if profile not in profiles:
        raise UsageError(f"{task.name} has no profile '{profile}'; it has {', '.join(profiles)}")
    return profiles[profile]


def _samples_of_rows(result: TaskResult, task: Task, samples: Sequence[Sample]) -> list[Sample]:
    """The sample of each row; raises `DataError` where a row has none."""
    by_id = {sample.id: sample for sample in samples}
    strangers = [row.id for row in result.rows if row.id not in by_id]
    if strangers:
        answers = counted(len(strangers), "answer is", "answers are")
        raise DataError(
            f"{answers} to questions that the data of {task.name} here do not hold, such as "
            f"{strangers[0]}; read the data that were asked"
        )
    return [by_id[row.id] for row in result.rows]
