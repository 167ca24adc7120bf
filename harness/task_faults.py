"""Checks what a task returns before it is used: its samples, its scores and its metrics.

A task of somebody's own may raise, return nothing, or count what is not a number. Each is a `DataError` that names
task, sample and reason; nothing of it reaches a figure or a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from harness.episodes import After, answers_in
from harness.errors import DataError, StropError
from harness.files import plain
from harness.types import Happened, Interactive, Metric, Profiled, Sample, Score, Scorer, Task
from harness.wording import first_line, mended

TRIED = 3
"""Samples of a task that are marked before a model is asked anything."""

ANSWERS = "answers"
"""The store's name in a folder of results, where every task has a file too."""

LONGEST_NAME = 200
"""Bytes of a task's name: a file's may have 255 on common disks, its ending and that of a half-written one included."""


def careful(task: str, score: Scorer) -> Scorer:
    """The scorer of a task of that name, whose mistakes are a `DataError`."""

    def marked(sample: Sample, answer: str) -> Score:
        where = f"task {task}, sample {sample.id}"
        try:
            mark = score(sample, answer)
        except StropError:
            raise
        except Exception as error:
            raise DataError(f"{where}: score fails on the answer {answer!r:.60} ({_why(error)})") from error
        if fault := fault_of_score(mark):
            raise DataError(f"{where}: of the answer {answer!r:.60} {fault}")
        return mark

    return marked


def careful_world(task: str, world: Interactive) -> After:
    """What says what happened in the world of a task of that name; the task's mistakes are a `DataError`."""

    def after(start: Sample, answers: Sequence[str]) -> Happened:
        where = f"task {task}, sample {start.id}"
        try:
            happened: Any = world.after(start, answers)
        except StropError:
            raise
        except Exception as error:
            raise DataError(f"{where}: after fails on the answers {list(answers)!r:.60} ({_why(error)})") from error
        if not isinstance(happened, Happened):
            raise DataError(f"{where}: after gives {happened!r:.40} and no Happened")
        if happened.question is not None and (fault := fault_of_sample(happened.question)):
            raise DataError(f"{where}: the question after {len(answers)} answers {fault}")
        return happened

    return after


