"""Asking the model as a collector does, and what is kept of its answers.

What is kept is neither a thought before an answer, which is no description to verify or to train on, nor, where
`max_tokens` cut it, a sentence without an end, which would teach the model to end there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from harness.errors import RunError
from harness.sentences import whole_sentences
from harness.thoughts import answer_of
from harness.types import Advance, Answer, Group, Sample, Sampling
from loops.kinds import Collecting, Collector, Round, Study

if TYPE_CHECKING:
    from harness.models.endpoint import Endpoint
    from harness.models.mixing import Mix
    from harness.models.vlm import Vlm
    from loops.plan import Planned, Planner

MARK = "unfinished"
"""Stands in the notes of an answer that was cut, beside `left_out`: what was taken from its end."""


Cut = Literal["sentences", "drop", "keep"]
"""What becomes of a cut answer: its whole sentences are kept, it is left out, or it counts as if it ended there."""

SAID = "said"
"""Stands in the notes of an answer with a thought before it: the whole text."""


Kept = tuple[str, Mapping[str, Any]]
"""The text that is kept of an answer, and its notes."""


class AskingCollector(Collector):
    """A collector that asks the model: how its answers are drawn, and what becomes of those that were cut. `passes` is
    how often it asks each sample, and `mixes` says whether a pass is mixed with another (`harness.models.mixing`)."""

    passes: ClassVar[int] = 1
    mixes: ClassVar[bool] = False

    temperature: float = Field(default=0.0, ge=0, description="of all answers; 0 is greedy")
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="tokens are drawn from the likeliest that make up this share (nucleus)"
    )
    max_tokens: int = Field(default=80, ge=1, description="of own pictures 512 by default")
    max_thought_tokens: int | None = Field(
        default=None, ge=1, description="of a thought beside its answer, as `strop eval --max-thought-tokens`"
    )
    unfinished: Cut = Field(
        default="sentences",
        description="what to do with an answer that max_tokens cut: keep its whole sentences, leave it out, or train "
        "on it as if it ended there",
    )
    max_unfinished: float = Field(default=0.2, ge=0, le=1, description="a larger share of cut answers is refused")

    @model_validator(mode="after")
    def _top_p_is_of_drawn_answers(self) -> Self:
        if self.top_p is not None and not self.temperature:
            raise ValueError("collect.top_p: at temperature 0 nothing is drawn; set collect.temperature, e.g. 1.0")
        return self

    def sampling(self, *, seed: int, n: int = 1) -> Sampling:
        """How the answers are drawn."""
        return Sampling(
            n=n, temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, seed=seed,
            max_thought_tokens=self.max_thought_tokens,
        )  # fmt: skip

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return planner.asking(self.sampling(seed=0, n=getattr(self, "answers", 1)), twins=self.mixes)

    @abstractmethod
    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """A group of the model's answers to each sample. An answer depends on the seed, its sample and its place in the
        group, not on what else is asked. Raises `RunError` where too many were cut."""

    def open(self, context: Round) -> Collecting:
        return self.collecting(context.load_model(), context)

    def collecting(self, model: Vlm, context: Round) -> Collecting:
        """The collector at work on that model."""

        def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
            return self.ask(model, samples, seed=context.draw, advance=advance)

        return Collecting(
            collect=collect,
            passes=self.passes,
            facts=count_unfinished,
            costs=lambda: model.costs,
            computed={"model": model.computed},
        )


def kept_answers(
    model: Vlm | Endpoint,
    samples: Sequence[Sample],
    recipe: AskingCollector,
    sampling: Sampling,
    how: Sequence[Mix] | None = None,
    advance: Advance | None = None,
) -> list[list[Kept]]:
    """What is kept of the model's answers to each sample; raises `RunError` where too many were cut."""
    answers = model.answers(samples, sampling, how, advance)
    refuse_unfinished([answer for row in answers for answer in row], recipe)
    leads = [item.lead for item in how] if how else [""] * len(samples)
    return [[settle(answer, recipe, lead) for answer in row] for row, lead in zip(answers, leads, strict=True)]


def noted(answers: Sequence[Kept], **more: Any) -> list[Kept]:
    """The answers with more notes."""
    return [(text, {**more, **note}) for text, note in answers]


def group_of(sample: Sample, *answers: Sequence[Kept]) -> Group:
    """One group of all answers, those of each list behind one another."""
    texts, notes = zip(*chain(*answers), strict=True)
    return Group(sample=sample, answers=texts, notes=notes)


def settle(answer: Answer, recipe: AskingCollector, lead: str = "") -> Kept:
    """What is kept of an answer; of one that does not go beyond its `lead` nothing is kept."""
    parsed = answer_of(answer.text)
    text = parsed.answer
    notes = {SAID: answer.text} if parsed.thought else {}
    if answer.finished:
        return text, notes
    kept = {"keep": text, "sentences": whole_sentences(text), "drop": ""}[recipe.unfinished]
    if len(kept) <= len(lead):
        kept = ""
    return kept, {**notes, MARK: True, "left_out": text[len(kept) :]}


def refuse_unfinished(answers: Sequence[Answer], recipe: AskingCollector) -> None:
    """Raise `RunError` where more answers were cut than the recipe lets pass."""
    cut = sum(not answer.finished for answer in answers)
    if cut > recipe.max_unfinished * len(answers):
        raise RunError(
            f"{cut} of {len(answers)} answers were cut at collect.max_tokens {recipe.max_tokens}; raise it, or "
            f"collect.max_unfinished, the share that may be cut, above {recipe.max_unfinished:g}"
        )


def count_unfinished(groups: Sequence[Group]) -> Mapping[str, float]:
    """How many answers were cut, as a collector's facts."""
    return {MARK: sum(MARK in note for group in groups for note in group.notes)}
