"""Collect several answers to each picture by a beam search over sentences, as CSR does (arXiv 2405.14622).

At each step a few next sentences are drawn for every answer begun so far, and the likeliest ones are gone on with. One
that another answer took at the same step loses some of its likelihood, so that the answers differ (diverse beam search,
Vijayakumar et al., arXiv 1610.02424). CSR also ranks by a contrastive encoder: here that is for the verifier to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harness.sentences import split_sentences
from harness.types import Advance, Answer, Group, Sample, Sampling
from loops.collect.asking import AskingCollector, group_of, noted, refuse_unfinished, settle

if TYPE_CHECKING:
    from harness.models.vlm import Vlm


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """An answer so far: the summed log-probability of its sentences, whether it goes on, and whether it was cut."""

    text: str = ""
    total: float = 0.0
    goes_on: bool = True
    cut: bool = False

    @property
    def score(self) -> float:
        """Log-probability a sentence."""
        return self.total / max(1, len(split_sentences(self.text)))


class BeamSearch(AskingCollector):
    """Several likely answers that differ, searched for sentence by sentence."""

    kind: Literal["beam"] = "beam"
    version: ClassVar[int] = 1

    temperature: float = Field(default=1.0, gt=0, description="of the drawn sentences")
    max_tokens: int = Field(default=80, ge=1, description="of one sentence")
    beams: int = Field(default=4, ge=2, description="answers that are gone on with, and that are given in the end")
    branches: int = Field(default=4, ge=1, description="sentences drawn for each of them at each step")
    diversity: float = Field(
        default=1.0, ge=0, description="nats that a sentence loses for each other answer that took it at that step"
    )
    sentences: int = Field(default=12, ge=1, description="of the longest answer")

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of up to `beams` answers that differ, the likeliest a sentence first."""
        beams = [[Begun()] for _ in samples]
        for step in range(self.sentences):
            going = [(number, beam) for number, begun in enumerate(beams) for beam in begun if beam.goes_on]
            if not going:
                break
            drawing = replace(self.sampling(seed=seed + step, n=self.branches), sentences=1)
            grown = self._grow(model, samples, going, drawing)
            beams = [
                chosen([*(beam for beam in begun if not beam.goes_on), *grown.get(number, ())], self)
                for number, begun in enumerate(beams)
            ]
        if advance:
            advance(len(samples))
        answers = [
            [(Answer(text=beam.text, finished=not (beam.cut or beam.goes_on)), beam.score) for beam in begun]
            for begun in beams
        ]
        refuse_unfinished([answer for row in answers for answer, _ in row], self)
        return [
            group_of(sample, *(noted([settle(answer, self)], score=round(score, 4)) for answer, score in row))
            for sample, row in zip(samples, answers, strict=True)
        ]

    def _grow(
        self, model: Vlm, samples: Sequence[Sample], going: Sequence[tuple[int, Begun]], drawing: Sampling
    ) -> dict[int, list[Begun]]:
        """The answers with one more sentence each, by the number of their sample."""
        from harness.models.mixing import Mix

        # a name of its own for each beam: its sentences are drawn by numbers of its own
        rows = [replace(samples[number], id=f"{samples[number].id}/{place}") for place, (number, _) in enumerate(going)]
        drawn = model.answers(rows, drawing, [Mix(lead=beam.text) for _, beam in going])
        longer: dict[tuple[int, str], tuple[Begun, Answer]] = {}
        grown: dict[int, list[Begun]] = {}
        for (number, beam), answers in zip(going, drawn, strict=True):
            for answer in answers:
                if answer.finished and answer.text == beam.text:
                    grown.setdefault(number, []).append(replace(beam, goes_on=False))
                else:
                    longer.setdefault((number, answer.text), (beam, answer))
        likelihoods = model.sentence_log_likelihoods(
            [samples[number] for number, _ in longer], [text for _, text in longer]
        )
        for ((number, text), (beam, answer)), values in zip(longer.items(), likelihoods, strict=True):
            cut = not answer.finished
            grown.setdefault(number, []).append(
                Begun(text=text, total=beam.total + sum(values[-1:]), goes_on=not cut, cut=cut)
            )
        return grown


def chosen(candidates: Sequence[Begun], recipe: BeamSearch) -> list[Begun]:
    """The likeliest of the candidates, each after what the ones before it took."""
    left, kept = list(dict.fromkeys(candidates)), list[Begun]()
    taken = Counter[str]()
    while left and len(kept) < recipe.beams:
        best = max(left, key=lambda beam: beam.score - recipe.diversity * taken[_last(beam)])
        left.remove(best)
        kept.append(best)
        taken[_last(best)] += 1
    return kept


def _last(beam: Begun) -> str:
    return next(reversed(split_sentences(beam.text)), "")
