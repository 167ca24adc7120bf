"""Asking a model for its opinion: whoever judges is named, what it said is kept, and no reply is no opinion.

A judge may be any model that gives texts: `ModelJudge` makes one of a model that is loaded here, and of an endpoint.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.errors import DataError, OutageError
from harness.files import digest_of_json
from harness.pictures import open_picture, picture_digest
from harness.store import Answering, Store
from harness.thoughts import answer_of
from harness.types import Advance, Sample, Sampling

CHUNK = 64
"""Questions between two writes."""


class Judge(Protocol):
    """`id` stands beside every figure; what could give other replies has another one. `ask` gives each question's
    prompt and pictures a reply, None where none was had: an outage is told, never raised and never made up."""

    @property
    def id(self) -> str: ...

    def ask(self, questions: Sequence[Sample]) -> list[str | None]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelJudge:
    """A model asked greedily. Its id tells its name, its digest and its input settings. Why replies are missing after
    an outage is logged as a warning."""

    name: str
    model: Answering
    max_tokens: int = 64

    @property
    def id(self) -> str:
        return f"{self.name}@{self.model.digest[:12]}.{self.model.settings[:6]}"

    def ask(self, questions: Sequence[Sample]) -> list[str | None]:
        try:
            said: Sequence[list[str] | None] = self.model.generate(questions, Sampling(max_tokens=self.max_tokens))
        except OutageError as outage:
            logging.getLogger(__name__).warning("judge: %s", outage)
            said = outage.answers
        return [texts[0] if texts else None for texts in said]


def ask_judge(
    judge: Judge, questions: Sequence[Sample], store: Store, advance: Advance | None = None
) -> list[str | None]:
    """The judge's reply to each question, without the thought before it (`harness.thoughts`); what `store` holds is not
    asked again, and what had no reply is not kept.

    Replies are kept by the judge's id, the prompt and the pictures' pixels. Equal questions are asked once. After a
    chunk without any reply nothing more is asked. Raises `DataError` where the store cannot be written.
    """
    keys = [_key(judge, question) for question in questions]
    missing: dict[str, Sample] = {}
    for key, question in zip(keys, questions, strict=True):
        if key not in store.known:
            # A judge is told the question and nothing that is beside it.
            missing.setdefault(key, dataclasses.replace(question.blind(), meta={}))
    waiting = list(missing.items())
    if advance:
        advance(len(questions) - len(waiting))
    for start in range(0, len(waiting), CHUNK):
        some = waiting[start : start + CHUNK]
        replies = judge.ask([question for _, question in some])
        had = {key: [reply] for (key, _), reply in zip(some, replies, strict=True) if reply is not None}
        if advance:
            advance(len(some))
        if not had:
            break  # who said nothing to a whole chunk is out of reach, and would be waited for at each of the others
        try:
            store.add(had)
        except OSError as error:
            raise DataError(f"{store.path} cannot be written ({error.strerror}); name another folder") from error
    return [answer_of(store.known[key][0]).answer if key in store.known else None for key in keys]


def _key(judge: Judge, question: Sample) -> str:
    pictures = picture_digest([open_picture(picture) for picture in question.images])
    return digest_of_json({"judge": judge.id, "prompt": question.prompt, "pictures": pictures})
