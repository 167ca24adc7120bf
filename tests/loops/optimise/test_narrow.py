"""A step of training is tried on a narrow model of the same kind, or it is said that none was."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForImageTextToText

from harness.types import Sample
from loops.optimise import trial
from loops.optimise.dpo import Dpo
from loops.optimise.narrow import narrowed
from loops.optimise.training import take_a_step
from loops.optimise.trial import LARGEST, try_training
from tests.support.families import FAMILIES


@pytest.mark.parametrize(
    "kind",
    ["Gemma3Config", "Glm4vConfig", "Idefics3Config", "InternVLConfig", "LlavaConfig", "Mistral3Config", "MllamaConfig",
     "Molmo2Config", "PaliGemmaConfig", "Qwen2_5_VLConfig", "Qwen3VLConfig", "SmolVLMConfig"],
)  # fmt: skip
def test_a_model_of_thousands_of_millions_of_weights_becomes_a_small_one_as_deep(kind: str) -> None:
    config = getattr(transformers, kind)()
    with torch.device("meta"):
        whole, small = (
            AutoModelForImageTextToText.from_config(copy.deepcopy(each)) for each in (config, narrowed(config))
        )
    assert whole.num_parameters() > 2_000_000_000
    assert small.num_parameters() < LARGEST / 3
    assert {name for name, _ in small.named_modules()} == {name for name, _ in whole.named_modules()}


def test_the_places_of_a_head_stay_what_they_are() -> None:
    """A head's width is shared out among time, height and width."""
    config = transformers.Qwen3VLConfig()
    text, before = narrowed(config).text_config, config.text_config
    assert (text.head_dim, text.rope_parameters) == (before.head_dim, before.rope_parameters)
    assert (text.hidden_size, text.num_attention_heads, text.vocab_size) == (128, 1, before.vocab_size)


def _try(family: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **recipe: Any) -> str:
    member = FAMILIES[family]()
    sample = Sample(id="a", prompt="what is it", images=(lambda: member.pictures[1],), target=None, cluster="a")
    monkeypatch.setattr(trial, "SMALL", 1)
    return try_training(Dpo(**recipe), member.save(folder), sample, step=take_a_step)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "recipe"), [("qwen2_5_vl", {"weights": "lora"}), ("phi4_multimodal", {"freeze": ()}), ("paligemma", {})]
)
def test_a_narrow_model_takes_a_step(
    family: str, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _try(family, tmp_path, monkeypatch, **recipe).startswith("a step of training, ")


@pytest.mark.slow
def test_it_is_said_where_a_narrow_model_takes_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = _try("mllama", tmp_path, monkeypatch)
    assert line.startswith("its names and settings alone, ")
    assert ": a step fails once this model is narrowed (" in line
