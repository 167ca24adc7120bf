"""A step of training tried out before anything is asked: on a model of the same make, without its weights.

The recipe's settings meet the real processor, template, pictures and names of weights, and a step is taken with them as
the round will take it. The model is made from its configuration; a large one is narrowed first, layer by layer as deep
as it is, so that whatever names layers or modules means the same.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from harness.errors import ModelError, RecipeError
from harness.models.frames import Pictures, frame_of
from harness.models.prompts import PromptReader
from harness.types import Sample
from loops.groups import Pair
from loops.optimise.dpo import check_settings, take_a_step
from loops.optimise.parts import prepare
from loops.optimise.settings import TROUBLE, first_line
from loops.recipe import Optimise

SMALL = 20_000_000
"""A model of fewer weights is tried as wide as it is."""

NARROW = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "head_dim": 8, "projection_dim": 16}


def try_training(recipe: Optimise, model: Path, sample: Sample, *, pictures: Pictures | None = None) -> str:
    """Check the settings of training against the model in a folder, and take a step with a pair about `sample`.

    Returns what was tried, for people. Raises `RecipeError` that names the field at fault, and `ModelError` where the
    model's configuration or processor does not load.
    """
    check_settings(recipe)
    try:
        config = AutoConfig.from_pretrained(model)
        processor = AutoProcessor.from_pretrained(model)
        with torch.device("meta"):
            shape = AutoModelForImageTextToText.from_config(config)
    except TROUBLE as error:
        raise ModelError(f"{model}: does not load as an image-text-to-text model ({first_line(error)})") from error
    weights = shape.num_parameters()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training itself will tell them
        trained = sum(one.numel() for one in prepare(shape, recipe, seed=0).parameters() if one.requires_grad)
    reader = PromptReader(processor, frame_of(processor.image_processor, pictures))
    pair = Pair(sample=sample, chosen="Yes.", rejected="No.", reversed=False)
    if trouble := _trouble(recipe, config, weights, pair, reader):
        raise _blamed(trouble, recipe, config, weights, pair, reader) from trouble
    return f"a step of training, {trained:,} of {weights:,} weights trained"


def _trouble(recipe: Optimise, config: Any, weights: int, pair: Pair, reader: PromptReader) -> Exception | None:
    """What a step with these settings comes to; None where it is taken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            tried, reference = (
                AutoModelForImageTextToText.from_config(
                    config if weights < SMALL else _narrowed(config), dtype=torch.float32
                )
                for _ in range(2)
            )
            take_a_step(prepare(tried, recipe, seed=0), reference, pair, recipe, reader)
    except TROUBLE as error:
        return error
    return None


def _narrowed(config: Any) -> Any:
    """A configuration as deep as this one, with the same tokens and pictures, and few weights."""
    narrow = copy.deepcopy(config)
    for part in (narrow.get_text_config(), narrow.vision_config):
        for name, size in NARROW.items():
            if getattr(part, name, None):
                setattr(part, name, size)
        if getattr(part, "num_key_value_heads", None):
            part.num_key_value_heads = 1
    return narrow


def _blamed(
    trouble: Exception, recipe: Optimise, config: Any, weights: int, pair: Pair, reader: PromptReader
) -> RecipeError:
    """The error, with the first of the recipe's settings without which the step is taken."""
    for field, without in _without(recipe):
        try:
            taken = _trouble(without, config, weights, pair, reader) is None
        except RecipeError:
            continue
        if taken:
            return RecipeError(f"optimise.{field}: training does not begin with it ({first_line(trouble)})")
    return RecipeError(f"optimise: training does not begin ({first_line(trouble)})")


def _without(recipe: Optimise) -> Iterator[tuple[str, Optimise]]:
    """(a setting as the recipe writes it, the recipe without it)."""
    for group in ("trl", "lora"):
        fields = getattr(recipe, group)
        for name in fields:
            others = {other: value for other, value in fields.items() if other != name}
            yield f"{group}.{name} {fields[name]!r}", recipe.model_copy(update={group: others})
