"""How a model is loaded and asked: what a user chooses about it beside its name. Imports no model library."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import UsageError
from harness.models.frames import Pictures

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""The precision of the weights; auto: bfloat16 on a GPU for files of a gigabyte or more, else float32."""

AttnImplementation = Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]
"""transformers' names of its attention functions."""

Thinking = Literal["on", "off"]
"""What a chat template with `enable_thinking` (Qwen3, SmolLM3, GLM) is given."""

GenerationSettings = Literal["model", "none"]
"""Whether greedy answers follow the logits processors of the model's generation_config.json, such as its repetition
penalty, as `generate` does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """The options of a model that is loaded here; the fields are `harness.models.load.load_vlm`'s parameters.

    Of `None` the model's own files or the machine decide. `device`: a GPU where there is one. `system` is the text of a
    system turn before every question. `end_bias` is added to the logits of the tokens that end an answer, in nats: a
    model below 0 goes on, and above 0 stops, where it had little reason not to; nothing is trained.
    """

    device: str | None = None
    dtype: Dtype = "auto"
    attn_implementation: AttnImplementation | None = None
    pictures: Pictures | None = None
    system: str | None = None
    thinking: Thinking | None = None
    generation_config: GenerationSettings = "model"
    end_bias: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.end_bias):
            raise UsageError(f"the bias of an answer's end is {self.end_bias}: say a number of nats, as -0.5")

    @property
    def keywords(self) -> dict[str, Any]:
        """All fields by name."""
        return dataclasses.asdict(self)

    @property
    def spoken(self) -> Mapping[str, str]:
        """What every question says beside its own words, as results name it."""
        return {name: text for name, text in (("system", self.system), ("thinking", self.thinking)) if text is not None}

    @property
    def off_default(self) -> Mapping[str, Any]:
        """The fields that are not at their default: what an answer depends on beside the model's files. The device is
        none of them: it rounds otherwise, and results name it."""
        defaults = ModelOptions()
        names = [field.name for field in dataclasses.fields(self) if field.name != "device"]
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(defaults, name)}
