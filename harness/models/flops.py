"""Estimated floating-point operations: two for each weight that a token is multiplied by, twice as many backwards.

Kaplan et al. 2020 (arXiv 2001.08361, section 2.1): 2 N a token forwards and 4 N backwards, where N are the weights
without embeddings and the head, which they are tied to there. Left out, as there, is what attention takes beside its
weights. All experts of a mixture count. The language model and the picture encoder have an N each: a picture's tokens
are read by both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from harness.models.adapters import without_adapter

ESTIMATED_FLOPS = "estimated_flops"
"""What the cost is called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """How many weights a token is multiplied by in the language model (`text`), and a picture's token in the picture
    encoder (`picture`; an encoder that merges several places into one token reads them all); and how many of either
    are trained."""

    text: int
    picture: int = 0
    trained_text: int = 0
    trained_picture: int = 0

    def flops(self, tokens: int, pictures: int = 0, *, backwards: bool = False) -> int:
        """Of a pass over so many tokens, of which so many are pictures'. Backwards, a weight takes two operations for
        what lies before it, and two more where it is trained itself; nothing goes back into an encoder that is not."""
        passed = 2 * (self.text * tokens + self.picture * pictures)
        if not backwards:
            return passed
        into_pictures = 2 * (self.picture + self.trained_picture) if self.trained_picture else 0
        return passed + 2 * (self.text + self.trained_text) * tokens + into_pictures * pictures


def weights_of(model: Any) -> Weights:
    """The weights of a vision-language model of transformers, with adapters or without."""
    inner = without_adapter(model)
    encoder = inner.get_encoder(modality="image")
    pictures = [] if encoder in (inner, inner.base_model) else list(encoder.parameters())
    ends = [module for module in (inner.get_input_embeddings(), inner.get_output_embeddings()) if module is not None]
    apart = {id(weights) for weights in (*pictures, *(weights for end in ends for weights in end.parameters()))}
    text = [weights for weights in inner.parameters() if id(weights) not in apart]
    places = int(getattr(getattr(inner.config, "vision_config", None), "spatial_merge_size", None) or 1) ** 2
    return Weights(
        text=sum(map(_count, text)),
        picture=places * sum(map(_count, pictures)),
        trained_text=sum(_count(weights) for weights in text if weights.requires_grad),
        trained_picture=places * sum(_count(weights) for weights in pictures if weights.requires_grad),
    )


class LayerFlops:
    """Counts, for a model of any kind, while it runs: for each of its layers with a matrix of weights two operations a
    weight and place that it writes."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.flops = 0
        for layer in model.modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.modules.conv._ConvNd | torch.nn.MultiheadAttention):
                layer.register_forward_hook(self._count_layer)

    def _count_layer(self, layer: torch.nn.Module, inputs: Any, output: Any) -> None:
        written: torch.Tensor = output[0] if isinstance(output, tuple) else output
        weights = sum(each.numel() for each in layer.parameters() if each.dim() > 1)
        width = written.shape[1 if isinstance(layer, torch.nn.modules.conv._ConvNd) else -1]
        self.flops += 2 * weights * written.numel() // width


def _count(weights: torch.nn.Parameter) -> int:
    """4-bit weights lie two in a byte."""
    return weights.numel() * (2 if type(weights).__name__ == "Params4bit" else 1)
