"""Which parts of a model are trained: all but the frozen ones, or adapters in them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from harness.errors import RecipeError
from harness.wording import first_line
from loops.optimise.settings import PICTURE_ENCODER, TROUBLE, TrainedParts

APART = (True, False, "gaussian", "orthogonal")
"""peft's `init_lora_weights` that leave the model's own weights as they are."""

FUSED = (
    r"The following \w+_pattern keys did not match any targeted module and were ignored: \['\.\*\\\\.gate_up_proj'\]"
)
"""peft's own patterns for experts whose weights lie in one tensor, and so get no adapter; a user's are still told."""


def prepare(model: Any, recipe: TrainedParts, *, seed: int) -> Any:
    """The model with what is to be trained marked so, and adapters in it where they are; frozen parts have neither.

    Raises `RecipeError` for frozen parts that the model does not have, and for settings that peft does not know.
    """
    frozen = frozen_weights(model, recipe.freeze)
    stays = {id(weights) for name, weights in model.named_parameters() if name in frozen}
    if recipe.weights == "lora":
        try:
            excluded = _excluded(model, frozen, recipe.lora.get("exclude_modules"))
            config = LoraConfig(**{"target_modules": "all-linear", **recipe.lora, "exclude_modules": excluded})
            with torch.random.fork_rng(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # tied weights are parted before they are merged
                warnings.simplefilter("ignore", FutureWarning)  # between peft and transformers; no user could change it
                warnings.filterwarnings("ignore", FUSED, RuntimeWarning)
                torch.manual_seed(seed)  # an adapter starts from random weights; TRL seeds only once it has the model
                model = get_peft_model(model, config)
        except TROUBLE as error:
            raise RecipeError(f"optimise.lora: {first_line(error)}") from error
    for name, weights in model.named_parameters():
        # peft has frozen all but its adapters, and a user's own `bias` or `modules_to_save` may have let some back in
        if id(weights) in stays or any(fragment in name for fragment in recipe.freeze):
            weights.requires_grad = False
    if not any(weights.requires_grad for weights in model.parameters()):
        raise RecipeError(f"optimise.freeze {', '.join(recipe.freeze)}: nothing is left to train; name fewer parts")
    return model


def frozen_weights(model: Any, freeze: Collection[str]) -> set[str]:
    """The names of the weights that `freeze` names; raises `RecipeError` for a fragment that names none."""
    names = [name for name, _ in model.named_parameters()]
    frozen: set[str] = set()
    for fragment in freeze:
        matching = {name for name in names if fragment in name}
        if fragment == PICTURE_ENCODER:
            matching |= _picture_encoder(model)
        if not matching:
            parts = ", ".join(sorted({".".join(name.split(".")[:2]) for name in names}))
            reason = (
                "this model has no picture encoder of its own; leave it out (optimise.freeze=[]), or name weights"
                if fragment == PICTURE_ENCODER
                else "no weights of this model are called so"
            )
            raise RecipeError(f"optimise.freeze {fragment}: {reason}; it has {parts}")
        frozen |= matching
    return frozen


def untouched(recipe: TrainedParts) -> bool:
    """Whether a prepared model without its adapter, if it has one, is the checkpoint that it was loaded from, up to the
    first step of a training."""
    return recipe.weights != "lora" or recipe.lora.get("init_lora_weights", True) in APART


def switched_off(model: Any, recipe: TrainedParts) -> bool:
    """Whether a prepared model without its adapter is the checkpoint that it was loaded from, during all of the
    training: then it needs no second copy of the weights as a reference."""
    if recipe.weights != "lora" or not untouched(recipe):
        return False
    return all(".default" in name for name, weights in model.named_parameters() if weights.requires_grad)


def _picture_encoder(model: Any) -> set[str]:
    """The names of the picture encoder's weights; of none where transformers gives the model itself for one."""
    encoder = model.get_encoder(modality="image")
    if encoder is model or encoder is model.base_model:
        return set()
    its = {id(weights) for weights in encoder.parameters()}
    return {name for name, weights in model.named_parameters() if id(weights) in its}


def _excluded(model: Any, frozen: Collection[str], chosen: Any) -> Any:
    """peft's `exclude_modules`: the user's, the modules of frozen weights, and a model's own kinds of linear layer
    (routers), which return more than peft can add to."""
    own = {
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and type(module).__module__.startswith("transformers.models.")
    }
    kept = sorted({name.rpartition(".")[0] for name in frozen} | own)
    if isinstance(chosen, str):
        re.compile(chosen)
        return "|".join([f"(?:{chosen})", *map(re.escape, kept)])
    return [*(chosen or ()), *kept] or None
