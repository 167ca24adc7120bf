"""Training rows as a batch for TRL, in the tokens and pictures that the model is asked with.

TRL's own collator tokenises prompt and answer apart, leaves out the tokenizer's first token, and gives pictures to the
processor as they are: with LLaVA-1.5 it would train on other inputs than those that the answers were said to.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

import torch
from datasets import Dataset
from PIL.Image import Image

from harness.errors import RecipeError
from harness.models.adapters import without_adapter
from harness.models.heads import Head, Row
from harness.models.prompts import PromptReader
from harness.pictures import open_picture
from harness.types import Sample
from loops.groups import Example, Pair

ANSWER = "completion_mask"
"""1 on the tokens of the answers."""

PROMPT, SIDE = "prompt_ids", "completion_ids"
"""The tokens of a prompt and of the answer that was drawn to it, in rows that are in tokens already."""

KEPT = 20_000
"""Of so many answers the tokens are kept."""

TYPES = ("token_type_ids", "mm_token_type_ids")
"""Inputs beside the tokens of which TRL knows that they go along with them."""

REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")
"""What TRL calls the log-probabilities that the reference gave both sides of a pair, in rows that have them."""

NO_TARGET = -100
"""In the place of a token whose probability is no part of the loss."""


@dataclass(frozen=True, kw_only=True)
class Collator(ABC):
    """Turns rows (`images`, and `prompt` and the answers of `sides` as one turn each) into the model's inputs.

    An answer is trained with the token `end` behind it, as a model says it. Of B rows come the B answers of the first
    side, then those of the next: `input_ids`, `attention_mask`, `completion_mask` (1 on the answers) and what goes
    along with the tokens, all (sides B, longest, ...), padded on the right and cut to `max_length` tokens where one is
    given; the pictures of each side in order, processed once, in the model's `dtype`. Only inputs that the model names
    (`names`) are inputs. `kept` are the tokens behind the head of a question and of an answer to it, by head, question
    and answer: epochs and passes do not tokenise again.
    """

    sides: ClassVar[tuple[str, ...]]

    reader: PromptReader
    end: int
    max_length: int | None = None
    names: frozenset[str] | None = None
    dtype: torch.dtype = torch.float32
    kept: dict[tuple[int, str, str], tuple[list[int], list[int]]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: Any, reader: PromptReader, *, end: int, max_length: int | None) -> Self:
        """The collator for a model, which may be one of peft's."""
        inner = without_adapter(model)
        names = frozenset(inspect.signature(type(inner).forward).parameters)
        return cls(reader=reader, end=end, max_length=max_length, names=names, dtype=model.dtype)

    @abstractmethod
    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """What TRL's trainer is given of some rows."""

    def alone(self, row: Mapping[str, Any], side: str) -> dict[str, torch.Tensor]:
        """One side of a row, as a batch of its own."""
        return self._batch([row], [side])

    def _batch(self, rows: Sequence[Mapping[str, Any]], sides: Sequence[str]) -> dict[str, torch.Tensor]:
        samples = [sample_of(row) for row in rows]
        heads = self.reader.heads(samples, shared=False, apart=None)
        conversations: list[Row] = []
        answers: list[int] = []
        for side in sides:
            for row, sample, head in zip(rows, samples, heads.heads, strict=True):
                prompt, answer = self._tokens(row, side, sample, head)
                self._refuse_cut(prompt, head)
                conversations.append(self.reader.row(head, prompt, answer))
                answers.append(len(answer))
        batch = self.reader.batch(conversations, side="right")
        longest = batch["input_ids"].shape[1]
        completion = [
            [0] * (len(row.ids) - count) + [1] * count + [0] * (longest - len(row.ids))
            for row, count in zip(conversations, answers, strict=True)
        ]
        batch[ANSWER] = torch.tensor(completion)
        (shown,) = heads.batches
        inputs = {
            **{name: values[:, : self.max_length] for name, values in batch.items()},
            **{name: torch.cat([values] * len(sides)) for name, values in shown.pixels.items()},
        }
        return {
            name: values.to(self.dtype) if values.is_floating_point() else values
            for name, values in inputs.items()
            if self.names is None or name in {*self.names, ANSWER}
        }

    def _tokens(
        self, row: Mapping[str, Any], side: str, sample: Sample, head: Head
    ) -> tuple[Sequence[int], Sequence[int]]:
        """(those of the prompt, those of the answer with the one that ends it)."""
        text, first = row[side][0]["content"], len(head.ids)
        if (key := (hash(head.ids), sample.prompt, text)) not in self.kept:
            if len(self.kept) == KEPT:
                self.kept.clear()
            prompt, answer = self.reader.answered(sample, text, head)
            self.kept[key] = (prompt[first:], answer)
        behind, answer = self.kept[key]
        return [*head.ids, *behind], [*answer, self.end]

    def _refuse_cut(self, prompt: Sequence[int], head: Head) -> None:
        """Raise `RecipeError` where `max_length` leaves nothing of an answer, or not even the whole picture."""
        if self.max_length is not None and len(prompt) >= self.max_length:
            raise RecipeError(
                f"optimise.trl.max_length {self.max_length}: a prompt takes {len(prompt)} tokens, {head.pictures} of "
                "them its picture's, and an answer comes on top; raise it, or leave it out"
            )


