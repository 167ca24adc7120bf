"""Which parts of a model are trained: all but the frozen ones, or adapters in them."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from harness.errors import RecipeError
from harness.wording import first_line
from loops.optimise.settings import TROUBLE, TrainedParts


def prepare(model: Any, recipe: TrainedParts, *, seed: int) -> Any:
    """The model with what is to be trained marked so, and adapters in it where they are; frozen parts have neither.

    Raises `RecipeError` for frozen parts that the model does not have, and for settings that peft does not know.
    """
    names = [name for name, _ in model.named_parameters()]
    if strangers := [fragment for fragment in recipe.freeze if not any(fragment in name for name in names)]:
        parts = sorted({".".join(name.split(".")[:2]) for name in names})
        raise RecipeError(
            f"optimise.freeze {strangers[0]}: no weights of this model are called so; it has {', '.join(parts)}"
        )
    frozen = {name for name in names if any(fragment in name for fragment in recipe.freeze)}
    if recipe.weights == "lora":
        kept = sorted({name.rpartition(".")[0] for name in frozen})
        try:
            config = LoraConfig(**{"target_modules": "all-linear", "exclude_modules": kept or None, **recipe.lora})
            with torch.random.fork_rng(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # tied weights are parted before they are merged
                torch.manual_seed(seed)  # an adapter starts from random weights; TRL seeds only once it has the model
                model = get_peft_model(model, config)
        except TROUBLE as error:
            raise RecipeError(f"optimise.lora: {first_line(error)}") from error
    for name, parameter in model.named_parameters():
        # peft has frozen all but its adapters, and a user's own `exclude_modules` or `bias` may have let some back in
        if any(fragment in name for fragment in recipe.freeze):
            parameter.requires_grad = False
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise RecipeError(f"optimise.freeze {', '.join(recipe.freeze)}: nothing is left to train; name fewer parts")
    return model
