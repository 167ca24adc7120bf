"""What every training starts from and what it leaves: a checkpoint prepared, and one saved whole."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.models.adapters import merged, with_adapter, without_adapter
from harness.models.loading import load_processor, load_weights
from harness.models.options import ModelOptions
from harness.models.prompts import PromptReader, prompt_reader
from harness.models.rounding import draws, rounded
from harness.models.stopping import stop_tokens
from harness.models.weights import parameters_in, stored_type
from loops.optimise.parts import prepare, switched_off, untouched
from loops.optimise.settings import TrainedParts
from loops.optimise.soundness import refuse_numberless

SHORT = {"BF16": torch.bfloat16, "F16": torch.float16}
"""Types of 16 bits, by safetensors' names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a training starts from: the model with what is to be trained marked so, its processor, the reader of its
    prompts and the token that ends an answer. `untouched` says that the model without its adapter is the checkpoint in
    `folder` up to the first step, `switched_off` that it stays so; `checkpointing` that it is large and activations are
    better computed twice than kept. `short` are the float32 weights that the folder holds in 16 bits, by name;
    `settings` the model's configuration and generation settings, which a trainer changes."""

    folder: Path
    model: Any
    processor: Any
    reader: PromptReader
    end: int
    untouched: bool
    switched_off: bool
    checkpointing: bool
    short: Mapping[str, torch.dtype]
    settings: tuple[Any, Any]


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
    short, settings = _short(model, folder), copy.deepcopy((model.config, model.generation_config))
    prepared = prepare(model, settled, seed=seed)
    return Start(
        folder=folder,
        model=prepared,
        processor=processor,
        reader=reader,
        end=end,
        untouched=untouched(settled),
        switched_off=switched_off(prepared, settled),
        checkpointing=settled.checkpointed(count, model.supports_gradient_checkpointing),
        short=short,
        settings=settings,
    )


def _short(model: Any, folder: Path) -> Mapping[str, torch.dtype]:
    """The float32 weights of a model that lie in the files of its folder in 16 bits; single ones may be float32."""
    if (dtype := SHORT.get(stored_type(folder))) is None:
        return {}
    weights = model.named_parameters(remove_duplicate=False)  # what is tied may be parted
    return {
        name: dtype
        for name, values in weights
        if values.dtype == torch.float32 and torch.equal(values, values.to(dtype).float())
    }


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
    Weights whose files are of 16 bits are saved so: in float32 they would be rounded to the nearest whenever the model
    is asked in 16, which undoes small changes (`harness.models.rounding`).
    """
    model, adapter, short = start.model, out.with_name("adapter"), start.short
    inner = without_adapter(model)
    inner.config, inner.generation_config = start.settings
    if hasattr(model, "peft_config"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that trained embeddings are saved too
            model.save_pretrained(adapter)
        if recipe.quantise:
            whole = load_reference(start.folder, recipe.model_copy(update={"quantise": None}))
            short = _short(whole, start.folder)
            model = with_adapter(whole, adapter)
        else:
            model = merged(model)
    drawn = draws()
    for name, weights in model.named_parameters():
        if name in short:
            weights.data = rounded(weights.data, short[name], drawn)
    model.save_pretrained(out)
    start.processor.save_pretrained(out)


def quiet() -> None:
    """The libraries' own warnings are about their code, not about a recipe."""
    for name in ("trl", "transformers", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
