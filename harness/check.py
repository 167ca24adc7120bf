"""Whether a task keeps its promises on the data at hand, before a model is asked: four claims about every sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.errors import StropError
from harness.pictures import open_picture
from harness.profiles import PLAIN, profiles_of, scorer_of
from harness.types import Advance, Picture, Sample, Task

CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "ids": "every sample has an id of its own",
        "pictures": "every picture opens",
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
    for place, sample in enumerate(samples, start=1):
        fresh = set(sample.images) - opened
        opened |= fresh
        found = [
            ("ids", _repeated_id(place, places.setdefault(sample.id, place))),
            *(("pictures", _unopened(picture)) for picture in fresh),
            ("gold", _refused_gold(task, sample)),
            ("silence", _rewarded_silence(task, sample)),
        ]
        failures += [
            Failure(task=task.name, claim=claim, sample=sample.id, reason=reason) for claim, reason in found if reason
        ]
        if advance:
            advance(1)
    counts = {"ids": len(samples), "pictures": len(opened), "gold": len(samples), "silence": len(samples)}
    return Checked(task=task.name, counts=counts, failures=tuple(failures))


# Each says why a claim does not hold, or None.


def _repeated_id(place: int, first: int) -> str | None:
    return None if place == first else f"samples {first} and {place} have this id"


def _unopened(picture: Picture) -> str | None:
    try:
        open_picture(picture)
    except StropError as error:
        return str(error)
    return None


def _refused_gold(task: Task, sample: Sample) -> str | None:
    try:
        answer = task.gold(sample)
        score = scorer_of(task)(sample, answer)
    except StropError as error:
        return str(error)
    if score.parsed is None:
        return f"the right answer {answer!r:.80} is counted as unread"
    return None if score.value == 1.0 else f"the right answer {answer!r:.80} earns {score.value:g} and not 1"


def _rewarded_silence(task: Task, sample: Sample) -> str | None:
    # the rules of others pay for silence, which is theirs to answer for; ours must not
    score_strictly = profiles_of(task).get(PLAIN) or scorer_of(task)
    try:
        score = score_strictly(sample, "")
    except StropError as error:
        return str(error)
    if score.value != 0.0:
        return f"an empty answer earns {score.value:g}"
    if score.parsed is not None:
        return f"an empty answer is read as {score.parsed!r:.80}"
    # not every task has a metric of what is unread; one that has must see it here
    return None if score.counts.get("unread", 1) == 1 else "an empty answer is not among the counted unread"