class PairCollator(Collator):
    """Pairs for DPO: all chosen answers, then all rejected ones; and what the reference gave them, where rows have
    it."""

    sides = ("chosen", "rejected")

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        given = {name: torch.tensor([row[name] for row in rows]) for name in REFERENCE if name in rows[0]}
        return {**self._batch(rows, self.sides), **given}


class AnswerCollator(Collator):
    """Answers for SFT: `labels` are the answers' tokens, and no target elsewhere."""

    sides = ("completion",)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = self._batch(rows, self.sides)
        answers = batch.pop(ANSWER)
        return {**batch, "labels": batch["input_ids"].masked_fill(answers == 0, NO_TARGET)}


class VerdictCollator(Collator):
    """Answers with a verdict (`label`) for KTO. Beside each stands, under `KL_`, its prompt with the answer of the row
    before it in the batch, by which TRL estimates how far the policy has moved (Ethayarajh et al. 2024, 4.1)."""

    sides = ("completion",)
    side_inputs: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask", ANSWER, *TYPES)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        answers = [row["completion"] for row in rows]
        moved = [{**row, "completion": answer} for row, answer in zip(rows, answers[-1:] + answers[:-1], strict=True)]
        others = self._batch(moved, self.sides)
        strangers = {f"KL_{name}": others[name] for name in self.side_inputs if name in others}
        labels = torch.tensor([row["label"] for row in rows])
        return {**self._batch(rows, self.sides), **strangers, "label": labels}


class DrawnCollator(Collator):
    """Answers for GRPO, in the tokens in which they were drawn."""

    sides = (SIDE,)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        return self._batch(rows, self.sides)

    def _tokens(
        self, row: Mapping[str, Any], side: str, sample: Sample, head: Head
    ) -> tuple[Sequence[int], Sequence[int]]:
        return row[PROMPT], row[side]


def rows_of(pairs: Sequence[Pair]) -> Dataset:
    """The pairs as TRL's rows: `images`, and `prompt`, `chosen`, `rejected` as one turn each."""
    return _dataset(pairs, lambda pair: {"chosen": _turn(pair.chosen), "rejected": _turn(pair.rejected)})


def example_rows_of(examples: Sequence[Example]) -> Dataset:
    """The examples as TRL's rows: `images`, `prompt` and `completion` as one turn each, and `label`, the verdict."""
    return _dataset(examples, lambda row: {"completion": _turn(row.answer), "label": row.desirable})


def sample_rows_of(samples: Sequence[Sample]) -> Dataset:
    """The samples as rows of prompts: `images`, `prompt` as one turn, and the sample's number (`row`)."""
    return Dataset.from_list([{**_asked(sample), "row": number} for number, sample in enumerate(samples)])


R = TypeVar("R", Pair, Example)


def _dataset(rows: Sequence[R], answers: Callable[[R], Mapping[str, Any]]) -> Dataset:
    return Dataset.from_list([{**_asked(row.sample), **answers(row)} for row in rows])


def _asked(sample: Sample) -> dict[str, Any]:
    return {
        "images": [open_picture(picture) for picture in sample.images],
        "prompt": _turn(sample.prompt, "user"),
    }


def _turn(text: str, role: str = "assistant") -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def sample_of(row: Mapping[str, Any]) -> Sample:
    """What is asked by a row."""
    pictures = tuple(partial(_itself, picture) for picture in row["images"])
    return Sample(id="", prompt=row["prompt"][0]["content"], images=pictures, target=None, cluster="")


def _itself(picture: Image) -> Image:
    return picture
