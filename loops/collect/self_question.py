"""Collect answers to questions that the model asks itself about each picture (MM-UPT, EvoLMM and VisPlay have such).

The model is asked for a question, and then its own question several times; the question is the prompt of the training
row. Where a reply asks nothing, a frame makes a question of it, into which one of its sentences goes. Nobody knows the
right answer: a verifier that sees gold is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from harness.errors import RecipeError, RunError
from harness.sentences import split_sentences
from harness.types import Advance, Group, Sample
from harness.wording import counted, one_line
from loops.collect.asking import AskingCollector, group_of, kept_answers
from loops.kinds import Study

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

ASK = "Ask one question about this image that can be answered by looking at it. Reply with the question alone."
PLACE = "{sentence}"


class SelfQuestion(AskingCollector):
    """Several answers of the model to a question of its own about each picture."""

    kind: Literal["self_question"] = "self_question"
    version: ClassVar[int] = 2
    passes: ClassVar[int] = 2
    self_made: ClassVar[bool] = True
    own_questions: ClassVar[bool] = True

    temperature: float = Field(default=1.0, gt=0, description="of questions and answers")
    answers: int = Field(default=4, ge=2, description="to each question")
    ask_for: str = Field(default=ASK, min_length=1, description="the prompt that asks for a question")
    frame: str | None = Field(
        default=None,
        description="makes a question of a reply without one (the first sentence that ends in a question mark): "
        "{sentence} stands for one of its sentences",
    )
    ending: str = Field(default="", description="follows every question, such as how short the answer should be")

    @model_validator(mode="after")
    def _frame_has_a_place(self) -> Self:
        if self.frame is not None and PLACE not in self.frame:
            raise ValueError(f"collect.frame: has no place for a sentence; write {PLACE} in it")
        return self

    def refuse(self, study: Study) -> None:
        if study.verify.sees_gold:
            raise RecipeError(
                f"verify.kind {study.verify.kind}: nobody knows the right answers to questions that the model asks "
                "itself; take consistency, a judge or clip"
            )

    def ask(self, model: Vlm, samples: Sequence[Sample], *, seed: int, advance: Advance | None = None) -> list[Group]:
        """Groups of `answers` in the order they were drawn; a picture of which the model asks nothing has none.
        Raises `RunError` where it asks nothing of any."""
        requests = [replace(sample, prompt=self.ask_for) for sample in samples]
        replies = kept_answers(model, requests, self, self.sampling(seed=seed), advance=advance)
        rng = np.random.default_rng((seed, 15))
        questions = [self._question(text, rng) for ((text, _),) in replies]
        if samples and not any(questions):
            raise RunError(
                f"collect.kind self_question: none of {counted(len(samples), 'reply', 'replies')} holds a question "
                f"('{one_line(replies[0][0][0])[:60]}'); set collect.frame, or another collect.ask_for"
            )
        questioned = [
            replace(sample, prompt=question + self.ending)
            for sample, question in zip(samples, questions, strict=True)
            if question
        ]
        drawn = kept_answers(model, questioned, self, self.sampling(seed=seed + 1, n=self.answers), advance=advance)
        if advance:
            advance(len(samples) - len(questioned))
        return [group_of(*row) for row in zip(questioned, drawn, strict=True)]

    def _question(self, reply: str, rng: np.random.Generator) -> str:
        """The question in a reply; empty where there is none."""
        sentences = split_sentences(reply)
        asked = next((sentence for sentence in sentences if sentence.endswith("?")), "")
        if asked or self.frame is None or not sentences:
            return asked
        return self.frame.replace(PLACE, sentences[rng.integers(len(sentences))])
