"""What a joined model learns from: photographs with what is to be said of them, as tokens that share the picture."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from PIL import Image

from harness.models.heads import Head
from harness.models.prompts import PromptReader
from harness.types import Sample

NO_TARGET = -100
LEAD, FILLER = 0, -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """A photograph, captions of it, and questions about it with their answers."""

    picture: Path
    captions: tuple[str, ...]
    questions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Rows of one picture each, with prompts behind it and answers behind these: a tree whose branches do not see one
    another.

    ids, positions, targets: (B, L); a target stands where its token is predicted. mask: (B, 1, L, L), true where a
    token (row) sees another (column). pictures: which lessons, (B).
    """

    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    mask: torch.Tensor
    pictures: tuple[int, ...]


class Tutor:
    """Turns lessons into batches: `prompts` are what captions answer, drawn anew each time; `each` turns a visit."""

    def __init__(self, reader: PromptReader, *, end: int, prompts: Sequence[str]) -> None:
        self.reader, self.end, self.prompts = reader, end, tuple(prompts)
        self.head = cache(self._head)
        self.tokens = cache(self._tokens)
        self.lead = list(self.head(self.prompts[0]).ids)

    def draw(self, lesson: Lesson, each: int, rng: random.Random) -> list[tuple[str, str]]:
        """Up to `each` captions, all to one prompt, and half as many questions, as (prompt, answer)."""
        prompt = rng.choice(self.prompts)
        captions = rng.sample(lesson.captions, min(each, len(lesson.captions)))
        questions = rng.sample(lesson.questions, min((each + 1) // 2, len(lesson.questions)))
        return [*((prompt, caption) for caption in captions), *questions]

    def batch(self, pictures: Sequence[int], turns: Sequence[Sequence[tuple[str, str]]]) -> Batch:
        """`turns[i]`, as (prompt, answer), about picture `pictures[i]`. Turns of one prompt share its tokens."""
        rows = [_Row.grown(self.lead, [self.tokens(*turn) for turn in row]) for row in turns]
        length = max(len(row.ids) for row in rows)

        def padded(lists: Iterable[list[int]], filler: int) -> torch.Tensor:
            return torch.tensor([numbers + [filler] * (length - len(numbers)) for numbers in lists])

        branch = padded((row.branch for row in rows), FILLER)
        parent = padded((row.parent for row in rows), FILLER)
        key = branch[:, None, :]
        related = (key == branch[:, :, None]) | (key == parent[:, :, None]) | (key == LEAD)
        before = torch.ones(length, length, dtype=torch.bool).tril()
        return Batch(
            ids=padded((row.ids for row in rows), self.reader.filler),
            positions=padded((row.positions for row in rows), 0),
            targets=padded((row.targets for row in rows), NO_TARGET),
            mask=(before & related)[:, None],
            pictures=tuple(pictures),
        )

    def _head(self, prompt: str) -> Head:
        return self.reader.heads([_sample(prompt)]).heads[0]

    def _tokens(self, prompt: str, answer: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(the prompt's tokens behind the picture's last, those of the answer and its end)."""
        asked, answered = self.reader.answered(_sample(prompt), answer, self.head(prompt))
        return tuple(asked[len(self.lead) :]), (*answered, self.end)


@dataclass(kw_only=True, slots=True)
class _Row:
    """One picture's tree, token by token: its branch and the branch it grows from, `LEAD` being the trunk."""

    ids: list[int]
    positions: list[int]
    targets: list[int]
    branch: list[int]
    parent: list[int]

    @classmethod
    def grown(cls, lead: list[int], turns: Iterable[tuple[tuple[int, ...], tuple[int, ...]]]) -> _Row:
        row, number = cls(ids=[], positions=[], targets=[], branch=[], parent=[]), LEAD
        row._add(lead, start=0, branch=LEAD, parent=LEAD)
        answers: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for prompt, answer in turns:
            answers.setdefault(prompt, []).append(answer)
        for prompt, several in answers.items():
            number += 1
            trunk = number
            row._add(prompt[:-1], start=len(lead), branch=trunk, parent=LEAD)
            for answer in several:
                number += 1
                # the prompt's last token tells the first of an answer, so that each branch has its own
                start = len(lead) + len(prompt) - 1
                row._add((prompt[-1], *answer[:-1]), start=start, branch=number, parent=trunk)
                row.targets[-len(answer) :] = answer
        return row

    def _add(self, ids: Sequence[int], *, start: int, branch: int, parent: int) -> None:
        self.ids += ids
        self.positions += range(start, start + len(ids))
        self.targets += [NO_TARGET] * len(ids)
        self.branch += [branch] * len(ids)
        self.parent += [parent] * len(ids)


def _sample(prompt: str) -> Sample:
    """A question about any picture: which one, its tokens do not tell."""
    return Sample(id="", prompt=prompt, images=(partial(Image.new, "RGB", (64, 64)),), target=None, cluster="")
