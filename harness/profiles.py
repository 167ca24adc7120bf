"""The profiles of a task: the ways in which its answers are read and marked, each with a name.

A task without profiles of its own has one, `PLAIN`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from harness.errors import UsageError
from harness.task_faults import careful
from harness.thoughts import without_thought
from harness.types import Detailed, Details, Profiled, Replicating, Sample, Scorer, Task

PLAIN = "strict"
"""The profile of a task that reads its answers in one way; in one that has several, the one that pays no guess."""

ALL_PROFILES = "all"
"""Stands for every profile of a task, side by side."""


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


def chosen_profiles(profile: str, profiles: Iterable[str]) -> tuple[str, ...]:
    """The profile of that name among `profiles`, or all of them; raises `UsageError` with the nearest name."""
    names = tuple(profiles)
    if profile == ALL_PROFILES:
        return names
    if profile not in names:
        choices = (*names, ALL_PROFILES)
        near = difflib.get_close_matches(profile, choices, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"unknown profile '{profile}'; {hint}profiles: {', '.join(choices)}")
    return (profile,)
