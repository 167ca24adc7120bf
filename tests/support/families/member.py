"""A tiny member of a family: a random model, its processor, and pictures to ask it about."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from PIL import Image

from tests.support.families.vocabulary import ends

SIZES = ((56, 56), (84, 42), (42, 98))
"""Width and height of the pictures: one square, one wide, one tall, so that processors cut or tile each otherwise."""

TEXT = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
MROPE = {**ROPE, "mrope_section": [2, 3, 3]}
"""Rotary places in three planes: time, height, width."""
ALTERNATING = ["sliding_attention", "full_attention"] * 2
SMALL = {"height": 28, "width": 28}


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Random squares of 7 x 7 pixels."""
    values = np.random.default_rng(seed).integers(0, 255, (height // 7 + 1, width // 7 + 1, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST)


def pictures() -> tuple[Image.Image, ...]:
    """One picture of each size."""
    return tuple(picture(*size, seed) for seed, size in enumerate(SIZES))


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """`notes` says what the family has that others have not."""

    model: Any
    processor: Any
    notes: str = ""
    pictures: tuple[Image.Image, ...] = field(default_factory=pictures)

    def save(self, folder: Path) -> Path:
        """The checkpoint's folder: weights, configs, processor."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)
        return folder


def member(
    config: Any, processor: Any, notes: str = "", *, kind: Any = hf.AutoModelForImageTextToText, close: str = ""
) -> Member:
    """The model of a config with loud random weights of one seed; `close` is a second token that ends an answer."""
    words = processor.tokenizer
    config.pad_token_id, config.eos_token_id = words.pad_token_id, words.eos_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    for name, number in ends(words).items():
        setattr(model.generation_config, name, number)
    if close:
        model.generation_config.eos_token_id = [words.eos_token_id, words.convert_tokens_to_ids(close)]
    return Member(model=loud(model).eval(), processor=processor, notes=notes)


@torch.no_grad()
def loud(model: Any, seed: int = 0) -> Any:
    """Weights whose activations are of order one, so that a wrong place or mask moves the logits by 0.1 and more."""
    generator = torch.Generator().manual_seed(seed)
    head = model.get_output_embeddings()  # a tower has none
    tied = head is not None and head.weight is model.get_input_embeddings().weight
    for name, weights in model.named_parameters():
        if weights.ndim < 2 or "A_log" in name or "dt_bias" in name:
            continue
        values = torch.randn(weights.shape, generator=generator)
        embeds = "embed_tokens" in name or ("embedding" in name and weights.ndim == 2 and "patch" not in name)
        if not embeds:
            inputs = weights.shape[-1] if weights.ndim == 3 else weights[0].numel()
            values *= 1.2 / math.sqrt(inputs)
        elif tied:
            values *= 0.07  # else a word is followed by itself for ever, whatever is asked
        weights.copy_(values)
    return model


def text(words: Any, **settings: Any) -> dict[str, Any]:
    """The fields of a small text config."""
    return {**TEXT, "vocab_size": len(words), **ends(words), **settings}


def clip_tower() -> Any:
    return hf.CLIPVisionConfig(**VISION, image_size=28, patch_size=14, projection_dim=32)


def siglip_tower(**settings: Any) -> Any:
    return hf.SiglipVisionConfig(**{**VISION, "image_size": 28, "patch_size": 14, "vision_use_head": False, **settings})
