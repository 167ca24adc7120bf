"""What of a model is trained, in which precision, and what it is compared with."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForImageTextToText

from harness.errors import RecipeError
from harness.models.weights import parameters_in
from loops.optimise.dpo import Dpo
from loops.optimise.parts import frozen_weights, prepare, switched_off
from loops.recipe import load_recipe
from strop.running import setting
from tasks.data.root import DataRoot
from tests.support.recipes import JUDGE_FREE

SMALL, LARGE = 2_600_000, 7_000_000_000


@pytest.mark.parametrize(
    ("fields", "weights", "settled"),
    [
        ({}, SMALL, ("all", "float32")),
        ({}, LARGE, ("lora", "bfloat16")),
        ({}, 1_000_000_000, ("lora", "bfloat16")),
        ({"weights": "lora"}, SMALL, ("lora", "float32")),
        ({"weights": "all"}, LARGE, ("all", "float32")),
        ({"weights": "all", "dtype": "bfloat16"}, LARGE, ("all", "bfloat16")),
        ({"dtype": "float32"}, LARGE, ("lora", "float32")),
        ({"quantise": "nf4"}, SMALL, ("lora", "float32")),
    ],
)
def test_a_large_model_gets_adapters_on_16_bit_weights_unless_the_recipe_says_otherwise(
    fields: dict[str, Any], weights: int, settled: tuple[str, str]
) -> None:
    recipe = Dpo(**fields).settled(weights)
    assert (recipe.weights, recipe.dtype) == settled
    assert recipe.settled(weights) == recipe


def test_four_bit_weights_are_not_trained_themselves() -> None:
    with pytest.raises(ValueError, match="4-bit weights cannot be trained themselves; take weights: lora"):
        Dpo(weights="all", quantise="nf4")


def test_a_stage_is_known_by_what_auto_comes_to() -> None:
    assert Dpo().parts_input(SMALL) == Dpo(weights="all").parts_input(LARGE) == {}
    assert Dpo().parts_input(LARGE) == {"weights": "lora", "dtype": "bfloat16"}


@pytest.mark.parametrize(
    ("changes", "inputs"),
    [
        ([], {}),
        (["optimise.weights=all", "optimise.dtype=float32"], {}),
        (["optimise.weights=lora"], {"weights": "lora"}),
        (["optimise.dtype=bfloat16"], {"dtype": "bfloat16"}),
    ],
)
def test_a_setting_that_auto_comes_to_is_the_same_stage(changes: list[str], inputs: dict[str, str]) -> None:
    recipe = load_recipe(JUDGE_FREE, changes)
    study = recipe.study(setting(DataRoot()))
    weights = parameters_in(study.seed_folder)
    assert 2_000_000 < weights < 4_000_000
    assert recipe.optimise.parts_input(weights) == inputs  # type: ignore[attr-defined]
    assert "weights" not in recipe.optimise.as_input("weights", "dtype")


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("LlavaConfig", {"model.vision_tower"}),
        ("Qwen2VLConfig", {"model.visual"}),
        ("Qwen2_5_VLConfig", {"model.visual"}),
        ("Qwen3VLConfig", {"model.visual"}),
        ("Idefics3Config", {"model.vision_model"}),
        ("LightOnOcrConfig", {"model.vision_encoder"}),
        ("Gemma3Config", {"model.vision_tower"}),
        ("MllamaConfig", {"model.vision_model"}),
    ],
)
def test_the_picture_encoder_is_frozen_whatever_a_model_calls_it(kind: str, parts: set[str]) -> None:
    model = _described(getattr(transformers, kind)())
    names = {name for name, _ in model.named_parameters()}
    frozen = frozen_weights(model, Dpo().freeze)
    assert {".".join(name.split(".")[:2]) for name in frozen} == parts
    assert frozen == {name for name in names if name.startswith(tuple(f"{part}." for part in parts))}


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_nothing_of_another_familys_picture_encoder_is_trained(weights: str) -> None:
    model = _described(_shallow(transformers.Qwen2_5_VLConfig()))
    recipe = Dpo(weights=weights, lora={"exclude_modules": ["down_proj"]} if weights == "lora" else {})
    prepared = prepare(model, recipe, seed=0)
    trained = [name for name, values in prepared.named_parameters() if values.requires_grad]
    assert [name for name in trained if "visual" in name] == []
    assert any("language_model.layers.1.self_attn.q_proj" in name for name in trained)
    assert any("down_proj" in name for name in trained) == (weights == "all")


def test_a_model_without_a_picture_encoder_of_its_own_is_refused_with_the_remedy() -> None:
    model = _described(transformers.Gemma4UnifiedConfig())
    with pytest.raises(RecipeError) as caught:
        frozen_weights(model, Dpo().freeze)
    assert str(caught.value) == (
        "optimise.freeze vision_tower: this model has no picture encoder of its own; leave it out (optimise.freeze=[]),"
        " or name weights; it has model.language_model"
    )
    assert frozen_weights(model, ("embed_tokens",))


@pytest.mark.parametrize("weights", ["all", "lora"])
def test_a_fragment_that_names_nothing_is_refused(weights: str) -> None:
    model = _described(_shallow(transformers.Qwen2_5_VLConfig()))
    with pytest.raises(RecipeError, match=r"^optimise\.freeze vision_towr: no weights of this model are called so; it"):
        prepare(model, Dpo(weights=weights, freeze=("vision_towr",)), seed=0)


def test_making_adapters_tells_nobody_of_the_libraries_own_affairs() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        prepare(_described(_shallow(transformers.Qwen2_5_VLConfig())), Dpo(weights="lora"), seed=0)
    assert [str(warning.message) for warning in told] == []


def test_a_models_own_kind_of_linear_layer_gets_no_adapter() -> None:
    """Llama 4's router returns two tensors: peft could add to neither."""
    text = {"num_hidden_layers": 2, "num_local_experts": 2, "intermediate_size": 64, "intermediate_size_mlp": 64,
            "hidden_size": 64, "vocab_size": 300}  # fmt: skip
    model = _described(transformers.Llama4Config(text_config=text, vision_config={"num_hidden_layers": 1}))
    prepared = prepare(model, Dpo(weights="lora"), seed=0)
    adapted = [name for name, _ in prepared.named_parameters() if "lora_A" in name]
    assert adapted
    assert not any("router" in name for name in adapted)


@pytest.mark.parametrize(
    ("lora", "off"),
    [
        ({}, True),
        ({"use_dora": True}, True),
        ({"init_lora_weights": False}, True),
        ({"modules_to_save": ["multi_modal_projector"]}, True),
        ({"trainable_token_indices": [3]}, True),
        ({"init_lora_weights": "pissa"}, False),
        ({"bias": "all"}, False),
    ],
    ids=str,
)
def test_a_model_is_its_own_reference_unless_its_weights_are_changed_too(
    tiny: Path, lora: dict[str, Any], off: bool
) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype=torch.float32)
    recipe = Dpo(weights="lora", lora={"r": 2, **lora})
    assert switched_off(prepare(model, recipe, seed=0), recipe) == off


def _described(config: Any) -> Any:
    """The model of a configuration, without memory for its weights."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def _shallow(config: Any) -> Any:
    config.text_config.num_hidden_layers, config.vision_config.depth = 2, 2
    return config
