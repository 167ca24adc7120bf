"""Batches of scenes for training, made while the model learns: no picture is stored, none is seen twice in a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset
from transformers import PreTrainedTokenizerFast

from tasks.pictos.catalogue import BY_NAME, CATEGORIES
from tasks.pictos.charts import chart_questions, compose_chart, draw_chart
from tasks.pictos.hand import large_alone
from tasks.pictos.language import (
    DESCRIBE,
    Question,
    caption,
    own_question,
    place_questions,
    presence_questions,
    questions,
    things_alone,
)
from tasks.pictos.training.build import PATCH, SPECIAL
from tasks.pictos.training.patches import (
    BLOCK,
    CHART_SHARE,
    HAND_SHARE,
    IGNORE,
    LabelledPictures,
    chosen_seed,
    hand_somewhere,
    pixels_of,
)
from tasks.pictos.world import SIDE, SPLITS, Box, compose, corners, draw

IMAGE = SPECIAL.index("<image>")
BLIND, BLIND_SHARE = "blind", 0.15
"""Some captions are learnt without the picture too, as a language model reads text before it ever sees: without them
the image-free pass of controlled hallucination would be off the model's ground, where no prior can be read."""

ABSENT = 20
"""How many absent categories are named to a model that learns to look."""

ASKING_SHARE = 0.2
"""Of the captioned scenes, those of which the model learns to ask a question itself."""

CHART_ROUNDS = 3
"""How often a chart is asked about: it costs one picture, and its questions are short."""

POOLED = 6
"""Batches that are made together and sorted by length."""

