"""Pairs as a batch for TRL, in the tokens and pictures that the model is asked with.

TRL's own collator tokenises prompt and answer apart, leaves out the tokenizer's first token, and gives pictures to the
processor as they are: with LLaVA-1.5 it would train on other inputs than those that the answers were said to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from PIL.Image import Image

from harness.errors import RecipeError
from harness.models.prompts import PromptReader
from harness.pictures import open_picture
from harness.types import Sample
from loops.groups import Pair

SIDES = ("chosen", "rejected")


@dataclass(frozen=True, kw_only=True)
class PairCollator:
    """Turns rows (`images`, and `prompt`, `chosen`, `rejected` as one turn each) into the model's inputs.

    An answer is trained with the token `end` behind it, as a model says it. Of B rows come the B chosen sides and then
    the B rejected ones: `input_ids`, `attention_mask` and `completion_mask` (1 on the answers), all (2 B, longest),
    padded on the right and cut to `max_length` tokens where one is given; `pixel_values` of each side's pictures in
    order.
    """

    reader: PromptReader
    end: int
    max_length: int | None = None

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        return self._batch(rows, SIDES)

    def alone(self, row: Mapping[str, Any], side: str) -> dict[str, torch.Tensor]:
        """One side of a row, as a batch of its own."""
        return self._batch([row], [side])

    def _batch(self, rows: Sequence[Mapping[str, Any]], sides: Sequence[str]) -> dict[str, torch.Tensor]:
        samples = [_sample(row) for row in rows]
        pictures = [self.reader.pictures(sample) for sample in samples]
        pixels, taken = self.reader.pixels([picture for row in pictures for picture in row])
        prompts: list[list[int]] = []
        answers: list[list[int]] = []
        for side in sides:
            counts = iter(taken)
            for row, sample in zip(rows, samples, strict=True):
                prompt, answer = self.reader.answered(sample, row[side][0]["content"])
                prompts.append(self.reader.expanded(prompt, counts))
                self._refuse_cut(prompts[-1])
                answers.append([*answer, self.end])
        tokens = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
        completion = [[0] * len(prompt) + [1] * len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
        batch = {
            "input_ids": _padded(tokens, self.reader.filler),
            "attention_mask": _padded([[1] * len(row) for row in tokens], 0),
            "completion_mask": _padded(completion, 0),
        }
        return {
            **{name: values[:, : self.max_length] for name, values in batch.items()},
            **{name: torch.cat([values] * len(sides)) for name, values in pixels.items()},
        }

    def _refuse_cut(self, prompt: Sequence[int]) -> None:
        """Raise `RecipeError` where `max_length` leaves nothing of an answer, or not even the whole picture."""
        if self.max_length is not None and len(prompt) >= self.max_length:
            pictures = prompt.count(self.reader.picture_token)
            raise RecipeError(
                f"optimise.trl.max_length {self.max_length}: a prompt takes {len(prompt)} tokens, {pictures} of them "
                "its picture's, and an answer comes on top; raise it, or leave it out"
            )


def rows_of(pairs: Sequence[Pair]) -> Dataset:
    """The pairs as TRL's rows: `images`, and `prompt`, `chosen`, `rejected` as one turn each."""

    def turn(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return Dataset.from_list(
        [
            {
                "images": [open_picture(picture) for picture in pair.sample.images],
                "prompt": turn("user", pair.sample.prompt),
                "chosen": turn("assistant", pair.chosen),
                "rejected": turn("assistant", pair.rejected),
            }
            for pair in pairs
        ]
    )


def _sample(row: Mapping[str, Any]) -> Sample:
    pictures = tuple(partial(_itself, picture) for picture in row["images"])
    return Sample(id="", prompt=row["prompt"][0]["content"], images=pictures, target=None, cluster="")


def _itself(picture: Image) -> Image:
    return picture


def _padded(rows: Sequence[Sequence[int]], filler: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])
