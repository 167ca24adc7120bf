"""Whether a training went well: what of a model is no number, and what of it the training changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.errors import RecipeError
from harness.files import digest_of_bytes
from harness.wording import counted

REMEDY = "lower optimise.trl.learning_rate, or clip gradients by optimise.trl.max_grad_norm"


def gradient_norm(model: torch.nn.Module) -> float:
    """The Euclidean norm of all gradients together, before any clipping; infinite where it leaves the range."""
    norms = [torch.linalg.vector_norm(weights.grad) for weights in model.parameters() if weights.grad is not None]
    return float(torch.linalg.vector_norm(torch.stack([norm.float() for norm in norms]))) if norms else 0.0


def numberless(model: torch.nn.Module) -> list[str]:
    """The names of weights and buffers that hold NaN or infinity. An infinity in a buffer may be a mask's: NaN counts
    there alone."""
    weights = [name for name, values in model.named_parameters() if not torch.isfinite(values).all()]
    return weights + [name for name, values in model.named_buffers() if torch.isnan(values).any()]


def refuse_numberless(model: torch.nn.Module, when: str, remedy: str) -> None:
    """Raise `RecipeError` where weights of the model are no numbers."""
    if names := numberless(model):
        total = sum(1 for _ in model.parameters())
        raise RecipeError(
            f"{when}: {counted(len(names), 'tensor')} of {total} hold NaN or infinity, such as {names[0]}; {remedy}"
        )


def digests_of_trained(model: torch.nn.Module) -> Mapping[str, str]:
    """Each trained tensor's digest, by its name: before and after a training they tell what moved."""
    return {name: _digest(weights) for name, weights in model.named_parameters() if weights.requires_grad}


def _digest(weights: Any) -> str:
    return digest_of_bytes(weights.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
