"""TRL's settings as a recipe may make them: which are not its to make, and what others must be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field as RecipeField
from pydantic import model_validator

from harness.errors import RecipeError
from loops.kinds import Part

LARGE = 1_000_000_000
"""From this many weights on a model gets adapters, in bfloat16, unless the recipe says otherwise."""

PICTURE_ENCODER = "vision_tower"
"""In `freeze`: the picture encoder, whatever the model calls it."""


class TrainedParts(Part):
    """Which weights an optimiser trains: all, or adapters, but for frozen parts."""

    weights: Literal["auto", "all", "lora"] = RecipeField(
        default="auto", description="what is trained: adapters (lora), all weights, or auto: lora from 1e9 weights on"
    )
    freeze: tuple[str, ...] = RecipeField(
        default=(PICTURE_ENCODER,),
        description="parts whose weights stay and get no adapter, by fragments of their names; vision_tower is any "
        "model's picture encoder",
    )
    lora: dict[str, Any] = RecipeField(default_factory=dict, description="peft's LoraConfig")
    dtype: Literal["auto", "float32", "bfloat16"] = RecipeField(
        default="auto", description="of the model's weights; auto: bfloat16 under adapters from 1e9 weights on"
    )
    quantise: Literal["nf4"] | None = RecipeField(
        default=None, description="4-bit weights under adapters (QLoRA, Dettmers et al. 2023), by bitsandbytes"
    )

    @model_validator(mode="after")
    def _quantised_weights_cannot_be_trained(self) -> Self:
        if self.quantise and self.weights == "all":
            raise ValueError("quantise: 4-bit weights cannot be trained themselves; take weights: lora")
        return self

    def settled(self, weights: int) -> Self:
        """These settings for a model of so many weights, with nothing left to `auto`.

        Weights that are trained themselves are float32: in bfloat16, of 8 bits, a step of a small learning rate rounds
        to none.
        """
        large = weights >= LARGE
        trained = ("lora" if large or self.quantise else "all") if self.weights == "auto" else self.weights
        dtype = ("bfloat16" if large and trained == "lora" else "float32") if self.dtype == "auto" else self.dtype
        return self.model_copy(update={"weights": trained, "dtype": dtype})

    def checkpointed(self, weights: int, supported: bool) -> bool:
        """Whether activations of a model of so many weights are better computed twice than kept, where its code can."""
        return self.settled(weights).weights == "lora" and weights >= LARGE and supported

    def parts_input(self, weights: int) -> dict[str, Any]:
        """What a stage that trains a model of so many weights depends on beside the fields that are not at their
        default: what `auto` comes to, where that is not all weights in float32."""
        settled = self.settled(weights)
        usual = {"weights": "all", "dtype": "float32"}
        return {name: value for name in usual if (value := getattr(settled, name)) != usual[name]}


class TrlFields(TrainedParts):
    """The fields of every optimiser that trains through TRL. `trl` goes to TRL's own config untouched."""

    trl: dict[str, Any] = RecipeField(default_factory=dict, description="the fields of TRL's config")
    stop_collapsed: bool = RecipeField(
        default=True,
        description="a checkpoint whose greedy answers are all empty, endless or one and the same, where those before "
        "training were not, is an error and not kept",
    )


STAYS_HERE = "nothing leaves this machine; publish the checkpoint yourself"
SAVED_BY_STAGE = "each round saves its checkpoint once, whole; leave it out"
MEASURED_BY_STAGE = "checkpoints are measured by the recipe's evaluate; leave it out"
OUR_MODEL = "models are loaded as they are, and no code that comes with one is run; leave it out"

NOT_TRLS: Mapping[str, str] = MappingProxyType(
    {
        "output_dir": "a run has its own folders (--out); leave it out",
        "seed": "the recipe's own field `seed` decides; leave it out",
        "data_seed": "the recipe's own field `seed` decides; leave it out",
        "resume_from_checkpoint": "a run goes on by its stages; leave it out",
        "restore_callback_states_from_checkpoint": "a run goes on by its stages; leave it out",
        **dict.fromkeys(("save_strategy", "save_steps", "save_total_limit", "save_only_model"), SAVED_BY_STAGE),
        **dict.fromkeys(("eval_strategy", "eval_steps", "eval_on_start", "do_eval", "do_predict"), MEASURED_BY_STAGE),
        **dict.fromkeys(("load_best_model_at_end", "metric_for_best_model"), MEASURED_BY_STAGE),
        **dict.fromkeys(("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id"), STAYS_HERE),
        **dict.fromkeys(("hub_strategy", "hub_always_push", "hub_revision"), STAYS_HERE),
        **dict.fromkeys(("trust_remote_code", "model_init_kwargs"), OUR_MODEL),
    }
)
"""TRL's settings that are not a recipe's to make, and why: another value than the default is refused."""

BOUNDS: Mapping[str, tuple[str, Callable[[float], bool]]] = MappingProxyType(
    {
        "learning_rate": ("at least 0", lambda value: value >= 0),
        "beta": ("above 0", lambda value: value > 0),
        "label_smoothing": ("from 0 to below 0.5, where a pair says nothing", lambda value: 0 <= value < 0.5),
        "num_train_epochs": ("above 0", lambda value: value > 0),
        "max_steps": ("above 0, or -1 for all epochs", lambda value: value > 0 or value == -1),
        "per_device_train_batch_size": ("at least 1", lambda value: value >= 1),
        "gradient_accumulation_steps": ("at least 1", lambda value: value >= 1),
        "max_grad_norm": ("at least 0", lambda value: value >= 0),
        "weight_decay": ("at least 0", lambda value: value >= 0),
        "max_length": ("at least 1", lambda value: value >= 1),
    }
)
"""What a setting must be that TRL takes as it comes: in words, and as a rule."""

TROUBLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    re.error,
)
"""What other people's libraries raise at settings that they do not take."""


def refuse_values(fields: Sequence[Field[Any]], settings: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `RecipeError` for a setting of another type than its field's default, out of bounds, or not
    a recipe's to make."""
    for field in fields:
        value = settings.get(field.name)
        if value is None:
            continue
        number = isinstance(field.default, int | float)
        whole = isinstance(field.default, int) and not isinstance(value, int)
        if number and (isinstance(value, str | list | dict) or whole):
            raise RecipeError(f"optimise.trl.{field.name}: must be like {field.default!r}, found {value!r}")
        if field.name in NOT_TRLS and value not in (field.default, ours.get(field.name)):
            raise RecipeError(f"optimise.trl.{field.name}: {NOT_TRLS[field.name]}")
        words, within = BOUNDS.get(field.name, ("", lambda _: True))
        if value == field.default:
            continue
        if words and (isinstance(value, bool | str) or not math.isfinite(value) or not within(value)):
            raise RecipeError(f"optimise.trl.{field.name}: must be {words}, found {value!r}")
