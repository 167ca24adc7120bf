"""What a frozen vision tower makes of photographs: computed once, kept, and gone on with where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from harness.files import digest_of_file
from harness.models.frames import Frame
from harness.pictures import open_picture
from loops.build_vlm.kept import kept_tensor

TOGETHER = 16
"""Photographs that the tower sees at once."""


@torch.inference_mode()
def tower_features(
    model: Any,
    processor: Any,
    frame: Frame,
    pictures: Sequence[Path],
    *,
    kept: Path,
    tower: str,
    device: str,
    advance: Callable[[int], None],
) -> torch.Tensor:
    """The hidden states that the projector of a LLaVA model is given, (pictures, patches, d), in half precision.

    `kept` is the folder where they lie; `tower` a digest of the tower's weights. They are computed again for other
    pictures, another tower or other picture settings.
    """
    config, settings = model.config, str(processor.image_processor.to_dict())

    def seen(chunk: Sequence[Path]) -> torch.Tensor:
        parts = []
        for start in range(0, len(chunk), TOGETHER):
            shown = [frame.show(open_picture(picture)) for picture in chunk[start : start + TOGETHER]]
            pixels = processor.image_processor(shown, return_tensors="pt")["pixel_values"].to(device)
            states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
            states = states[config.vision_feature_layer]
            parts.append(states[:, 1:] if config.vision_feature_select_strategy == "default" else states)
        return torch.cat(parts).half()

    def identity(chunk: Sequence[Path]) -> list[str]:
        return [tower, settings, frame.pictures, str(config.vision_feature_layer), *map(digest_of_file, chunk)]

    return kept_tensor(pictures, seen, identity, kept=kept, advance=advance)
