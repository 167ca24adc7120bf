"""A step of training tried out before anything is asked: on a model of the same make, without its weights.

The recipe's settings meet the real processor, template, pictures and names of weights, and a step is taken with them as
the round will take it. The model is made from its configuration; a large one is narrowed first, layer by layer as deep
as it is, so that whatever names layers or modules means the same.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from transformers import AutoConfig

from harness.errors import RecipeError
from harness.models.loading import load_processor, model_class, model_errors
from harness.models.options import ModelOptions
from harness.models.prompts import PromptReader, prompt_reader
from harness.models.stopping import stop_tokens
from harness.types import Sample
from harness.wording import first_line
from loops.optimise.narrow import narrowed
from loops.optimise.parts import prepare, switched_off, untouched
from loops.optimise.settings import TROUBLE
from loops.optimise.training import TrlOptimiser

SMALL = 20_000_000
"""A model of fewer weights is tried as wide as it is."""

LARGEST = 400_000_000
"""A model that stays of more weights when it is narrowed is not made: two of them, and what an optimiser keeps, are
several GiB."""

F = TypeVar("F", bound=TrlOptimiser)

Step = Callable[[Any, Any, Sequence[Any], F, PromptReader, int], None]
"""Trains a prepared model for one step on a few rows: model, reference, rows, recipe, reader, end token."""


def try_training(
    recipe: F, model: Path, sample: Sample, *, step: Step[F], options: ModelOptions = ModelOptions()
) -> str:
    """Check the settings of training against the model in a folder, and take a `step` with rows about `sample`.

    Returns what was tried, for people. Raises `RecipeError` that names the field at fault, and `ModelError` where the
    model's configuration or processor does not load.
    """
    processor = load_processor(model, name=str(model))
    what = f"{model}: does not load as an image-text-to-text model"
    with model_errors(what), torch.device("meta"):
        config = AutoConfig.from_pretrained(model)
        kind = model_class(config, what)
        shape = kind.from_config(config)
    weights = shape.num_parameters()
    recipe = recipe.settled(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training itself will tell them
        prepared = prepare(shape, without_first_values(recipe), seed=0)
    trained = sum(weights.numel() for weights in prepared.parameters() if weights.requires_grad)
    reader = prompt_reader(config, processor, options.pictures, system=options.system, thinking=options.thinking)
    share = f"{trained:,} of {weights:,} weights trained"
    if (small := small_enough(kind, config, weights)) is None:
        return f"its names and settings alone, {share}: a model of this kind does not come small enough for a step"
    trial = _Trial(kind=kind, config=small, rows=recipe.trial_rows(sample), reader=reader, step=step)
    if trouble := trial.trouble(recipe):
        plain = recipe.model_copy(update={"trl": {}, "lora": {}})
        if small is not config and (reason := trial.trouble(plain)):
            line = first_line(reason)
            return f"its names and settings alone, {share}: a step fails once this model is narrowed ({line})"
        raise _blamed(trouble, recipe, trial) from trouble
    return f"a step of training, {share}"


def without_first_values(recipe: F) -> F:
    """The recipe with adapters that start from nothing in particular: some are made from the model's weights (PiSSA,
    OLoRA), which a model without any has not."""
    return recipe.model_copy(update={"lora": {**recipe.lora, "init_lora_weights": False}})


def small_enough(kind: Any, config: Any, weights: int) -> Any:
    """The configuration of a model of so many weights, or of a smaller one of the kind; None where none is small enough
    to be made for a trial."""
    if weights < SMALL:
        return config
    small = narrowed(config)
    return small if small is not None and (size := _size(kind, small)) is not None and size <= LARGEST else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial(Generic[F]):
    """What a step is taken with; `kind` is the class of transformers that makes the model."""

    kind: Any
    config: Any
    rows: Sequence[Any]
    reader: PromptReader
    step: Step[F]

    def trouble(self, recipe: F) -> Exception | None:
        """What a step with these settings comes to; None where it is taken."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as above
                model = self.kind.from_config(self.config, dtype=torch.float32)
                end = self.reader.end_token(stop_tokens(model, self.reader.tokenizer))
                prepared = prepare(model, recipe, seed=0)
                itself = untouched(recipe) if recipe.ahead else switched_off(prepared, recipe)
                alone = itself or not recipe.relative
                reference = None if alone else self.kind.from_config(self.config, dtype=torch.float32)
                self.step(prepared, reference, self.rows, recipe, self.reader, end)
        except TROUBLE as error:
            return error
        return None


def _size(kind: Any, config: Any) -> int | None:
    """How many weights a model of this configuration has; None where there is none such."""
    try:
        with torch.device("meta"):
            return int(kind.from_config(copy.deepcopy(config)).num_parameters())
    except TROUBLE:
        return None


def _blamed(trouble: Exception, recipe: F, trial: _Trial[F]) -> RecipeError:
    """The error, with the first of the recipe's settings without which the step is taken."""
    for field, without in _without(recipe):
        try:
            taken = trial.trouble(without) is None
        except RecipeError:
            continue
        if taken:
            return RecipeError(f"optimise.{field}: training does not begin with it ({first_line(trouble)})")
    return RecipeError(f"optimise: training does not begin ({first_line(trouble)})")


def _without(recipe: F) -> Iterator[tuple[str, F]]:
    """(a setting as the recipe writes it, the recipe without it)."""
    for group in ("trl", "lora"):
        fields = getattr(recipe, group)
        for name in fields:
            others = {other: value for other, value in fields.items() if other != name}
            yield f"{group}.{name} {fields[name]!r}", recipe.model_copy(update={group: others})
