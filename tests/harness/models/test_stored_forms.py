"""The forms in which the hub stores a model: old names, half precision, copies in another layout, quantised weights.
Each loads and answers as the model does, or is refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from harness.models.load import load_vlm
from harness.models.weights import model_digest
from harness.types import Sampling
from tasks.pictos.benchmarks import caption_samples
from tests.support.tiny import save_adapter
from tests.support.variants import Weights, complaint_of, variant

SHORT = Sampling(max_tokens=6)

BLOCK = 16
"""The side of the blocks that have a scale each."""

FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK],
       "modules_to_not_convert": ["vision_tower", "multi_modal_projector", "lm_head"]}  # fmt: skip


def _asked(folder: Path) -> list[list[str]]:
    return load_vlm("m", path=folder, device="cpu").generate(caption_samples("dev", 3), SHORT)


def _newer_names(weights: Weights) -> Weights:
    """As transformers 4.52 and later name LLaVA's parts."""
    names = {
        name: name.replace("language_model.model.", "model.language_model.") if name.startswith("language_model.model.")
        else name.removeprefix("language_model.") if name.startswith("language_model.lm_head")
        else f"model.{name}"
        for name in weights
    }  # fmt: skip
    return {names[name]: value for name, value in weights.items()}


def test_a_llava_by_its_names_before_and_after_transformers_4_52_is_one_model(tiny: Path, tmp_path: Path) -> None:
    assert "language_model.model.norm.weight" in load_file(tiny / "model.safetensors")
    newer = variant(tiny, tmp_path / "newer", weights=_newer_names)
    assert "model.language_model.norm.weight" in load_file(newer / "model.safetensors")
    assert _asked(newer) == _asked(tiny)


def test_an_adapter_by_those_older_names_is_the_adapter(tiny: Path, tmp_path: Path) -> None:
    """Most LoRAs of LLaVA on the hub have them."""

    def older(weights: Weights) -> Weights:
        return {
            name.replace(".model.language_model.", ".language_model.model.")
            .replace(".model.vision_tower.", ".vision_tower.vision_model."): value
            for name, value in weights.items()
        }  # fmt: skip

    adapter = save_adapter(tiny, tmp_path / "newer")
    asked = [load_vlm("m", path=tiny, adapter=each, device="cpu").generate(caption_samples("dev", 3), SHORT)
             for each in (adapter, variant(adapter, tmp_path / "older", weights=older))]  # fmt: skip
    assert (
        load_file(tmp_path / "newer/adapter_model.safetensors")
        .keys()
        .isdisjoint(load_file(tmp_path / "older/adapter_model.safetensors"))
    )
    assert asked[0] == asked[1] != _asked(tiny)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_model_in_half_precision_answers_as_it_does_in_full(tiny: Path, tmp_path: Path, dtype: str) -> None:
    kind = getattr(torch, dtype)
    folder = variant(
        tiny, tmp_path / "half", json_files={"config.json": {"dtype": dtype}},
        weights=lambda weights: {name: value.to(kind) for name, value in weights.items()},
    )  # fmt: skip
    full = variant(
        folder, tmp_path / "full", json_files={"config.json": {"dtype": "float32"}},
        weights=lambda weights: {name: value.float() for name, value in weights.items()},
    )  # fmt: skip
    assert _asked(folder) == _asked(full)


def test_mistrals_own_copy_of_the_weights_is_passed_over_and_is_no_model_alone(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(tiny, folder)
    AutoModelForImageTextToText.from_pretrained(tiny).save_pretrained(folder, max_shard_size="60KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    digest, answers = model_digest(folder), _asked(folder)
    save_file({"layers.0.wq.weight": torch.ones(2, 2)}, folder / "consolidated.safetensors")
    (folder / "params.json").write_text("{}")
    assert (model_digest(folder), _asked(folder)) == (digest, answers)
    for file in folder.glob("model*"):
        file.unlink()
    assert complaint_of(folder) == (
        "m: weights in Mistral's own layout only (consolidated.safetensors); take the model in the layout of "
        "transformers"
    )


def _blocks(weights: Weights) -> Weights:
    """The language model's matrices as float8, with a scale for each block, as DeepSeek and Qwen store them."""
    stored = {}
    for name, value in weights.items():
        if "language_model.model.layers" not in name or value.ndim != 2:
            stored[name] = value
            continue
        peaks = torch.nn.functional.max_pool2d(value.abs()[None], BLOCK, ceil_mode=True)[0]
        scales = peaks / torch.finfo(torch.float8_e4m3fn).max
        stored[name] = (value / _spread(scales, value)).to(torch.float8_e4m3fn)
        stored[name.replace(".weight", ".weight_scale_inv")] = scales
    return stored


def _spread(scales: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    spread = scales.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    return spread[: value.shape[0], : value.shape[1]]


def _unblocked(weights: Weights) -> Weights:
    blocks = _blocks(weights)
    scales = {name.replace("_scale_inv", ""): value for name, value in blocks.items() if name.endswith("_scale_inv")}
    return {
        name: value.float() * _spread(scales[name], value) if name in scales else value
        for name, value in blocks.items()
        if not name.endswith("_scale_inv")
    }


def test_a_model_in_float8_answers_as_its_weights_scaled_back(tiny: Path, tmp_path: Path) -> None:
    quantised = variant(tiny, tmp_path / "q", weights=_blocks, json_files={"config.json": {"quantization_config": FP8}})
    vlm = load_vlm("m", path=quantised, device="cpu")
    vlm.model.save_pretrained(tmp_path / "saved")
    vlm.processor.save_pretrained(tmp_path / "saved")
    answers = _asked(quantised)
    assert answers == _asked(tmp_path / "saved")
    assert answers == _asked(variant(tiny, tmp_path / "back", weights=_unblocked))
    assert "14 weights in its files are not of the model" in complaint_of(
        variant(quantised, tmp_path / "scales", json_files={"config.json": {"quantization_config": ...}})
    )


def _whole(weights: Weights) -> Weights:
    return {name: value.to(torch.int8) if "layers.0.mlp" in name else value for name, value in weights.items()}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (..., "its weights are whole numbers, such as language_model.model.layers.0.mlp.down_proj.weight (I8), and "),
        (
            {"quant_method": "novel"},
            "its weights are quantised by the method 'novel', and config.json names no quantiz",
        ),
        ({"quant_method": "gptq", "bits": 4}, "does not load as an image-text-to-text model; restore its files from "),
        ({"quant_method": "awq", "bits": 4}, "does not load as an image-text-to-text model; restore its files from "),
    ],
    ids=["nothing", "novel", "gptq", "awq"],
)
def test_weights_that_nobody_here_scales_back_are_refused(tiny: Path, tmp_path: Path, settings: Any, text: str) -> None:
    folder = variant(
        tiny, tmp_path / "m", weights=_whole, json_files={"config.json": {"quantization_config": settings}}
    )
    assert complaint_of(folder).startswith(f"m: {text}")
