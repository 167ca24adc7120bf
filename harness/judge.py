"""Asking a model for its opinion: whoever judges is named, what it said is kept, and no reply is no opinion.

A judge may be any model that gives texts: `ModelJudge` makes one of a model that is loaded here, and of an endpoint.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import OutageError
from harness.files import digest_of_json
from harness.pictures import open_picture, picture_digest
from harness.store import Answering, Store, fill
from harness.thoughts import answer_of
from harness.types import Advance, AnswerStream, Sample, Sampling


class Judge(Protocol):
    """`id` stands beside every figure; what could give other replies has another one. `stream` gives replies to the
    questions' prompts and pictures as they come, each as a list of one; a question without a reply is left out: an
    outage is told, never raised and never made up."""

    @property
    def id(self) -> str: ...

    def stream(self, questions: Sequence[Sample]) -> AnswerStream: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelJudge:
    """A model asked greedily. Its id tells its name, its digest and its input settings. Why replies are missing after
    an outage is logged as a warning."""

    name: str
    model: Answering
    max_tokens: int = 64

    @property
    def sampling(self) -> Sampling:
        """How its replies are drawn."""
        return Sampling(max_tokens=self.max_tokens)

    @property
    def id(self) -> str:
        return f"{self.name}@{self.model.digest[:12]}.{self.model.settings[:6]}"

    def stream(self, questions: Sequence[Sample]) -> AnswerStream:
        try:
            yield from self.model.stream(questions, self.sampling)
        except OutageError as outage:
            logging.getLogger(__name__).warning("judge: %s", outage)


def ask_judge(
    judge: Judge, questions: Sequence[Sample], store: Store, advance: Advance | None = None
) -> list[str | None]:
    """The judge's reply to each question, without the thought before it (`harness.thoughts`); what `store` holds is not
    asked again, and what had no reply is not kept.

    Replies are kept as they come, by the judge's id, the prompt and the pictures' pixels. Equal questions are asked
    once. Raises `DataError` where the store cannot be written.
    """
    keys = [_key(judge, question) for question in questions]
    missing: dict[str, Sample] = {}
    for key, question in zip(keys, questions, strict=True):
        if key not in store.answers:
            # A judge is told the question and nothing that is beside it.
            missing.setdefault(key, dataclasses.replace(question.blind(), meta={}))
    if advance:
        advance(len(questions) - len(missing))
    fill(store, missing, judge.stream, advance)
    return [answer_of(store.answers[key][0]).answer if key in store.answers else None for key in keys]


def _key(judge: Judge, question: Sample) -> str:
    pictures = picture_digest([open_picture(picture) for picture in question.images])
    return digest_of_json({"judge": judge.id, "prompt": question.prompt, "pictures": pictures})
