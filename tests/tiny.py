"""A random VLM of the embedded world's kind, a few thousand weights large, whose greedy answers differ by picture."""

from __future__ import annotations

from pathlib import Path

import torch

from tasks.pictos.training.build import Size, processor, vlm

TINY = Size(vision_width=32, vision_depth=1, text_width=32, text_depth=2, heads=2)


def save_tiny(folder: Path, *, size: Size = TINY, seed: int = 0) -> Path:
    """Save the model of a seed as a checkpoint: weights, configuration, processor."""
    made = processor()
    model = vlm(size, made.tokenizer, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        # As initialised, a tied model says its last token again for ever and looks at no picture: layers that
        # outweigh what they add to, and loud pictures, make it talk.
        for name, weights in model.named_parameters():
            if "language_model.layers" in name and weights.ndim == 2:
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.4)
        for weights in model.model.multi_modal_projector.parameters():
            weights.mul_(20)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder
