"""Asks a model the samples of tasks and marks its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from harness.episodes import After, play, text_of
from harness.errors import DataError, UsageError
from harness.marking import Sureness, mark_with_readings
from harness.models.vlm import Vlm
from harness.profiles import details_of
from harness.provenance import data_digest
from harness.ranked import OWN
from harness.results import TaskResult
from harness.store import Answering, Likely, Store, ask, ask_likelihoods
from harness.task_faults import careful_world, samples_of, try_task
from harness.thoughts import answer_of
from harness.types import Advance, Continued, Interactive, Picture, Ranked, Sample, Sampling, Task

Progress = Callable[[str, int], Advance]
"""Takes a task's name and its number of samples (of continuations, where it compares them); returns what is called
after every step."""


def evaluate(
    model: Answering,
    tasks: Sequence[Task],
    *,
    split: str,
    limit: int | None = None,
    max_tokens: Mapping[str, int] = MappingProxyType({}),
    max_thought_tokens: int | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> list[TaskResult]:
    """Asks every sample of the tasks (the first `limit` of each) and marks the answers.

    `max_tokens` bounds the answers of the tasks that it names, instead of the task's own bound; `max_thought_tokens`
    is what thoughts have beside it (`harness.types.Sampling`). Raises `DataError` for a task without samples, or whose
    scorer fails, before the first question of any task.
    """
    samples_by_task = [(task, _tried_samples(task, split, limit)) for task in tasks]
    sentences: dict[_Reply, list[float]] = {}  # tasks may mark the same answers
    results = []
    for task, samples in samples_by_task:
        longest = max_tokens.get(task.name, task.max_tokens)
        sampling = Sampling(max_tokens=longest, max_thought_tokens=max_thought_tokens)
        questions = [_question(sample) for sample in samples]
        if isinstance(task, Continued):
            answers = _likelihoods(model, task, questions, store, progress)
        elif isinstance(task, Interactive):
            advance = progress(task.name, len(samples)) if progress else None
            answers = _episodes(model, careful_world(task.name, task), questions, sampling, store, advance)
        else:
            advance = progress(task.name, len(samples)) if progress else None
            answers = [texts[0].strip() for texts in ask(model, questions, sampling, store, advance)]
        sureness = _sureness(model, task, samples, answers, sentences)
        results.append(
            replace(
                mark_with_readings(task, samples, answers, split=split, sureness=sureness),
                data=data_digest(samples),
                sampling=sampling.settings,
                frontier=task.frontier if isinstance(task, Ranked) and any(sureness) else None,
            )
        )
    return results


def _question(sample: Sample) -> Sample:
    """A model gets neither truth nor what reports want to know."""
    return replace(sample, target=None, meta={})


def _episodes(
    model: Answering,
    after: After,
    starts: Sequence[Sample],
    sampling: Sampling,
    store: Store | None,
    advance: Advance | None,
) -> list[str]:
    """For each start the text that an `Interactive` task marks."""
    kept = store or Store()

    def reply(questions: Sequence[Sample]) -> list[str]:
        return [texts[0].strip() for texts in ask(model, [_question(each) for each in questions], sampling, kept)]

    return [text_of(episode.answers) for episode in play(after, starts, reply, advance)]


def _likelihoods(
    model: Answering, task: Continued, samples: Sequence[Sample], store: Store | None, progress: Progress | None
) -> list[str]:
    """For each sample the text that a `Continued` task marks."""
    name = task.name if isinstance(task, Task) else ""
    if not isinstance(model, Likely):
        raise UsageError(
            f"task {name}: it compares log-likelihoods, and a served model gives none; name a folder or a hub id"
        )
    pairs = [task.continuations(sample) for sample in samples]
    questions = [
        replace(sample, prompt=prompt) for sample, row in zip(samples, pairs, strict=True) for prompt, _ in row
    ]
    continuations = [continuation for row in pairs for _, continuation in row]
    advance = progress(name, len(questions)) if progress else None
    values = iter(ask_likelihoods(model, questions, continuations, store, advance))
    return [json.dumps([next(values) for _ in row]) for row in pairs]


def _tried_samples(task: Task, split: str, limit: int | None) -> Sequence[Sample]:
    samples = samples_of(task, split)[:limit]
    if not samples:
        raise DataError(f"task {task.name}: it has no samples in the split {split}")
    try_task(task, samples, details_of(task, samples).metrics)
    return samples


_Reply = tuple[tuple[Picture, ...], str, str]
"""Pictures, prompt and answer."""


def _sureness(
    model: Answering,
    task: Task,
    samples: Sequence[Sample],
    answers: Sequence[str],
    computed: dict[_Reply, list[float]],
) -> Sequence[Sureness]:
    """How sure the model is of each sentence of each answer; nothing of a task that is not `Ranked`, nor of a model
    that gives no log-probabilities (one that is served). What is not yet in `computed` is put there."""
    if not (isinstance(task, Ranked) and isinstance(model, Vlm)):
        return [{}] * len(samples)
    replies: list[_Reply] = [
        (sample.images, sample.prompt, answer) for sample, answer in zip(samples, answers, strict=True)
    ]
    new = {key: sample for key, sample in zip(replies, samples, strict=True) if key not in computed}
    # without the thought before it, as chat templates leave it out of earlier turns
    values = model.sentence_log_likelihoods(list(new.values()), [answer_of(answer).answer for _, _, answer in new])
    computed |= dict(zip(new, values, strict=True))
    return [{OWN: computed[key]} for key in replies]