PICTURE_TOKENS = (SIDE // PATCH) ** 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """Scenes with several conversations each, which share the picture's prefix and do not see one another.

    pixels (B, 3, SIDE, SIDE) float; ids, positions, targets (B, L) long, targets IGNORE outside answers;
    mask (B, 1, L, L) bool; weights (B, L) float: how much an answer's token counts; blur (B, L) bool: whether a number
    that is nearly right is nearly as good.
    """

    pixels: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    blur: torch.Tensor
    mask: torch.Tensor


class Looks(IterableDataset[Packed]):
    """Packed batches that teach the look back from a word to its patches, on which every question rests.

    Behind each picture stand a few words, each group alone (none sees another) and answered at once, without a
    question: the name of all that is there and of `ABSENT` things that are not (Yes or No), "box" and a name (the four
    edges), "many" and a name (the number of them, or the height of its bar), "left" and two names (the one further
    left), "hand" and a name (the move that brings the hand there). Asked in whole sentences only, a model of this size
    did not find the look in 50,000 questions (docs/log/0001-seed-model.md).
    """

    def __init__(self, start: int, steps: int, batch: int, words: PreTrainedTokenizerFast) -> None:
        self.start, self.steps, self.batch, self.words = start, steps, batch, words

    def __iter__(self) -> Iterator[Packed]:
        prefix = self.words("USER:" + "<image>" * PICTURE_TOKENS).input_ids
        for step in range(self.steps):
            first = self.start + step * self.batch
            pixels, packs = [], []
            for number in range(first, first + self.batch):
                rng = np.random.default_rng((number, 7))
                picture, hints = _hints(chosen_seed(number, rng), rng)
                pixels.append(pixels_of(picture))
                turns = [
                    _Turn(self.words(f" {hint.asked}").input_ids, self.words(f" {hint.answer}").input_ids, hint.weight,
                          blur=hint.blur)
                    for hint in hints
                ]  # fmt: skip
                # in a question or a caption a name stands anywhere behind the picture
                packs.append(_branches(prefix, turns, distance=int(rng.integers(0, 30))))
            yield _collate(torch.stack(pixels), packs, self.words.pad_token_id)


@dataclass(frozen=True, slots=True)
class _Hint:
    """Words behind a picture, the answer to them, what each of its tokens counts, and whether an answer that
    is nearly right is nearly as good."""

    asked: str
    answer: str
    weight: float
    blur: bool = False


def _hints(seed: int, rng: np.random.Generator) -> tuple[Image.Image, list[_Hint]]:
    """A chart, a scene with a hand, or a scene; and what is asked of it."""
    chance, scene = rng.random(), compose(seed)
    if chance < CHART_SHARE:
        chart = compose_chart(seed)
        return draw_chart(chart), [
            *(_Hint(f"many {BY_NAME[name].plural}", str(height), 2 / len(chart.bars)) for name, height in chart.bars),
            _Hint("highest bar", chart.highest, 1),
        ]
    if chance < CHART_SHARE + HAND_SHARE:
        hand = hand_somewhere(scene, rng)
        goals = [replace(hand, name=thing.category.name) for thing in large_alone(scene)]
        moves = [_Hint(f"hand {goal.name}", goal.best, 2 / len(goals)) for goal in goals]
        return hand(), [*moves, *_box_hints({"hand": hand.box})]
    counts, single = scene.counts(), things_alone(scene)
    absent = rng.choice(
        [category.name for category in CATEGORIES if category.name not in counts], ABSENT, replace=False
    )
    several = {name: 1 if count == 1 else 3 for name, count in sorted(counts.items())}
    apart = [pair for pair in itertools.permutations(single, 2) if pair[1].centre - pair[0].centre >= 2]
    pairs = [apart[index] for index in rng.permutation(len(apart))[:4]]
    return draw(scene), [
        *(_Hint(name, "Yes", 1 / len(counts)) for name in several),
        *(_Hint(str(name), "No", 1 / ABSENT) for name in absent),
        *(
            _Hint(f"many {BY_NAME[name].plural}", str(counts[name]), 2 * weight / sum(several.values()))
            for name, weight in several.items()
        ),
        *(
            _Hint(f"left {' '.join(rng.permutation([thing.category.name for thing in pair]))}", pair[0].category.name,
                  1 / len(pairs))
            for pair in pairs
        ),
        *_box_hints({thing.category.name: thing.box for thing in single}),
    ]  # fmt: skip


def _box_hints(boxes: Mapping[str, Box]) -> list[_Hint]:
    return [
        _Hint(f"box {name}", " ".join(str(edge) for edge in corners(box)), 0.5 / len(boxes), blur=True)
        for name, box in boxes.items()
    ]


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
            chance, seed = rng.random(), SPLITS["models"][number * BLOCK]
            scene = compose(seed)
            if chance < CHART_SHARE:
                chart = compose_chart(seed)
                pixels.append(pixels_of(draw_chart(chart)))
                turns = [question for _ in range(CHART_ROUNDS) for question in chart_questions(chart, rng)]
            elif chance < CHART_SHARE + HAND_SHARE and (targets := large_alone(scene)):
                hand = hand_somewhere(scene, rng)
                pixels.append(pixels_of(hand()))
                goals = [replace(hand, name=thing.category.name) for thing in targets]
                turns = [Question(kind="move", prompt=goal.prompt, answer=goal.best) for goal in goals]
            elif rng.random() < self.placed:
                scene = compose(chosen_seed(number, rng))
                pixels.append(pixels_of(draw(scene)))
                turns = place_questions(scene, rng, pairs=2)
            else:
                pixels.append(pixels_of(draw(scene)))
                every = questions(scene, rng)
                turns = [every[index] for index in rng.permutation(len(every))[: self.questions]]
                turns += presence_questions(scene, rng, self.pairs)
                if rng.random() < ASKING_SHARE:
                    turns.append(own_question(scene, rng))
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


def background(dataset: IterableDataset[Packed] | LabelledPictures) -> DataLoader[Any]:
    """The dataset's own batches, made in one worker process ahead of the model."""
    return DataLoader(dataset, batch_size=None, num_workers=1, prefetch_factor=4)


@dataclass(frozen=True, slots=True)
class _Pack:
    ids: np.ndarray
    positions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    branch: np.ndarray
    blind: np.ndarray
    blur: np.ndarray


@dataclass(frozen=True, slots=True)
class _Turn:
    """Tokens of a prompt and of its answer, and what each token of the answer counts."""

    prompt: list[int]
    answer: list[int]
    weight: float
    blind: bool = False
    blur: bool = False


def _pack(
    words: PreTrainedTokenizerFast, prefix: list[int], turns: list[Question], names: np.ndarray, emphasis: float
) -> _Pack:
    """The turns behind one prefix. In captions the words that name objects count `emphasis` times as much."""
    packed = []
    for turn in turns:
        prompt = words("\n" + turn.prompt + "\nASSISTANT:").input_ids
        answer = words(" " + turn.answer + "</s>").input_ids
        weight = 1.0 if turn.kind in ("caption", BLIND) else 3.1 / max(len(answer) - 1, 1) ** 0.5
        if turn.kind == "count":
            weight *= min(int(turn.answer), 3) ** 1.5  # most things are alone of their kind
        packed.append(_Turn(prompt, answer, weight, blind=turn.kind == BLIND, blur=turn.kind == "box"))
    pack = _branches(prefix, packed)
    pack.weights[np.isin(pack.targets, names) & (pack.weights == 1.0)] *= emphasis
    return pack


def _branches(prefix: list[int], turns: list[_Turn], distance: int = 0) -> _Pack:
    """Turns that each go on from the prefix, `distance` positions behind it, and do not see one another."""
    ids, positions, targets = [*prefix], [*range(len(prefix))], [IGNORE] * len(prefix)
    weights, branch, blind, blur = [0.0] * len(prefix), [0] * len(prefix), [0] * len(prefix), [0] * len(prefix)
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
        blur += [int(turn.blur)] * length
    return _Pack(*(np.asarray(values) for values in (ids, positions, targets, weights, branch, blind, blur)))


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
        blur=stacked([pack.blur for pack in packs], 0).bool(),
        mask=((mine | shared) & causal)[:, None],
    )
