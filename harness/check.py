"""Whether a task keeps its promises on the data at hand, before a model is asked: claims about it and every sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.errors import StropError
from harness.pictures import open_picture
from harness.profiles import PLAIN, details_of, profiles_of, scorer_of
from harness.task_faults import fault_of_sample, fault_of_task, gold_of, uncounted
from harness.types import Advance, Picture, Sample, Score, Scorer, Task

CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "task": "the headline is one of the metrics, marks count what these are of, and an answer may have a token",
        "samples": "every sample has texts for id, prompt and cluster, and pictures for images",
        "ids": "every sample has an id of its own",
        "pictures": "every picture opens",
        "marks": "of every answer the mark is a number from 0 to 1, counts are numbers, and JSON knows what was read",
        "gold": "the right answer is read and earns full marks",
        "silence": "an empty answer earns nothing and is counted as unread (of several profiles: in strict)",
    }
)
"""Name of a claim -> what it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A sample (None: the task as a whole) for which a claim does not hold."""

    task: str
    claim: str
    sample: str | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """How often each claim was put to the test for a task, and where it failed. A picture is opened once."""

    task: str
    counts: Mapping[str, int]
    failures: tuple[Failure, ...]


def check(task: Task, samples: Sequence[Sample], advance: Advance | None = None) -> Checked:
    """Put all claims to the test for these samples of a task; no sample at all proves nothing and is a failure."""
    failures: list[Failure] = []
    if not samples:
        failures.append(Failure(task=task.name, claim="ids", sample=None, reason="there is no sample"))
    places: dict[str, int] = {}
    opened: set[Picture] = set()
    counted: list[Mapping[str, float]] = []
    sound: list[Sample] = []
    # the rules of others pay for silence, which is theirs to answer for; ours must not
    scorers = {"gold": scorer_of(task), "silence": profiles_of(task).get(PLAIN, scorer_of(task))}
    for number, sample in enumerate(samples, start=1):
        if reason := fault_of_sample(sample):
            failures.append(Failure(task=task.name, claim="samples", sample=f"number {number}", reason=reason))
            continue
        sound.append(sample)
        fresh = set(sample.images) - opened
        opened |= fresh
        faults = [
            ("ids", _repeated_id(number, places.setdefault(sample.id, number))),
            *(("pictures", _unopened(picture)) for picture in fresh),
            *_faults_of_marks(task, scorers, sample, counted),
        ]
        failures += [
            Failure(task=task.name, claim=claim, sample=sample.id, reason=reason) for claim, reason in faults if reason
        ]
        if advance:
            advance(1)
    if sound and (reason := _fault_of_task(task, sound, counted)):
        failures.append(Failure(task=task.name, claim="task", sample=None, reason=reason))
    times = {"task": 1, "pictures": len(opened)}
    counts = {claim: times.get(claim, len(samples)) for claim in CLAIMS}
    return Checked(task=task.name, counts=counts, failures=tuple(failures))


# Each says why a claim does not hold, or None.


def _fault_of_task(task: Task, samples: Sequence[Sample], counted: Sequence[Mapping[str, float]]) -> str | None:
    metrics = details_of(task, samples).metrics
    return fault_of_task(task, metrics) or (uncounted(metrics, task.headline, counted) if counted else None)


def _repeated_id(number: int, first: int) -> str | None:
    return None if number == first else f"samples {first} and {number} have this id"


def _unopened(picture: Picture) -> str | None:
    try:
        open_picture(picture)
    except StropError as error:
        return str(error)
    return None


def _faults_of_marks(
    task: Task, scorers: Mapping[str, Scorer], sample: Sample, counted: list[Mapping[str, float]]
) -> Iterator[tuple[str, str | None]]:
    """(claim, why it does not hold) of the right answer and of an empty one; what they count goes into `counted`."""
    for claim, score in scorers.items():
        try:
            answer = gold_of(task, sample) if claim == "gold" else ""
            mark = score(sample, answer)
        except StropError as error:
            yield "marks", str(error)
            continue
        counted.append(mark.counts)
        if not 0 <= mark.value <= 1:
            yield "marks", f"the answer {answer!r:.80} earns {mark.value:g}, which is not from 0 to 1"
        yield claim, _refused_gold(answer, mark) if claim == "gold" else _rewarded_silence(mark)


def _refused_gold(answer: str, score: Score) -> str | None:
    if score.parsed is None:
        return f"the right answer {answer!r:.80} is counted as unread"
    return None if score.value == 1.0 else f"the right answer {answer!r:.80} earns {score.value:g} and not 1"


def _rewarded_silence(score: Score) -> str | None:
    if score.value != 0.0:
        return f"an empty answer earns {score.value:g}"
    if score.parsed is not None:
        return f"an empty answer is read as {score.parsed!r:.80}"
    # not every task has a metric of what is unread; one that has must see it here
    return None if score.counts.get("unread", 1) == 1 else "an empty answer is not among the counted unread"
