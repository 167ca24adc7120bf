"""What asking a model takes of memory: the engine's own code, run on tensors without numbers (`harness.models.shadow`).

A batch is gone through as `harness.models.vlm` goes through one: the heads of its prompts are read, branched, and gone
on with up to the last token. All that grows with the rows is taken to grow in proportion.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from harness.errors import ModelError
from harness.models.branches import Branching, Lanes, Rows
from harness.models.heads import picture_tokens
from harness.models.loading import model_errors
from harness.models.outline import Outline, Question
from harness.models.shadow import Shadow
from harness.types import Sampling
from harness.wording import first_line

HEADS = 2
"""So many pictures are gone through; more take so much more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Bytes at the moment at which they are most. `activations` is all that is no weight, cache, gradient or state of
    an optimiser: what a forward pass holds, or keeps to go backwards, inputs and logits included."""

    weights: int
    cache: int = 0
    activations: int = 0
    optimiser: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations + self.optimiser


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """What asking takes: of the weights, and of each row of a batch at each of its steps, the cache and all else."""

    weights: int
    steps: Mapping[str, tuple[float, float]]

    def at(self, rows: int) -> Memory:
        """With so many rows at once, at the step that takes most."""
        cache, rest = max(self.steps.values(), key=sum)
        return Memory(weights=self.weights, cache=round(rows * cache), activations=round(rows * rest))


@contextmanager
def shadow_errors(name: str, config: Any) -> Iterator[None]:
    """What torch or a model's code raises over tensors without numbers becomes a `ModelError`."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # a model's code may do anything with numbers
        kind = config.model_type
        raise ModelError(
            f"{name}: the memory of models of type '{kind}' cannot be planned: their code does not go through "
            f"by shapes alone ({type(error).__name__}: {first_line(error)}); run the recipe with rounds=1 and "
            "collect.samples=8, whose ledger has the peak"
        ) from error


def asking(
    outline: Outline,
    question: Question,
    sampling: Sampling,
    *,
    dtype: torch.dtype,
    twins: bool = False,
    weighed: int = 0,
) -> Asking:
    """What answers to questions of this shape take, each about a picture of its own; with `twins` as controlled
    hallucinations, and with answers (one to a question) of `weighed` tokens whose log-probabilities are read.

    Raises `ModelError` for a model whose code does not go through without numbers.
    """
    shadow = Shadow()
    with shadow_errors(outline.name, outline.config):
        model = outline.model(shadow, dtype)
        weights = shadow.live
        inputs = {name: shadow.hollow(values) for name, values in question.heads(HEADS).items()}
        with shadow, torch.no_grad():
            branching = Branching(model, filler=_filler(outline))
            steps = dict(steps_of(shadow, branching, inputs, question, sampling, twins, weighed))
    rows = HEADS * sampling.n
    return Asking(
        weights=weights,
        steps={step: (cache / rows, (peak - weights - cache) / rows) for step, (peak, cache) in steps.items()},
    )