def fault_of_score(mark: Any) -> str | None:
    """What is wrong with what a scorer gave, None where nothing is."""
    if not isinstance(mark, Score):
        return f"score gives {mark!r:.40} and no Score"
    if not _finite(mark.value):
        return f"the mark is {mark.value!r:.40}, which is no finite number"
    counts: Any = mark.counts
    if not isinstance(counts, Mapping):
        return f"the counts are {counts!r:.40} and no mapping of names to numbers"
    for name, count in counts.items():
        if not isinstance(name, str) or not _finite(count):
            return f"the count {name!r:.40} is {count!r:.40}, which is no finite number"
    try:
        json.dumps(mark.parsed, default=plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"parsed is {mark.parsed!r:.60}, which JSON does not know ({error}); give a text, a number or a list"
    return None


def listed_samples(task: Task, split: str) -> list[Sample]:
    """What the task gives as the samples of a split; raises `DataError` where it fails."""
    try:
        return list(task.samples(split))
    except StropError:
        raise
    except Exception as error:
        raise DataError(f"task {task.name}: its samples of the split {split} cannot be had ({_why(error)})") from error


def samples_of(task: Task, split: str) -> Sequence[Sample]:
    """The samples of a split, each looked at, their texts mended (`harness.wording.mended`: names of files may be no
    text); raises `DataError` for the first that is none, or has another's id."""
    samples = listed_samples(task, split)
    numbers: dict[str, int] = {}
    for number, sample in enumerate(samples, start=1):
        if fault := fault_of_sample(sample):
            raise DataError(f"task {task.name}, sample {number} of {split}: {fault}")
        id, prompt, cluster = map(mended, (sample.id, sample.prompt, sample.cluster))
        if (id, prompt, cluster) != (sample.id, sample.prompt, sample.cluster):
            sample = samples[number - 1] = replace(sample, id=id, prompt=prompt, cluster=cluster)
        if (first := numbers.setdefault(sample.id, number)) != number:
            raise DataError(f"task {task.name}: samples {first} and {number} of {split} have one id, {sample.id}")
    return samples


def fault_of_sample(sample: Any) -> str | None:
    """What is wrong with a sample, None where nothing is."""
    if not isinstance(sample, Sample):
        return f"is {sample!r:.40} and no Sample"
    for name in ("id", "prompt", "cluster"):
        if not isinstance(getattr(sample, name), str):
            return f"its {name} is {getattr(sample, name)!r:.40}, which is no text"
    if not sample.id:
        return "its id is empty"
    images: Any = sample.images
    if not isinstance(images, tuple):
        return f"its images are {images!r:.40} and no tuple of pictures"
    for picture in images:
        if not (isinstance(picture, Path) or callable(picture)):
            return f"its picture {picture!r:.60} is neither a Path nor a function that draws one"
    meta: Any = sample.meta
    if not isinstance(meta, Mapping):
        return f"its meta is {meta!r:.40} and no mapping"
    group = meta.get("group")
    return None if isinstance(group, str | None) else f"its group is {group!r:.40}, which is no text"


def fault_of_task(task: Task, metrics: Sequence[Metric]) -> str | None:
    """What is wrong with a task beside its samples, None where nothing is; `metrics` are those of its samples."""
    if fault := _fault_of_name(task.name):
        return fault
    if isinstance(task.max_tokens, bool) or not isinstance(task.max_tokens, int) or task.max_tokens < 1:
        return f"max_tokens is {task.max_tokens!r:.40}; an answer needs a whole number of tokens, one or more"
    if not isinstance(metrics, list | tuple) or not all(isinstance(metric, Metric) for metric in metrics):
        return f"its metrics are {metrics!r:.60} and no tuple of Metric"
    names = [metric.name for metric in metrics]
    if task.headline not in names:
        return f"the headline {task.headline!r:.40} is none of its metrics ({', '.join(names) or 'it has none'})"
    if twice := [name for name in names if names.count(name) > 1]:
        return f"two metrics are called {twice[0]}"
    for metric in metrics:
        if absent := [name for name in metric.macro if name not in names]:
            return f"the metric {metric.name} is a mean of {absent[0]}, which is none of its metrics"
        if not metric.macro and not (metric.terms and metric.over):
            return f"the metric {metric.name} has no terms or nothing that they are over"
        if not all(map(_finite, (*metric.terms.values(), *metric.over.values()))):
            return f"the metric {metric.name} has a weight that is no finite number"
        if metric.better not in ("higher", "lower", "neither"):
            return f"the metric {metric.name} is better {metric.better!r:.40}; say higher, lower or neither"
    if circular := _circular(metrics):
        return f"the metric {circular} is a mean of itself"
    return None


def _fault_of_name(name: str) -> str | None:
    """Files are named after a task, beside the store of answers."""
    if Path(name).name != name or name == "..":
        return "its name is a file's too, so it holds no / and is no .."
    if name == ANSWERS:
        return f"its file would be {ANSWERS}.jsonl, which is the store of answers; give it another name"
    if len(name.encode()) > LONGEST_NAME:
        return f"its name is a file's too, and longer than {LONGEST_NAME} bytes; give it a shorter one"
    return None


def _circular(metrics: Sequence[Metric]) -> str | None:
    """The name of a mean of means that comes back to itself, None where none does."""
    computed: set[str] = set()
    waiting = list(metrics)
    while ready := [metric for metric in waiting if computed.issuperset(metric.macro)]:
        computed |= {metric.name for metric in ready}
        waiting = [metric for metric in waiting if metric.name not in computed]
    return waiting[0].name if waiting else None


def uncounted(metrics: Sequence[Metric], headline: str, counts: Sequence[Mapping[str, float]]) -> str | None:
    """A metric that is wrong because no mark has a count that it names, as a fault; None where there is none.

    A metric that nothing of is counted at all may be one of a cell that no sample lies in, the headline excepted.
    """
    seen = {name for counted in counts for name in counted}
    for metric in metrics:
        absent = [name for name in (*metric.over, *metric.terms) if name not in seen]
        if absent and (metric.name == headline or seen & set(metric.over)):
            return f"the metric {metric.name} is of {absent[0]!r}, which no mark counts; count it as 0 where it is none"
    return None


def try_task(task: Task, samples: Sequence[Sample], metrics: Sequence[Metric]) -> None:
    """Mark the right answer and an empty one of the first samples, before a model is asked; raises `DataError`.
    `metrics` are the task's of these samples."""
    if fault := fault_of_task(task, metrics):
        raise DataError(f"task {task.name}: {fault}")
    scorers: Mapping[str, Scorer] = task.profiles if isinstance(task, Profiled) else {"": task.score}
    if isinstance(task, Interactive):
        _try_world(task.name, careful_world(task.name, task), [(s, gold_of(task, s)) for s in samples[:TRIED]])
    counts = []
    for sample in samples[:TRIED]:
        for answer in dict.fromkeys((gold_of(task, sample), "")):
            counts += [careful(task.name, score)(sample, answer).counts for score in scorers.values()]
    headlines = [metric for metric in metrics if metric.name == task.headline]
    if samples and (fault := uncounted(headlines, task.headline, counts)):
        raise DataError(f"task {task.name}: {fault}")


def _try_world(task: str, after: After, starts: Sequence[tuple[Sample, str]]) -> None:
    """Of each start, with the right answers from there on: the world asks, and by them the episode ends well."""
    for start, gold in starts:
        begun, ended = after(start, ()), after(start, answers_in(gold))
        if begun.question is None:
            raise DataError(f"task {task}, sample {start.id}: the episode has ended before anything is asked")
        if ended.question is not None or not ended.succeeded:
            raise DataError(f"task {task}, sample {start.id}: the right answers {gold!r:.60} do not end it well")


def gold_of(task: Task, sample: Sample) -> str:
    """A right answer; raises `DataError` where the task gives none."""
    where = f"task {task.name}, sample {sample.id}"
    try:
        answer: Any = task.gold(sample)
    except StropError:
        raise
    except Exception as error:
        raise DataError(f"{where}: gold fails ({_why(error)})") from error
    if isinstance(answer, str):
        return answer
    raise DataError(f"{where}: gold gives {answer!r:.40}, which is no text")


def _finite(number: Any) -> bool:
    # numpy's numbers are reals too, its booleans and 0-dimensional arrays are not
    return isinstance(number, Real) and math.isfinite(number)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}" if str(error).strip() else repr(error)
