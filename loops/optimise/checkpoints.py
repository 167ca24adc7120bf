"""What every training starts from and what it leaves: a checkpoint prepared, and one saved whole."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.models.adapters import merged, with_adapter
from harness.models.loading import load_processor, load_weights
from harness.models.options import ModelOptions
from harness.models.prompts import PromptReader, prompt_reader
from harness.models.stopping import stop_tokens
from harness.models.weights import parameters_in
from loops.optimise.parts import prepare, switched_off
from loops.optimise.settings import TrainedParts
from loops.optimise.soundness import refuse_numberless


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a training starts from: the model with what is to be trained marked so, its processor, the reader of its
    prompts and the token that ends an answer. `switched_off` says that the model without its adapter is and stays the
    checkpoint in `folder`; `checkpointing` that it is large and activations are better computed twice than kept."""

    folder: Path
    model: Any
    processor: Any
    reader: PromptReader
    end: int
    switched_off: bool
    checkpointing: bool


def load_start(folder: Path, recipe: TrainedParts, *, seed: int, options: ModelOptions = ModelOptions()) -> Start:
    """The checkpoint in a folder, prepared, to be asked by `options`; raises `RecipeError` and `ModelError`."""
    quiet()
    count = parameters_in(folder)
    settled = recipe.settled(count)
    model = load_reference(folder, settled, options)
    refuse_numberless(model, f"the checkpoint to train from ({folder})", "train it anew or name another")
    processor = load_processor(folder, name=str(folder))
    reader = prompt_reader(model.config, processor, options.pictures, system=options.system, thinking=options.thinking)
    end = reader.end_token(stop_tokens(model, processor.tokenizer))
    prepared = prepare(model, settled, seed=seed)
    return Start(
        folder=folder,
        model=prepared,
        processor=processor,
        reader=reader,
        end=end,
        switched_off=switched_off(prepared, settled),
        checkpointing=settled.checkpointed(count, model.supports_gradient_checkpointing),
    )


def load_reference(folder: Path, recipe: TrainedParts, options: ModelOptions = ModelOptions()) -> Any:
    """The checkpoint whose log-probabilities a loss is relative to, in the precision that the recipe trains it in."""
    settled = recipe.settled(parameters_in(folder))
    return load_weights(
        folder,
        name=str(folder),
        dtype=getattr(torch, settled.dtype),
        attn_implementation=options.attn_implementation,
        quantise=settled.quantise,
    )


def save(start: Start, recipe: TrainedParts, out: Path) -> None:
    """Save the trained model, whole, into `out` (safetensors), and an adapter's own weights beside it.

    What was trained on 4-bit weights is merged into the weights that these were made of, in the recipe's precision.
    """
    model, adapter = start.model, out.with_name("adapter")
    if hasattr(model, "peft_config"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that trained embeddings are saved too
            model.save_pretrained(adapter)
        if recipe.quantise:
            whole = load_reference(start.folder, recipe.model_copy(update={"quantise": None}))
            model = with_adapter(whole, adapter)
        else:
            model = merged(model)
    model.save_pretrained(out)
    start.processor.save_pretrained(out)


def quiet() -> None:
    """The libraries' own warnings are about their code, not about a recipe."""
    for name in ("trl", "transformers", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
