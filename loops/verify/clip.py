"""Verify by a contrastive encoder (CLIP, SigLIP, the shipped one): which sentences fit the picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harness.errors import RecipeError
from harness.models.card import EncoderCard, read_card
from harness.models.weights import model_digest
from harness.pictures import open_picture
from harness.sentences import split_sentences
from harness.types import Advance, Group, Verdict
from loops.kinds import Study, Trial, Verifier, Verifying
from loops.verify.task import refuse_without_pictures
from loops.verify.zero import BATCH, Zero, find_zero

if TYPE_CHECKING:
    from harness.models.encoder import Encoder
    from loops.plan import Planned, Planner


class Clip(Verifier):
    """A contrastive encoder judges each sentence beside the picture."""

    kind: Literal["clip"] = "clip"
    version: ClassVar[int] = 1
    level: ClassVar[str] = "L3"
    filters: ClassVar[bool] = True

    encoder: str = "pictos-encoder"
    aggregate: Literal["mean", "min", "sum"] = Field(
        default="sum", description="how a text's sentences make one reward"
    )
    zero: float | None = Field(
        default=None,
        description="of sum: the score from which a sentence earns; else what the encoder's card says, or what tells "
        "sentences of their own picture from sentences of another",
    )

    def inputs(self, study: Study, draw: int) -> dict[str, Any]:
        folder = self._folder(study)
        encoder = model_digest(folder) if folder.is_dir() else str(folder)
        return {**self.as_input("encoder"), "encoder": encoder, **self._zero_input(study)}

    def learnt_from(self, study: Study) -> Sequence[str]:
        return self._card(study).gold_of

    def refuse(self, study: Study) -> None:
        if not self._folder(study).is_dir() and "::" not in self.encoder:
            raise RecipeError(
                f"verify.encoder {self.encoder}: no such folder; name a shipped one or an ARCHITECTURE::TAG"
            )
        refuse_without_pictures(study, self.kind)

    def trials(self, study: Study) -> Mapping[str, Trial]:
        def load() -> str:
            from harness.models.encoder import load_encoder

            load_encoder(str(study.setting.shipped(self.encoder) or self.encoder), study.options.device)
            return f"{self.encoder} loads"

        return {"encoder": Trial(depends=[self.encoder, study.options.device], run=load)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        return planner.encoding(str(self._folder(study)))

    def open(self, study: Study, groups: Sequence[Group], draw: int) -> Verifying:
        from harness.models.encoder import load_encoder

        encoder, zero = load_encoder(str(self._folder(study)), study.options.device), Zero()
        if self.aggregate == "sum":
            zero = find_zero(encoder, groups, named=self.zero, of_card=self._card_zero(study))
        return ByEncoder(encoder=encoder, aggregate=self.aggregate, zero=zero)

    def _folder(self, study: Study) -> Path:
        return study.setting.shipped(self.encoder) or Path(self.encoder).expanduser()

    def _card(self, study: Study) -> EncoderCard:
        return read_card(self._folder(study))

    def _card_zero(self, study: Study) -> float | None:
        """The encoder's zero where its maker set it for pictures of this kind."""
        card = self._card(study)
        return card.zero if study.source in card.gold_of else None

    def _zero_input(self, study: Study) -> dict[str, Any]:
        """Which zero sentences are held against, where it is not simply 0."""
        zero = self._card_zero(study)
        if self.aggregate != "sum" or self.zero is not None or zero == 0:
            return {}
        return {"zero": "calibrated" if zero is None else zero}


@dataclass(frozen=True, kw_only=True)
class ByEncoder:
    """A contrastive encoder scores each sentence against the picture (its text tower reads 77 tokens at most).

    `aggregate`: `mean` or `min` of the sentences' scores, or `sum` of how much more likely than not each is true,
    ``sigmoid(score - zero) - 1/2``: a right sentence earns, a wrong one costs, so neither silence nor length pays by
    itself. A sentence said again counts as wrong. Where the zero lies is `loops.verify.zero`'s to say.
    """

    encoder: Encoder
    aggregate: str
    zero: Zero = field(default_factory=Zero)

    @property
    def facts(self) -> Mapping[str, float]:
        return self.zero.facts if self.aggregate == "sum" else {}

    @property
    def computed(self) -> Mapping[str, Mapping[str, str]]:
        return {"encoder": self.encoder.computed}

    @property
    def costs(self) -> Mapping[str, float]:
        return self.encoder.costs

    def verify(self, groups: Sequence[Group], advance: Advance | None = None) -> list[tuple[Verdict, ...]]:
        verdicts: list[tuple[Verdict, ...]] = []
        for start in range(0, len(groups), BATCH):
            batch = groups[start : start + BATCH]
            pictures = [open_picture(group.sample.images[0]) for group in batch]
            sentences_of = [[split_sentences(answer) for answer in group.answers] for group in batch]
            flat = [sorted({sentence for answer in answers for sentence in answer}) for answers in sentences_of]
            scores = self.encoder.match(pictures, flat)
            for answers, sentences, values in zip(sentences_of, flat, scores, strict=True):
                by_sentence = dict(zip(sentences, values, strict=True))
                verdicts.append(tuple(self._verdict(answer, by_sentence) for answer in answers))
            if advance:
                advance(len(batch))
        return verdicts

    def _verdict(self, sentences: Sequence[str], by_sentence: Mapping[str, float]) -> Verdict:
        if not sentences:
            return Verdict(reward=None, why="says nothing")
        scores = [by_sentence[sentence] for sentence in sentences]
        if self.aggregate == "sum":
            beyond = {sentence: by_sentence[sentence] - self.zero.value for sentence in sentences}
            repeats = sum(count - 1 for count in Counter(sentences).values())
            # fsum: the same sentences earn the same in any order
            earned = math.fsum(1 / (1 + math.exp(-score)) - 0.5 for score in beyond.values())
            why = " ".join(f"{beyond[sentence]:+.1f}" for sentence in sentences)
            return Verdict(reward=earned - 0.5 * repeats, why=why)
        why = " ".join(f"{score:+.1f}" for score in scores)
        return Verdict(reward=min(scores) if self.aggregate == "min" else sum(scores) / len(scores), why=why)