def steps_of(
    shadow: Shadow,
    branching: Branching,
    inputs: Mapping[str, torch.Tensor],
    question: Question,
    sampling: Sampling,
    twins: bool = False,
    weighed: int = 0,
) -> Iterator[tuple[str, tuple[int, int]]]:
    """(step of a batch, (the most bytes in it, those of the cache then))."""
    count = HEADS * sampling.n
    shadow.watch()
    _, prefixes = branching.prefill(branching.accepted(inputs))
    yield "pictures", (shadow.peak, _bytes(prefixes))
    shadow.watch()
    rows = prefixes.taken(torch.arange(HEADS).repeat_interleave(sampling.n))
    _, rows = branching.extend(rows, _tokens(branching, count, question.tail))
    yield "questions", (shadow.peak, _bytes(rows))
    batches = [(rows, range(count))]
    if twins:
        shadow.watch()
        ids = _tokens(branching, count, question.blind)
        _, blind = branching.prefill({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
        yield "twins", (shadow.peak, _bytes(rows) + _bytes(blind))
        batches.append((blind, range(count, 2 * count)))
        del blind
    longest = sampling.max_tokens + 2 * (sampling.max_thought_tokens or 0)
    grown = [(_grown(branching, read, longest - 1), lanes) for read, lanes in batches]
    del prefixes, rows, batches
    shadow.watch()
    lanes = Lanes(branching, grown)
    del grown
    logits = lanes.step(_tokens(branching, count * (1 + twins), 1)).float()
    logits.clone()  # from which unwritten tokens are taken
    yield "answers", (shadow.peak, sum(_bytes(read) for read, _ in lanes.batches))
    del lanes, logits
    if weighed:
        _, prefixes = branching.prefill(branching.accepted(inputs))
        rows = prefixes.taken(torch.arange(HEADS))
        shadow.watch()
        tokens = _tokens(branching, HEADS, question.tail + weighed)
        logits, rows = branching.extend(rows, tokens, keep=1 + weighed)
        logits[0].float().log_softmax(-1)
        yield "log-probabilities", (shadow.peak, _bytes(rows))


def _grown(branching: Branching, rows: Rows, more: int) -> Rows:
    """The rows so many tokens on."""
    return branching.extend(rows, _tokens(branching, len(rows), more))[1] if more else rows


def _tokens(branching: Branching, rows: int, count: int) -> torch.Tensor:
    return torch.full((rows, max(count, 1)), branching.filler)


def _bytes(rows: Rows) -> int:
    """Of the tensors of a cache."""
    tensors: dict[int, int] = {}
    for layer in rows.cache.layers:
        for values in _tensors(vars(layer)):
            storage = getattr(values, "meta", values).untyped_storage()
            tensors[storage._cdata] = storage.nbytes()
    return sum(tensors.values())


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(each)


def _filler(outline: Outline) -> int:
    numbers = picture_tokens(outline.config, outline.processor)
    return min(set(range(len(numbers) + 1)) - numbers)


def encoding(name: str) -> Memory:
    """What a picture-text encoder takes that scores as many pictures and sentences at once as it ever does."""
    from harness.models.encoder import PICTURES, TEXTS, meta_encoder

    shadow = Shadow()
    with model_errors(f"encoder {name}: its memory cannot be planned"):
        encoder = meta_encoder(name)
        shadow.adopt(encoder.model)
        weights = shadow.live
        pixels = shadow.hollow(torch.empty(PICTURES, *encoder.pixels, device="meta"))
        texts = torch.ones(TEXTS, encoder.tokens, dtype=torch.long)
        shadow.watch()
        with shadow, torch.no_grad():
            encoder.model.encode_image(pixels)
            encoder.model.encode_text(texts)
    return Memory(weights=weights, activations=shadow.peak - weights)


def detecting(name: str, folder: Path, size: tuple[int, int]) -> Memory | None:
    """What an object detector takes on as many pictures of a width and height as it computes at once; None of one whose
    code does not go through by shapes alone."""
    from harness.models.detector import PICTURES, meta_detector

    shadow = Shadow()
    model, processor = meta_detector(name, folder)
    shadow.adopt(model)
    weights = shadow.live
    inputs = processor(images=[Image.new("RGB", size)] * PICTURES, return_tensors="pt")
    hollow = {key: shadow.hollow(values) for key, values in inputs.items()}
    shadow.watch()
    try:
        with shadow_errors(name, model.config), shadow, torch.no_grad():
            model(**hollow)
    except ModelError:
        return None
    finally:
        _forget_kept()
    return Memory(weights=weights, activations=shadow.peak - weights)


def _forget_kept() -> None:
    """Empty what models' code keeps by shapes for as long as a process lives (anchors, places): it has no numbers."""
    for kept in gc.get_objects():
        # its type alone: some modules stand in for what is deprecated, and warn where their class is asked for
        if type(kept) is _lru_cache_wrapper and str(kept.__module__).startswith("transformers.models."):
            kept.cache_clear()
