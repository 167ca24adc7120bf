"""Batches of scenes for training, made while the model learns: no picture is stored, none is seen twice in a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast

from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.charts import chart_questions, compose_chart, draw_chart
from tasks.pictos.language import DESCRIBE, Question, caption, presence_questions, questions
from tasks.pictos.training.build import PATCH, SPECIAL
from tasks.pictos.world import SIDE, SPLITS, compose, draw, patch_labels

IGNORE = -100
IMAGE = SPECIAL.index("<image>")
MEAN, STD = 0.5, 0.25
BLIND, BLIND_SHARE = "blind", 0.15
"""Some captions are learnt without the picture too, as a language model reads text before it ever sees: without them
the image-free pass of controlled hallucination would be off the model's ground, where no prior can be read."""

PRESENCE_PAIRS = 2
"""Pairs of yes/no questions with every caption: the two-step look (from the word to its patches) needs many."""

POOLED = 6
"""Batches that are made together and sorted by length."""

PICTURE_TOKENS = (SIDE // PATCH) ** 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """Scenes with several conversations each, which share the picture's prefix and do not see one another.

    pixels (B, 3, SIDE, SIDE) float; ids, positions, targets (B, L) long, targets IGNORE outside answers;
    mask (B, 1, L, L) bool; weights (B, L) float: how much an answer's token counts.
    """

    pixels: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    mask: torch.Tensor


def pixels_of(picture: object) -> torch.Tensor:
    """(3, SIDE, SIDE) as the processor makes it."""
    array = np.asarray(picture, dtype=np.float32) / 255
    return torch.from_numpy((array - MEAN) / STD).permute(2, 0, 1)


class Labelled(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """(pixels, labels of patches) of batches of scenes, for the tower."""

    def __init__(self, start: int, steps: int, batch: int) -> None:
        self.start, self.steps, self.batch = start, steps, batch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step in range(self.steps):
            first = self.start + step * self.batch
            scenes = [compose(SPLITS["models"][seed]) for seed in range(first, first + self.batch)]
            labels = torch.from_numpy(np.stack([patch_labels(scene, PATCH) for scene in scenes]))
            yield torch.stack([pixels_of(draw(scene)) for scene in scenes]), labels


class Conversations(IterableDataset[Packed]):
    """Packed batches: each scene with its caption and `asked` questions; one picture in ten is a chart.

    `emphasis` is how much more a word that names an object counts than the others of its caption.
    """

    def __init__(
        self, start: int, steps: int, batch: int, asked: int, words: PreTrainedTokenizerFast, emphasis: float = 1.0
    ) -> None:
        self.start, self.steps, self.batch, self.asked, self.words = start, steps, batch, asked, words
        forms = {form for category in CATEGORIES for form in (category.name, category.plural)}
        self.names = np.array(sorted({token for form in forms for token in words(f" {form}").input_ids}))
        self.emphasis = emphasis

    def __iter__(self) -> Iterator[Packed]:
        for step in range(0, self.steps, POOLED):
            batches = min(POOLED, self.steps - step)
            first = self.start + step * self.batch
            yield from self._packed(range(first, first + batches * self.batch), batches)

    def _packed(self, numbers: range, batches: int) -> Iterator[Packed]:
        """Batches of scenes of about one length, so that little is spent on padding; in an order drawn for them."""
        pixels, packs = [], []
        prefix = self.words("USER:" + "<image>" * PICTURE_TOKENS).input_ids
        for number in numbers:
            rng = np.random.default_rng((number, 5))
            seed = SPLITS["models"][number]
            if rng.random() < 0.1:
                chart = compose_chart(seed)
                pixels.append(pixels_of(draw_chart(chart)))
                turns = chart_questions(chart, rng)
            else:
                scene = compose(seed)
                pixels.append(pixels_of(draw(scene)))
                every = questions(scene, rng)
                turns = [every[index] for index in rng.permutation(len(every))[: self.asked]]
                turns += presence_questions(scene, rng, PRESENCE_PAIRS)
                turns.append(Question(kind="caption", prompt=DESCRIBE, answer=caption(scene)))
                if rng.random() < BLIND_SHARE:
                    turns.append(Question(kind=BLIND, prompt=DESCRIBE, answer=caption(scene)))
            packs.append(_pack(self.words, prefix, turns, self.names, self.emphasis))
        order = sorted(range(len(packs)), key=lambda index: len(packs[index].ids))
        for batch in np.random.default_rng((numbers.start, 6)).permutation(batches):
            mine = order[batch * self.batch : (batch + 1) * self.batch]
            yield _collate(
                torch.stack([pixels[index] for index in mine]),
                [packs[index] for index in mine],
                self.words.pad_token_id,
            )


def background(dataset: IterableDataset[Packed] | Labelled) -> DataLoader[Packed]:
    """The dataset's own batches, made in one worker process ahead of the model."""
    return DataLoader(dataset, batch_size=None, num_workers=1, prefetch_factor=4)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Pack:
    ids: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    branch: np.ndarray
    blind: np.ndarray


def _pack(
    words: PreTrainedTokenizerFast, prefix: list[int], turns: list[Question], names: np.ndarray, emphasis: float
) -> _Pack:
    """The turns behind one prefix. In captions the words that name objects count `emphasis` times as much."""
    ids, positions, targets = [*prefix], [*range(len(prefix))], [IGNORE] * len(prefix)
    weights, branch, blind = [0.0] * len(prefix), [0] * len(prefix), [0] * len(prefix)
    for number, turn in enumerate(turns, start=1):
        prompt = words("\n" + turn.prompt + "\nASSISTANT:").input_ids
        answer = words(" " + turn.answer + "</s>").input_ids
        ids += prompt + answer
        start = len(prefix) - PICTURE_TOKENS * (turn.kind == BLIND)
        positions += range(start, start + len(prompt) + len(answer))
        # the token at i is trained to say the token at i + 1 of its own branch
        targets += [IGNORE] * (len(prompt) - 1) + answer + [IGNORE]
        weight = 1.0 if turn.kind in ("caption", BLIND) else 3.1 / max(len(answer) - 1, 1) ** 0.5
        weights += [weight] * (len(prompt) + len(answer))
        branch += [number] * (len(prompt) + len(answer))
        blind += [int(turn.kind == BLIND)] * (len(prompt) + len(answer))
    pack = _Pack(*(np.asarray(values) for values in (ids, positions, targets, weights, branch, blind)))
    pack.weights[np.isin(pack.targets, names) & (pack.weights == 1.0)] *= emphasis
    return pack


def _collate(pixels: torch.Tensor, packs: list[_Pack], padding: int) -> Packed:
    longest = max(len(pack.ids) for pack in packs)

    def stacked(values: list[np.ndarray], fill: float) -> torch.Tensor:
        return torch.from_numpy(
            np.stack([np.pad(value, (0, longest - len(value)), constant_values=fill) for value in values])
        )

    branch = stacked([pack.branch for pack in packs], -1)
    mine = branch[:, :, None] == branch[:, None, :]
    seen = stacked([pack.blind for pack in packs], 0)[:, :, None] == 0
    picture = (stacked([pack.ids for pack in packs], padding) == IMAGE)[:, None, :]
    shared = (branch[:, None, :] == 0) & (seen | ~picture)
    causal = torch.ones(longest, longest, dtype=torch.bool).tril()
    return Packed(
        pixels=pixels,
        ids=stacked([pack.ids for pack in packs], padding),
        positions=stacked([pack.positions for pack in packs], 0),
        targets=stacked([pack.targets for pack in packs], IGNORE),
        weights=stacked([pack.weights for pack in packs], 0.0).float(),
        mask=((mine | shared) & causal)[:, None],
    )
