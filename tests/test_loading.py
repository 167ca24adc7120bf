"""A model is loaded whole or not at all: what its loader reports is an error, in evaluation and where training starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from harness.errors import ModelError
from harness.models.vlm import load_vlm
from harness.types import Sampling
from loops.optimise.dpo import optimise_dpo
from loops.recipe import Optimise
from tasks.pictos.benchmarks import caption_samples
from tests.tiny import save_tiny
from tests.variants import Weights, variant

EMBEDDINGS, NORM = "language_model.model.embed_tokens.weight", "language_model.model.layers.1.input_layernorm.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"), seed=1)


def _complaint(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_vlm("m", path=folder, device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _without(*parts: str) -> object:
    return lambda weights: {name: value for name, value in weights.items() if not any(part in name for part in parts)}


def _prefixed(prefix: str) -> object:
    return lambda weights: {prefix + name: value for name, value in weights.items()}


GAPS = {
    "no projector": (
        _without("projector"),
        "4 weights of the model are not in its files, such as model.multi_modal_projector.linear_1.bias",
    ),
    "one norm": (
        _without("layers.1.input_layernorm"),
        "1 weight of the model is not in its files, such as model.language_model.layers.1.input_layernorm.weight",
    ),
    "wrapped by peft": (
        _prefixed("base_model.model."),
        "36 weights in its files are not of the model, such as base_model.model.language_model.model.embed_tokens.weight "
        "(saved within a wrapper: all begin with base_model.model.)",
    ),
    "wrapped by DDP": (
        _prefixed("module."),
        "36 weights in its files are not of the model, such as module.language_model.model.embed_tokens.weight (saved "
        "within a wrapper: all begin with module.)",
    ),
    "one misnamed": (
        lambda weights: {name.replace("layers.0.self_attn.q_proj", "layers.0.self_attn.q"): v for name, v in weights.items()},
        "1 weight of the model is not in its files, such as model.language_model.layers.0.self_attn.q_proj.weight; "
        "1 weight in its files is not of the model, such as ",
    ),
    "a layer more": (
        lambda weights: {**weights, NORM.replace("layers.1", "layers.2"): weights[NORM]},
        "1 weight in its files is not of the model, such as ",
    ),
    "no embeddings": (_without("embed_tokens"), "1 weight of the model is not in its files, such as model.language_model.embed_tokens.weight"),
    "no vision tower": (_without("vision_tower"), "20 weights of the model are not in its files"),
    "embeddings resized": (
        lambda weights: {**weights, EMBEDDINGS: torch.cat([weights[EMBEDDINGS], weights[EMBEDDINGS][:3]])},
        "1 weight has another shape than config.json says, such as model.language_model.embed_tokens.weight: "
        "(1000, 32) in the file, (997, 32) by the config",
    ),
}  # fmt: skip


@pytest.mark.reported("loading")
@pytest.mark.parametrize(("change", "complaint"), GAPS.values(), ids=GAPS)
def test_weights_that_are_not_the_models_are_counted_and_the_first_is_named(
    base: Path, tmp_path: Path, change: object, complaint: str
) -> None:
    told = _complaint(variant(base, tmp_path / "m", weights=change))
    assert told.startswith("m: does not load, weights and config.json do not belong together: ")
    assert complaint in told
    assert told.endswith("; restore them from where the model came from, or save it whole again")
