"""The nouns that every folder speaks: frozen records, keyword-only, and two protocols.

A value never changes after it is made; what acts on it is a plain function. `Score.counts` carries sums, so that every
metric - a mean, F1, CHAIRi - is a ratio of sums and is resampled by one piece of code (`harness.stats`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL.Image import Image

Picture = Path | Callable[[], Image]
"""A picture is a file or a function that draws it: samples are made without opening a single file."""

AnswerStream = Iterator[tuple[int, list[str]]]
"""Answers as they come, in any order: the index of a sample in the request, and all its answers."""

Advance = Callable[[int], None]
"""Told how many samples were answered since the last call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One question put to a model.

    `id` is stable across machines and unique in its task. `cluster` is what is resampled together (the image: six POPE
    questions share one). `meta` holds what a report wants to know and never the gold answer.

    Example:
        >>> Sample(id="1", prompt="Is there a cat?", images=(), target="yes", cluster="scene-7").blind().target is None
        True
    """

    id: str
    prompt: str
    images: tuple[Picture, ...]
    target: Any
    cluster: str
    meta: Mapping[str, Any] = field(default_factory=dict)

    def blind(self) -> Sample:
        """The same question without its answer: what a verifier that must not see gold is given."""
        return replace(self, target=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What one answer earned.

    `value` is the sample's own mark in 0..1 (the reward of the rule verifier); `parsed` is what was read from the
    answer, None when nothing could be read: such an answer is counted as unread and never guessed.
    `counts` are the sums that metrics divide, e.g. ``{"tp": 1, "asked": 1}``.
    """

    value: float
    parsed: Any
    counts: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A ratio of sums over `Score.counts`, optionally over the samples of one group only.

    `terms` maps a count's name to its weight in the numerator, `over` in the denominator:
    F1 is ``terms={"tp": 2}, over={"tp": 2, "fp": 1, "fn": 1}``. `group` restricts the sums to samples whose
    `Sample.meta["group"]` equals it. `macro` names metrics of the same task of which this one is the plain mean
    (then `terms` and `over` are empty). `better` is "higher", "lower" or "neither" (a length, a yes-ratio).
    `percent` says whether a board shows it as a percentage.
    """

    name: str
    terms: Mapping[str, float] = field(default_factory=dict)
    over: Mapping[str, float] = field(default_factory=dict)
    group: str | None = None
    macro: tuple[str, ...] = ()
    better: str = "higher"
    percent: bool = True


@runtime_checkable
class Task(Protocol):
    """A benchmark: samples, a way to mark an answer, and the metrics of the marks.

    `version` changes whenever a figure could change. `max_tokens` bounds the answer. Building a task is offline and
    reads nothing; `samples` may read the task's data and raises `harness.errors.DataError` when it is not there.
    `gold` is a right answer in words, as a model might give it: `score` gives it full marks (`strop check`).
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def metrics(self) -> tuple[Metric, ...]: ...

    @property
    def headline(self) -> str: ...

    @property
    def max_tokens(self) -> int: ...

    def samples(self, split: str) -> Sequence[Sample]: ...

    def score(self, sample: Sample, answer: str) -> Score: ...

    def gold(self, sample: Sample) -> str: ...


Scorer = Callable[[Sample, str], Score]
"""Marks an answer to a sample."""


@runtime_checkable
class Profiled(Protocol):
    """A task whose answers are read in several ways, each with a name: a figure means nothing without it.

    `profile` is the one that `Task.score` marks by; `profiles` are all that can be used here, that one among them. One
    pass of a model is marked under each at no further cost (`harness.profiles`).
    """

    @property
    def profile(self) -> str: ...

    @property
    def profiles(self) -> Mapping[str, Scorer]: ...


