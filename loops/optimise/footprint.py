"""What a step of training takes of memory: TRL's loss on a model without numbers, forwards and backwards
(`harness.models.shadow`)."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from harness.models.adapters import without_adapter
from harness.models.footprint import Memory, shadow_errors
from harness.models.loading import four_bit_layers
from harness.models.outline import Outline, Question
from harness.models.shadow import Shadow
from loops.optimise.parts import prepare, switched_off
from loops.optimise.training import TrlOptimiser
from loops.optimise.trial import without_first_values
from loops.optimise.with_trl import fuse_head, head_of_a_gpu, optimiser_bytes

NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight of 4 bits: with a scale of 8 bits for each 64 of them, and one of 32 for each 256 scales (QLoRA,
Dettmers et al. 2023)."""


CELLS = 100_000_000
"""Truth values of an attention mask that are really made: a batch with more is reckoned from two smaller ones. For a
GPU it always is, where the head's pieces are small beside the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """What training takes, and how many weights it trains."""

    memory: Memory
    trained: int


def training(
    outline: Outline,
    question: Question,
    recipe: TrlOptimiser,
    settings: Any,
    *,
    answer: int,
    own_reference: bool,
    gpu: bool,
    rows: int | None = None,
) -> Training:
    """What a settled recipe's training takes under TRL's `settings`, on answers of so many tokens to questions of this
    shape, so many of TRL's rows at once (by default those of the settings), on a GPU or not.

    The reference, where the loss is relative to one, is the model with its adapter switched off where that is what was
    loaded, and where it is no other checkpoint (`own_reference`); else a second copy.
    Raises `ModelError` as `harness.models.footprint.asking` does, and `RecipeError` as `prepare` does.
    """
    rows = rows or settings.per_device_train_batch_size
    sides = _sides(recipe)
    most = 2 if gpu else max(2, CELLS // (sides * (question.head + question.tail + answer) ** 2))
    taken = partial(_taken, outline, question, recipe, settings, answer, own_reference)
    with head_of_a_gpu() if gpu else nullcontext():
        if rows <= most:
            return taken(rows)
        small, large = taken(most // 2), taken(most)
    slope = (large.memory.activations - small.memory.activations) / (most - most // 2)
    more = round(slope * (rows - most))
    return replace(large, memory=replace(large.memory, activations=large.memory.activations + more))


def _taken(
    outline: Outline,
    question: Question,
    recipe: TrlOptimiser,
    settings: Any,
    answer: int,
    own_reference: bool,
    rows: int,
) -> Training:
    dtype = getattr(torch, recipe.dtype)
    packed = layer = 0

    def prepared(model: Any) -> Any:
        nonlocal packed, layer
        if recipe.quantise:
            sizes = [layer.weight.numel() for layer in four_bit_layers(model)]
            packed, layer = round(sum(sizes) * (dtype.itemsize - NF4)), max(sizes, default=0) * dtype.itemsize
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training itself will tell them
            fuse_head(model)
            return prepare(model, without_first_values(recipe), seed=0)

    shadow = Shadow()
    with shadow_errors(outline.name, outline.config):
        model = outline.model(shadow, dtype, prepared).train()
        apart = recipe.relative and (own_reference or not switched_off(model, recipe))
        reference = outline.model(shadow, dtype, fused) if apart else None
        resident = shadow.live
        batch = batch_of(question, model, answer, rows, _sides(recipe))
        batch = {name: shadow.hollow(values) for name, values in batch.items()}
        if settings.gradient_checkpointing:
            recompute(model, settings)
        trained = [weights for weights in model.parameters() if weights.requires_grad]
        gradients = sum(weights.numel() * weights.element_size() for weights in trained)
        states = round(gradients * optimiser_bytes(settings))
        shadow.watch()
        with shadow, _precision(settings):
            for _ in range(1 + (settings.gradient_accumulation_steps > 1)):
                step(model, reference, batch, relative=recipe.relative)
    copies = 2 if apart else 1
    rest = max(shadow.peak - resident - gradients, 0) + layer
    return Training(
        memory=Memory(weights=resident - packed * copies, optimiser=states + gradients, activations=rest),
        trained=sum(weights.numel() for weights in trained),
    )


def _precision(settings: Any) -> Any:
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    chosen = [dtype for name, dtype in kinds.items() if getattr(settings, name)]
    return torch.autocast("cpu", dtype=chosen[0]) if chosen else nullcontext()


def recompute(model: Any, settings: Any) -> None:
    """Let activations be computed twice, as TRL's trainer does."""
    model.activation_checkpointing_enable(settings.gradient_checkpointing_kwargs)
    if hasattr(model, "peft_config"):
        model.enable_input_require_grads()


def fused(model: Any) -> Any:
    """The model as a reference."""
    fuse_head(model)
    return model.requires_grad_(False)


def _sides(recipe: TrlOptimiser) -> int:
    """How many answers a row has: a pair two."""
    return len(recipe.material(()).collator.sides)


def batch_of(question: Question, model: Any, answer: int, rows: int, sides: int) -> Mapping[str, torch.Tensor]:
    """The inputs of a batch as `loops.optimise.collate` makes them, with its `completion_mask`."""
    inner = without_adapter(model)
    accepted = inspect.signature(type(inner).forward).parameters
    heads = question.heads(rows)
    more = question.tail + answer
    shape = heads["input_ids"].shape
    batch: dict[str, torch.Tensor] = {}
    for name, values in heads.items():
        if name not in accepted:
            continue
        if values.shape[:2] == shape and not values.is_floating_point():  # goes along with the tokens
            behind = values[:, -1:].expand(-1, more, *values.shape[2:])
            filler = {"input_ids": 0, "attention_mask": 1}.get(name, 0)
            values = torch.cat(
                [values, behind if name == "cross_attention_mask" else torch.full_like(behind, filler)], 1
            )
        elif values.is_floating_point():
            values = values.to(model.dtype)
        batch[name] = torch.cat([values] * sides)
    completion = torch.zeros_like(batch["input_ids"])
    completion[:, -answer:] = 1
    return {**batch, "completion_mask": completion}


def step(model: Any, reference: Any, batch: Mapping[str, torch.Tensor], *, relative: bool = True) -> None:
    """A step as TRL's losses take it: the policy's pass, that of the reference where the loss is `relative` to one, and
    the way back. KTO's passes over other answers are as the reference's, one after the other."""
    inputs = dict(batch)
    labels = inputs["input_ids"].masked_fill(inputs.pop("completion_mask") == 0, -100)
    policy = model(**inputs, labels=labels, use_cache=False, fused_lm_head=True).log_probs.sum(1)
    if not relative:
        policy.mean().backward()
        return
    off = model.disable_adapter() if reference is None and hasattr(model, "peft_config") else nullcontext()
    with torch.no_grad(), off:
        other = (reference or model)(**inputs, labels=labels, use_cache=False, fused_lm_head=True).log_probs.sum(1)
    (policy - other).mean().backward()
