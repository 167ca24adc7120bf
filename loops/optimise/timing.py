"""What a step of DPO takes here and by stock TRL: of the same checkpoint, on the same pairs in the same order."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch

from harness.errors import RecipeError
from harness.models.counted import Counted
from harness.models.options import ModelOptions
from harness.models.weights import parameters_in
from loops.groups import Pair
from loops.optimise.checkpoints import load_reference, load_start
from loops.optimise.dpo import Dpo
from loops.optimise.training import agreed_trainer, trl_settings
from loops.optimise.with_trl import losses, stock_trainer

NEAR = {"float32": 1e-3, "bfloat16": 0.1}
"""By how much the losses of a step may differ, by the precision of weights: more, and other trainings would be
compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """`seconds` of a step of one epoch, the reference's part of it included, what is set up before left out (on a CPU
    those that it computed, whatever else it did meanwhile); the most `bytes` that tensors had in it, the models'
    weights among them; the loss of each step."""

    seconds: float
    bytes: int
    losses: Sequence[float]


def epochs(
    folder: Path, pairs: Sequence[Pair], batch: int, options: ModelOptions = ModelOptions(), *, count: bool = False
) -> tuple[Taken, Taken]:
    """(an epoch here, one by TRL's trainer and collator as they are) from a checkpoint, in batches of so many pairs.
    Counting bytes takes time: where they are not to be `counted` they are 0.

    Raises `RecipeError` where the losses differ: where TRL's collator makes other tokens or pictures of a conversation
    than the model is asked with.
    """
    fields = {"per_device_train_batch_size": batch, "num_train_epochs": 1, "learning_rate": 1e-5, "logging_steps": 1}
    recipe = Dpo(trl=fields).settled(parameters_in(folder))
    ours, stock = (_epoch(folder, pairs, recipe, options, stock=stock, count=count) for stock in (False, True))
    gaps = [abs(one - other) for one, other in zip(ours.losses, stock.losses, strict=True)]
    if not max(gaps) < NEAR[recipe.dtype]:
        raise RecipeError(f"the losses of a step are {max(gaps):.2g} apart: TRL trains this model on other inputs")
    return ours, stock


def _epoch(
    folder: Path, pairs: Sequence[Pair], recipe: Dpo, options: ModelOptions, *, stock: bool, count: bool
) -> Taken:
    begun = load_start(folder, recipe, seed=0, options=options)
    counted = Counted()
    with tempfile.TemporaryDirectory() as scratch:
        args = trl_settings(recipe, scratch, seed=0, run_name="", device=options.device)
        rows = recipe.material(pairs).rows
        if stock:
            reference = None if recipe.weights == "lora" else load_reference(folder, recipe, options)
            trainer = stock_trainer(
                recipe.method, model=begun.model, ref_model=reference, args=args, train_dataset=rows,
                processing_class=begun.processor,
            )  # fmt: skip
        else:
            built = agreed_trainer(begun.model, None, pairs, recipe, args, begun.reader, begun.end, options=options)
            trainer = built.trainer
            trainer.train_dataset = rows  # as before the reference was asked, which is to be timed
        models = [model for model in (trainer.model, trainer.ref_model) if model is not None]
        counted.of(values for model in models for values in model.parameters())
        if count:
            with counted:
                seconds = _seconds(trainer, stock=stock)
        else:
            seconds = _seconds(trainer, stock=stock)
    steps = trainer.state.global_step
    return Taken(
        seconds=seconds / steps,
        bytes=counted.peak if count else 0,
        losses=[entry["loss"] for entry in losses(trainer.state)],
    )


def _seconds(trainer: Any, *, stock: bool) -> float:
    gpu = trainer.args.device.type == "cuda"
    clock = perf_counter if gpu else process_time
    begun = clock()
    if not stock:
        trainer.ask_ahead(None)
    trainer.train()
    if gpu:
        torch.cuda.synchronize()
    return clock() - begun
