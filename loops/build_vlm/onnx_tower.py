"""A DINOv2 tower out of an ONNX file that a model with such a backbone was exported to.

An exporter keeps the names of biases and norms and loses those of matrices: a matrix is known by the bias that is added
behind its product. Position embeddings are known by their shape and use. Only numbers are read; nothing of the file
runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from harness.errors import ModelError
from harness.models.loading import model_errors

PREFIX = "backbone."
"""What the backbone's weights are called by within the exported model."""

HEAD_WIDTH = 64
"""Width of an attention head in all of DINOv2's sizes (Oquab et al. 2023, arXiv 2304.07193, table 16)."""

SIDE = 224
"""Pixels of a picture's sides: 256 patches."""

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""ImageNet's, by which DINOv2's pictures are normalised."""


def write_dinov2(onnx_file: Path, folder: Path) -> None:
    """Write the `Dinov2Model` of an ONNX file as transformers' folder, with weights named as the hub's own.

    Raises `ModelError` where the file holds no whole one, naming what lacks.
    """
    import onnx
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    with model_errors(f"{onnx_file}: does not load as ONNX; restore it from where it came from"):
        graph = onnx.load(onnx_file).graph
    weights = _named(graph)
    try:
        patches = weights["embeddings.patch_embeddings.projection.weight"]
        positions = weights["embeddings.position_embeddings"]
        inner = weights["encoder.layer.0.mlp.fc1.bias"].numel()
    except KeyError as error:
        raise ModelError(f"{onnx_file}: holds no DINOv2 backbone, {error} is not in it; name another file") from error
    width, _, patch, _ = patches.shape
    config = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")),
        num_attention_heads=width // HEAD_WIDTH,
        mlp_ratio=inner // width,
        patch_size=patch,
        image_size=patch * round((positions.shape[1] - 1) ** 0.5),
        architectures=["Dinov2Model"],
    )
    weights["embeddings.mask_token"] = torch.zeros(1, width)  # of the pretraining alone
    config.save_pretrained(folder)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with model_errors(f"{onnx_file}: holds no DINOv2 backbone; name another file"):
        _, report = Dinov2Model.from_pretrained(folder, output_loading_info=True)
    if lacking := sorted([*report["missing_keys"], *report["unexpected_keys"]]):
        raise ModelError(f"{onnx_file}: its DINOv2 backbone is not whole: {lacking[0]} does not fit; name another file")
    BitImageProcessor(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, image_mean=MEAN, image_std=STD
    ).save_pretrained(folder)


def _named(graph: Any) -> dict[str, torch.Tensor]:
    """The backbone's weights by the names that they have on the hub."""
    from onnx import numpy_helper

    stored = {entry.name: np.array(numpy_helper.to_array(entry)) for entry in graph.initializer}
    named = {
        name.removeprefix(PREFIX): array for name, array in stored.items() if name.startswith(PREFIX)
    }  # biases, norms, scales, the class token, the patches' convolution
    added = {operand: node for node in graph.node if node.op_type == "Add" for operand in node.input}
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in stored or node.output[0] not in added:
            continue
        bias = next((name for name in added[node.output[0]].input if name in stored), "")
        if bias.startswith(PREFIX):
            named[bias.removeprefix(PREFIX).removesuffix("bias") + "weight"] = stored[node.input[1]].T
    width = named["embeddings.cls_token"].shape[-1] if "embeddings.cls_token" in named else 0
    loose = [array for name, array in stored.items() if not name.startswith(PREFIX) and array.ndim == 3]
    places = sorted((array for array in loose if array.shape[::2] == (1, width)), key=lambda array: array.shape[1])
    if len(places) == 2 and places[0].shape[1] == 1:  # the class token's place and the patches'
        named["embeddings.position_embeddings"] = np.concatenate(places, axis=1)
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in named.items()}
