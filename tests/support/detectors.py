"""A tiny object detector with random weights, in transformers' folder."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as hf


def save_detector(folder: Path) -> Path:
    """YOLOS of two classes and five boxes a picture."""
    torch.manual_seed(3)
    config = hf.YolosConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=[32, 32],
        patch_size=16, num_detection_tokens=5, id2label={0: "cat", 1: "Hot dog", 2: "N/A"},
        label2id={"cat": 0, "Hot dog": 1, "N/A": 2},
    )  # fmt: skip
    hf.YolosForObjectDetection(config).save_pretrained(folder)
    hf.YolosImageProcessor(size={"shortest_edge": 32, "longest_edge": 64}).save_pretrained(folder)
    return folder
