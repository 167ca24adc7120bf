"""What a step of training takes of memory: TRL's loss on a model without numbers, forwards and backwards
(`harness.models.shadow`)."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from harness.errors import ModelError
from harness.models.adapters import without_adapter
from harness.models.footprint import Memory, shadow_errors
from harness.models.loading import four_bit_layers
from harness.models.outline import Outline, Question
from harness.models.shadow import Shadow
from loops.optimise.agreement import JOINED
from loops.optimise.collate import ANSWER, NO_TARGET
from loops.optimise.joined import JoinedPass
from loops.optimise.parts import prepare, switched_off, untouched
from loops.optimise.settings import TROUBLE
from loops.optimise.training import TrlOptimiser
from loops.optimise.trial import small_enough, without_first_values
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
    joins: bool = False,
    rows: int | None = None,
) -> Training:
    """What a settled recipe's training takes under TRL's `settings`, on answers of so many tokens to questions of this
    shape, so many of TRL's rows at once (by default those of the settings), on a GPU or not; with pairs read as one row
    each (`joins`) or as two.

    The reference, where the loss is relative to one, is the model itself, before the first step or with its adapter
    switched off, where that is what was loaded, and where it is no other checkpoint (`own_reference`); else a second
    copy. Where it is asked ahead, what takes more counts: that or a step.
    Raises `ModelError` as `harness.models.footprint.asking` does, and `RecipeError` as `prepare` does.
    """
    rows = rows or settings.per_device_train_batch_size
    sides = _sides(recipe)
    most = 2 if gpu else max(2, CELLS // (sides * (question.head + question.tail + answer) ** 2))
    taken = partial(_taken, outline, question, recipe, settings, answer, own_reference, joins)
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
    joins: bool,
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
        itself = untouched(recipe) if recipe.ahead else switched_off(model, recipe)
        apart = recipe.relative and (own_reference or not itself)
        beside = recipe.relative and not recipe.ahead
        reference = outline.model(shadow, dtype, fused) if apart and beside else None
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
                step(model, reference, batch, beside=beside, joins=joins)
        rest = max(shadow.peak - resident - gradients, 0) + layer
        weights = resident - packed * (2 if reference is not None else 1)
        phases = [Memory(weights=weights, optimiser=states + gradients, activations=rest)]
        if recipe.ahead and apart:
            before = shadow.live
            reference = outline.model(shadow, dtype, fused)
            weights += shadow.live - before - packed
            before = shadow.live
            shadow.watch()
            with shadow, _precision(settings):
                ask(model, reference, batch, joins=joins)
            phases.append(Memory(weights=weights, optimiser=0, activations=shadow.peak - before + layer))
    return Training(
        memory=max(phases, key=lambda memory: memory.total),
        trained=sum(weights.numel() for weights in trained),
    )


def pairs_join(outline: Outline, question: Question) -> bool:
    """Whether training reads a pair as one row: what a small model of the kind says of that, with random weights. One
    that cannot be made small says no, by which a plan takes more and not less."""
    if (small := small_enough(outline.kind, outline.config, outline.weights)) is None:
        return False
    try:
        with torch.random.fork_rng(), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            model = outline.kind.from_config(copy.deepcopy(small), dtype=torch.float32).eval()
            fuse_head(model)
            batch = batch_of(question, model, 4, rows=1, sides=2)
            apart, joined = (_read(way, batch).log_probs for way in (model, JoinedPass(model)))
    except (ModelError, *TROUBLE):
        return False
    return bool((apart - joined).abs().max() <= JOINED)


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
    batch["input_ids"][rows:, -answer:] = model.get_input_embeddings().num_embeddings - 1  # the sides are unlike
    return {**batch, ANSWER: completion}


def step(
    model: Any, reference: Any, batch: Mapping[str, torch.Tensor], *, beside: bool = True, joins: bool = False
) -> None:
    """A step as TRL's losses take it: the policy's pass, that of the reference where it is asked `beside`, and the way
    back. KTO's passes over other answers are as the reference's, one after the other."""
    policy = _read(JoinedPass(model) if joins else model, batch).log_probs.sum(1)
    if not beside:
        policy.mean().backward()
        return
    other = ask(model, reference, batch, joins=joins)
    (policy - other).mean().backward()


def ask(model: Any, reference: Any, batch: Mapping[str, torch.Tensor], *, joins: bool = False) -> torch.Tensor:
    """What the reference gives each answer of a batch; None is the model with its adapter off."""
    off = model.disable_adapter() if reference is None and hasattr(model, "peft_config") else nullcontext()
    asked = model if reference is None else reference
    with torch.no_grad(), off:
        values: torch.Tensor = _read(JoinedPass(asked) if joins else asked, batch).log_probs.sum(1)
    return values


def _read(model: Any, batch: Mapping[str, torch.Tensor]) -> Any:
    inputs = dict(batch)
    labels = inputs["input_ids"].masked_fill(inputs.pop(ANSWER) == 0, NO_TARGET)
    return model(**inputs, labels=labels, use_cache=False, fused_lm_head=True)