@runtime_checkable
class Replicating(Protocol):
    """A task some of whose profiles do exactly what somebody else's script does.

    `replicas` are their names: they are given a model's whole text, as that script is, every other profile the answer
    without the thought before it (`harness.thoughts`).
    """

    @property
    def replicas(self) -> Collection[str]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What a task can tell only of samples that were read: metrics (those of the cells that occur among them) and
    `info`, which goes into the results as it is (which files, which revision, whose truth)."""

    metrics: tuple[Metric, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Detailed(Protocol):
    """A task with `Details`."""

    def details(self, samples: Sequence[Sample]) -> Details: ...


@runtime_checkable
class Pooled(Protocol):
    """A task that offers pictures to train on, none of which it measures on. Targets may be None: without them only the
    oracle cannot judge."""

    def pool(self) -> Sequence[Sample]: ...


@runtime_checkable
class Drawing(Protocol):
    """A task of a world that can draw what a text describes.

    `picture_of` gives a picture of which all of the text is true and that shows nothing else, the same for the same
    seed; None for a text that describes nothing that can be drawn.
    """

    def picture_of(self, text: str, seed: int) -> Picture | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """What a world is like after some answers: the `question` that it asks now, None where the episode has ended;
    whether the episode `succeeded`; and `to_go`, how many answers at least are needed from here to succeed (0 where
    none is), None in a world that does not tell."""

    question: Sample | None
    succeeded: bool
    to_go: float | None = None


@runtime_checkable
class Interactive(Protocol):
    """A task of a world that answers back: a sample is the start of an episode, in which each answer leads to the next
    question. What `Task.score` marks is a whole episode: its answers, a line each (`harness.episodes`).

    `after` follows from the start and the answers alone and looks at no target. Every answer leads somewhere, one that
    cannot be read too, and every episode ends. A question has an id that no other of its episode has; where two
    questions have equal pictures and prompts, the world is in the same state.
    """

    def after(self, start: Sample, answers: Sequence[str]) -> Happened: ...


@runtime_checkable
class Readable(Protocol):
    """A task whose answers can be read without gold: what verifiers compare that may not see it.

    `read` looks at the sample's prompt and pictures and at no target. It gives a short answer in the form in which it
    is compared (a letter, a number, yes), of a description the set of the objects that it names, of a box (x, y, width,
    height), and None for an answer that cannot be read.
    """

    def read(self, sample: Sample, answer: str) -> str | float | tuple[float, ...] | frozenset[str] | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a model said; `finished` is False where it was cut at `Sampling.max_tokens`."""

    text: str
    finished: bool = True


@runtime_checkable
class Ranked(Protocol):
    """A task of free text in which saying less earns by itself, so that answers are also marked sentence by sentence.

    `frontier` names the metric that silence lowers or raises (CHAIRi, precision) and the recall that it costs.
    """

    @property
    def frontier(self) -> tuple[str, str]: ...


@runtime_checkable
class Continued(Protocol):
    """A task that compares continuations by their log-likelihoods instead of asking for an answer.

    `continuations` are pairs (prompt, continuation), asked about the sample's pictures. The text that `score` gets is a
    JSON list of [log-likelihood (natural logarithm, summed over tokens), whether the continuation is the greedy one] in
    their order.
    """

    def continuations(self, sample: Sample) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A model as a result knows it: by the digest of its weights, never by where it lies."""

    path: Path
    digest: str
    parent: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How answers are drawn. `temperature` 0 is greedy; `n` answers a prompt; `seed` feeds the generator. With `top_p`
    tokens are drawn from the likeliest that make up this share (nucleus sampling, arXiv 1904.09751).

    With `sentences` an answer ends when so many are whole, beside those that it was given (`harness.sentences`).

    With `max_thought_tokens` a thought has so many tokens beside the `max_tokens` of the answer
    (`harness.models.thinking`); without, both share `max_tokens`.
    """

    n: int = 1
    temperature: float = 0.0
    max_tokens: int = 64
    seed: int = 0
    max_thought_tokens: int | None = None
    top_p: float | None = None
    sentences: int | None = None

    @property
    def greedy(self) -> Sampling:
        """The same with one answer, the likeliest."""
        return replace(self, n=1, temperature=0.0, top_p=None)

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as results and stored answers name them: what is not set is left out."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A verifier's opinion of one answer. `reward` None means no opinion; `why` is shown to people."""

    reward: float | None
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """All candidate answers to one sample. Of a controlled hallucination, `answers[0]` is the candidate chosen and
    `answers[1]` the candidate rejected, before any verdict; sampled answers have no order. `verdicts` is empty or as
    long as `answers`; `notes` is what the collector has to tell about each answer (its hallucination ratio, what of it
    was given)."""

    sample: Sample
    answers: tuple[str, ...]
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[Mapping[str, Any], ...] = ()
