"""One pass of a model, marked in every way that its task knows: an answer is stored once and read by each profile.

A task without profiles of its own has one, `PLAIN`. Re-marking needs the task's data and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import DataError, UsageError
from harness.ranked import steps_of, sureness_of
from harness.results import Marked, TaskResult, mark
from harness.task_faults import careful, gold_of
from harness.thoughts import thoughts_in, without_thought
from harness.types import Detailed, Details, Metric, Profiled, Replicating, Sample, Scorer, Task
from harness.wording import counted

PLAIN = "strict"
"""The profile of a task that reads its answers in one way; in one that has several, the one that pays no guess."""


def profile_of(task: Task) -> str:
    """The name under which `task.score` marks."""
    return task.profile if isinstance(task, Profiled) else PLAIN


def profiles_of(task: Task) -> Mapping[str, Scorer]:
    """Every way of marking a model's texts, by name: the whole of them in replicas of others' scripts, else the answers
    in them (`harness.thoughts`); what a scorer gives is looked at (`harness.task_faults`)."""
    scorers = task.profiles if isinstance(task, Profiled) else {PLAIN: task.score}
    replicas = replicas_of(task)
    sound = {name: careful(task.name, score) for name, score in scorers.items()}
    return {name: score if name in replicas else without_thought(score) for name, score in sound.items()}


def replicas_of(task: Task) -> Collection[str]:
    """The profiles that are given whole texts, thoughts and all."""
    return task.replicas if isinstance(task, Replicating) else ()


def scorer_of(task: Task) -> Scorer:
    """What marks a model's texts under the task's own profile."""
    return profiles_of(task)[profile_of(task)]


def details_of(task: Task, samples: Sequence[Sample]) -> Details:
    """The metrics of these samples and what is to be told of them."""
    return task.details(samples) if isinstance(task, Detailed) else Details(metrics=task.metrics)


def readings(task: Task, samples: Sequence[Sample], answers: Sequence[str]) -> dict[str, Any]:
    """What the profiles of a task make of its answers, for the results' `info`; empty for a task with one profile.

    "unread_by_profile" and "read_differently" are counts, "headline_by_profile" fractions; "disagreements" lists the
    answers that not all profiles read alike: {"id", "answer", "gold" (what is read from a right answer), "read":
    {profile: what it reads, None: unread}}.
    """
    profiles = profiles_of(task)
    if len(profiles) == 1:
        return {}
    asked = list(zip(samples, answers, strict=True))
    rows = {
        name: [mark(sample, answer, score(sample, answer)) for sample, answer in asked]
        for name, score in profiles.items()
    }
    known = {sample.id: sample for sample in samples}
    said = [(sample.id, answer) for sample, answer in asked]
    read = {name: [row.parsed for row in marked] for name, marked in rows.items()}
    metrics = details_of(task, samples).metrics
    values = {name: _headline_value(marked, metrics, task.headline) for name, marked in rows.items()}
    found = _readings(said, read, lambda name: _read_gold(task, known[name]))
    return {**found, "headline_by_profile": values}


def _read_gold(task: Task, sample: Sample) -> Any:
    """What the task reads from a right answer: beside it, what was read from another can be judged."""
    return scorer_of(task)(sample, gold_of(task, sample)).parsed


def side_by_side(marked: Sequence[TaskResult], gold: Callable[[str], Any]) -> list[TaskResult]:
    """The same answers marked under several profiles, each result with all their `readings` in its `info`.

    `gold` maps a sample's id to what is right.
    """
    if len(marked) == 1:
        return list(marked)
    read = {result.profile: [row.parsed for row in result.rows] for result in marked}
    found = _readings([(row.id, row.answer) for row in marked[0].rows], read, gold)
    return [replace(result, info={**result.info, **found}) for result in marked]


def headline_values(marked: Sequence[TaskResult]) -> dict[str, float | None]:
    """The headline of the same answers by each profile, as a fraction; None for 0/0."""
    return {result.profile: _headline_value(result.rows, result.metrics, result.headline) for result in marked}


def _headline_value(rows: Sequence[Marked], metrics: Sequence[Metric], headline: str) -> float | None:
    from harness.stats import estimate

    return estimate(rows, metrics, draws=1)[headline].value


def _readings(
    said: Sequence[tuple[str, str]], read: Mapping[str, Sequence[Any]], gold: Callable[[str], Any]
) -> dict[str, Any]:
    """`readings` of (id, answer) from what each profile read of them, in their order."""
    disagreements = [
        {"id": name, "answer": answer, "gold": gold(name), "read": dict(zip(read, found, strict=True))}
        for (name, answer), found in zip(said, zip(*read.values(), strict=True), strict=True)
        if any(one != found[0] for one in found)
    ]
    return {
        "unread_by_profile": {name: sum(one is None for one in found) for name, found in read.items()},
        "read_differently": len(disagreements),
        "disagreements": disagreements,
    }


def remark(result: TaskResult, task: Task, samples: Sequence[Sample], profile: str) -> TaskResult:
    """The stored answers of a task marked again under one of its profiles; `samples` are those of the result's split.

    Raises `UsageError` for a profile that the task does not have and `DataError` where the answers were given to
    another version of the task or to questions that its data no longer hold.
    """
    profiles = profiles_of(task)
    if profile not in profiles:
        raise UsageError(f"{task.name} has no profile '{profile}'; it has {', '.join(profiles)}")
    if result.version != task.version:
        raise DataError(
            f"{task.name} was asked as version {result.version} and is version {task.version} now; ask again"
        )
    known = {sample.id: sample for sample in samples}
    strangers = [row.id for row in result.rows if row.id not in known]
    if strangers:
        answers = counted(len(strangers), "answer is", "answers are")
        raise DataError(
            f"{answers} to questions that the data of {task.name} here do not hold, such as "
            f"{strangers[0]}; read the data that were asked"
        )
    asked = [known[row.id] for row in result.rows]
    rows = [
        mark(
            sample,
            row.answer,
            profiles[profile](sample, row.answer),
            {
                name: steps_of(sample, row.answer, sureness_of(steps), profiles[profile])
                for name, steps in row.ranked.items()
            },
        )
        for sample, row in zip(asked, result.rows, strict=True)
    ]
    # what lm-eval made of the marks was made of other marks
    info = {name: value for name, value in result.info.items() if name not in ("lm_eval", "thoughts")}
    info |= thoughts_in((row.answer for row in rows), marked=profile in replicas_of(task))
    return replace(result, profile=profile, metrics=details_of(task, asked).metrics, rows=tuple(rows), info=info)


def remark_each(result: TaskResult, task: Task, samples: Sequence[Sample], profiles: Sequence[str]) -> list[TaskResult]:
    """`remark` under each of these profiles, `side_by_side`."""
    known = {sample.id: sample for sample in samples}
    marked = [remark(result, task, samples, profile) for profile in profiles]
    return side_by_side(marked, lambda name: _read_gold(task, known[name]))
