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
from tasks.pictos.language import DESCRIBE, Question, caption, place_questions, presence_questions, questions
from tasks.pictos.training.build import PATCH, SPECIAL
from tasks.pictos.world import SIDE, SPLITS, Scene, compose, draw, patch_labels

IGNORE = -100
IMAGE = SPECIAL.index("<image>")
MEAN, STD = 0.5, 0.25
BLIND, BLIND_SHARE = "blind", 0.15
"""Some captions are learnt without the picture too, as a language model reads text before it ever sees: without them
the image-free pass of controlled hallucination would be off the model's ground, where no prior can be read."""

ABSENT = 20
"""How many absent categories are named to a model that learns to look."""

CHART_ROUNDS = 3
"""How often a chart is asked about: it costs one picture, and its questions are short."""

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


class Looks(IterableDataset[Packed]):
    """Packed batches that teach the look back from a word to its patches, on which every question rests.

    Behind each picture stand the names of all that is there and of `ABSENT` things that are not, each alone (no name
    sees another) and answered at once, without a question: Yes or No. As much weight lies on what is there as on what
    is not. Asked in whole sentences only, a model of this size did not find the look in 50,000 questions
    (docs/log/0001-seed-model.md).
    """

    def __init__(self, start: int, steps: int, batch: int, words: PreTrainedTokenizerFast) -> None:
        self.start, self.steps, self.batch, self.words = start, steps, batch, words
        self.answers = [words(f" {answer}").input_ids for answer in ("No", "Yes")]
        self.names = {category.name: words(f" {category.name}").input_ids for category in CATEGORIES}

    def __iter__(self) -> Iterator[Packed]:
        for step in range(self.steps):
            first = self.start + step * self.batch
            scenes = [compose(SPLITS["models"][number]) for number in range(first, first + self.batch)]
            yield _collate(
                torch.stack([pixels_of(draw(scene)) for scene in scenes]),
                [self._named(scene) for scene in scenes],
                self.words.pad_token_id,
            )

    def _named(self, scene: Scene) -> _Pack:
        rng = np.random.default_rng((scene.seed, 7))
        present = sorted(scene.counts())
        absent = rng.choice([name for name in self.names if name not in present], ABSENT, replace=False)
        prefix = self.words("USER:" + "<image>" * PICTURE_TOKENS).input_ids
        distance = int(rng.integers(0, 30))  # in a question or a caption a name stands anywhere behind the picture
        turns = [_Turn(self.names[name], self.answers[1], 1 / len(present)) for name in present]
        turns += [_Turn(self.names[name], self.answers[0], 1 / len(absent)) for name in absent]
        return _branches(prefix, turns, distance)


class Conversations(IterableDataset[Packed]):
    """Packed batches: each scene with its caption and questions; one picture in ten is a chart.

    questions: how many are drawn from all forms; pairs: POPE's questions beside those, one of what is there and one of
    what is not; placed: the share of scenes that are asked where everything is, instead of being captioned; emphasis:
    how much more a word that names an object counts than the others of its caption.
    """

    def __init__(
        self,
        start: int,
        steps: int,
        batch: int,
        words: PreTrainedTokenizerFast,
        *,
        questions: int,
        pairs: int = 0,
        placed: float = 0.0,
        emphasis: float = 1.0,
    ) -> None:
        self.start, self.steps, self.batch, self.words = start, steps, batch, words
        self.questions, self.pairs, self.placed = questions, pairs, placed
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
                turns = [question for _ in range(CHART_ROUNDS) for question in chart_questions(chart, rng)]
            elif rng.random() < self.placed:
                scene = compose(seed)
                pixels.append(pixels_of(draw(scene)))
                turns = place_questions(scene, rng, pairs=4)
            else:
                scene = compose(seed)
                pixels.append(pixels_of(draw(scene)))
                every = questions(scene, rng)
                turns = [every[index] for index in rng.permutation(len(every))[: self.questions]]
                turns += presence_questions(scene, rng, self.pairs)
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


@dataclass(frozen=True, slots=True)
class _Turn:
    """Tokens of a prompt and of its answer, and what each token of the answer counts."""

    prompt: list[int]
    answer: list[int]
    weight: float
    blind: bool = False


def _pack(
    words: PreTrainedTokenizerFast, prefix: list[int], turns: list[Question], names: np.ndarray, emphasis: float
) -> _Pack:
    """The turns behind one prefix. In captions the words that name objects count `emphasis` times as much."""
    packed = []
    for turn in turns:
        prompt = words("\n" + turn.prompt + "\nASSISTANT:").input_ids
        answer = words(" " + turn.answer + "</s>").input_ids
        weight = 1.0 if turn.kind in ("caption", BLIND) else 3.1 / max(len(answer) - 1, 1) ** 0.5
        packed.append(_Turn(prompt, answer, weight, turn.kind == BLIND))
    pack = _branches(prefix, packed)
    pack.weights[np.isin(pack.targets, names) & (pack.weights == 1.0)] *= emphasis
    return pack


def _branches(prefix: list[int], turns: list[_Turn], distance: int = 0) -> _Pack:
    """Turns that each go on from the prefix, `distance` positions behind it, and do not see one another."""
    ids, positions, targets = [*prefix], [*range(len(prefix))], [IGNORE] * len(prefix)
    weights, branch, blind = [0.0] * len(prefix), [0] * len(prefix), [0] * len(prefix)
    for number, turn in enumerate(turns, start=1):
        length = len(turn.prompt) + len(turn.answer) - 1
        ids += [*turn.prompt, *turn.answer[:-1]]
        start = len(prefix) + distance - PICTURE_TOKENS * turn.blind
        positions += range(start, start + length)
        # the token at i is trained to say the token at i + 1 of its own branch
        targets += [IGNORE] * (len(turn.prompt) - 1) + turn.answer
        weights += [turn.weight] * length
        branch += [number] * length
        blind += [int(turn.blind)] * length
    return _Pack(*(np.asarray(values) for values in (ids, positions, targets, weights, branch, blind)))


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
