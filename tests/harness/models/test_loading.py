"""A model is loaded whole or not at all: what its loader reports is an error, wherever a model is loaded."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from harness.errors import ModelError
from harness.models.load import load_vlm
from harness.models.loading import model_class
from harness.types import Sampling
from loops.optimise.dpo import Dpo
from loops.optimise.training import optimise
from tasks.pictos.benchmarks import caption_samples
from tests.support.tiny import save_adapter
from tests.support.variants import Weights, complaint_of, variant

EMBEDDINGS, NORM = "language_model.model.embed_tokens.weight", "language_model.model.layers.1.input_layernorm.weight"


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


def _without(*parts: str) -> object:
    return lambda weights: {name: value for name, value in weights.items() if not any(piece in name for piece in parts)}


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
        "47 weights in its files are not of the model, such as "
        "base_model.model.language_model.model.embed_tokens.weight "
        "(saved within a wrapper: all begin with base_model.model.)",
    ),
    "wrapped by DDP": (
        _prefixed("module."),
        "47 weights in its files are not of the model, such as module.language_model.model.embed_tokens.weight (saved "
        "within a wrapper: all begin with module.)",
    ),
    "one misnamed": (
        lambda weights: {
            name.replace("model.layers.0.self_attn.q_proj", "model.layers.0.attention.q"): v
            for name, v in weights.items()
        },
        "1 weight of the model is not in its files, such as model.language_model.layers.0.self_attn.q_proj.weight; "
        "1 weight in its files is not of the model, such as ",
    ),
    "a layer more": (
        lambda weights: {**weights, NORM.replace("layers.1", "layers.2"): weights[NORM] + 1},
        "1 weight in its files is not of the model, such as ",
    ),
    "no embeddings": (
        _without("embed_tokens"),
        "1 weight of the model is not in its files, such as model.language_model.embed_tokens.weight",
    ),
    "no vision tower": (_without("vision_tower"), "23 weights of the model are not in its files"),
    "embeddings resized": (
        lambda weights: {**weights, EMBEDDINGS: torch.cat([weights[EMBEDDINGS], weights[EMBEDDINGS][:3]])},
        "1 weight has another shape than config.json says, such as model.language_model.embed_tokens.weight: "
        "(1036, 32) in the file, (1033, 32) by the config",
    ),
}


@pytest.mark.reported("loading")
@pytest.mark.parametrize(("change", "complaint"), GAPS.values(), ids=GAPS)
def test_weights_that_are_not_the_models_are_counted_and_the_first_is_named(
    base: Path, tmp_path: Path, change: object, complaint: str
) -> None:
    messages = complaint_of(variant(base, tmp_path / "m", weights=change))
    assert messages.startswith("m: does not load, weights and config.json do not belong together: ")
    assert complaint in messages
    assert messages.endswith("; restore them from where the model came from, or save it whole again")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("Florence2Config", "of type 'florence2' are encoder-decoders, whose prompts are not gone on with"),
        ("Blip2Config", "of type 'blip-2' keep no cache (past_key_values) that answers could go on from"),
        ("BertConfig", "of type 'bert' do not answer about pictures; name one that does"),
    ],
)
def test_a_model_of_another_make_is_refused_with_the_reason(config: str, reason: str) -> None:
    with pytest.raises(ModelError) as caught:
        model_class(getattr(transformers, config)(), "m: does not load")
    assert str(caught.value) == f"m: does not load: models {reason}"


def _sharded(base: Path, folder: Path) -> Path:
    AutoModelForImageTextToText.from_pretrained(base).save_pretrained(folder, max_shard_size="100KB")
    for file in base.iterdir():
        if file.suffix != ".safetensors":
            shutil.copy(file, folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


def _asked(folder: Path) -> list[list[str]]:
    return load_vlm("m", path=folder, device="cpu").generate(caption_samples("dev", 3), Sampling(max_tokens=6))


@pytest.mark.reported("loading")
def test_a_shard_that_is_not_there_is_named(base: Path, tmp_path: Path) -> None:
    whole = _sharded(base, tmp_path / "m")
    assert _asked(whole) == _asked(base)
    sorted(whole.glob("*.safetensors"))[1].unlink()
    assert "model-00002-of-" in complaint_of(whole)


@pytest.mark.reported("loading")
def test_a_whole_file_beside_shards_of_another_save_is_refused(base: Path, tmp_path: Path) -> None:
    folder = _sharded(base, tmp_path / "m")
    shutil.copy(base / "model.safetensors", folder)
    assert complaint_of(folder) == (
        "m: holds model.safetensors and model.safetensors.index.json of other files; remove whichever is not the model"
    )


@pytest.mark.reported("loading")
def test_an_index_that_names_no_such_file_or_weight_is_refused(base: Path, tmp_path: Path) -> None:
    folder = _sharded(base, tmp_path / "m")
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-00001-of", "model-99999-of"))
    assert "model-99999-of-" in complaint_of(folder)
    shard = sorted(folder.glob("*.safetensors"))[1]
    index.write_text(index.read_text().replace("model-99999-of", "model-00001-of"))
    weights = load_file(shard)
    weights.pop(sorted(weights)[0])
    save_file(weights, shard, metadata={"format": "pt"})
    assert "1 weight of the model is not in its files" in complaint_of(folder)


@pytest.mark.reported("loading")
@pytest.mark.parametrize(
    "config",
    [
        {
            "text_config": ...
        },  # a Llama of 7 thousand million by default: memory was taken for it, and the process killed
        {"text_config": {"num_hidden_layers": 4000}},
        {"text_config": {"vocab_size": 9_000_000}},
        {"vision_config": {"intermediate_size": 9_000_000}},
    ],
    ids=["no text_config", "layers", "words", "vision"],
)
def test_a_config_of_more_weights_than_the_files_can_hold_takes_no_memory(
    base: Path, tmp_path: Path, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = variant(base, tmp_path / "m", json_files={"config.json": config})
    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", lambda *_, **__: pytest.fail("memory taken"))
    assert "weights by the config, which is more than" in complaint_of(folder)


@pytest.mark.reported("loading")
@pytest.mark.parametrize("layers", [1, 3])
def test_a_config_with_other_layers_than_the_weights_have_is_refused(base: Path, tmp_path: Path, layers: int) -> None:
    folder = variant(base, tmp_path / "m", json_files={"config.json": {"text_config": {"num_hidden_layers": layers}}})
    complaint = {1: "9 weights in its files are not of the model", 3: "9 weights of the model are not in its files"}
    assert f"{complaint[layers]}, such as " in complaint_of(folder)


@pytest.mark.reported("loading")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda weights: {f"model.{name}": value for name, value in weights.items()}, id="model. before all"
        ),
        pytest.param(
            lambda weights: {
                **weights,
                "vision_tower.vision_model.embeddings.position_ids": torch.arange(65)[None],
                "language_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
            },
            id="buffers of old versions",
        ),
        pytest.param(
            lambda weights: {**weights, "language_model.lm_head.weight": weights[EMBEDDINGS].clone()},
            id="a tied head stored as well",
        ),
        pytest.param(
            lambda weights: {
                name.replace("vision_tower.", "vision_tower.vision_model."): value for name, value in weights.items()
            },
            id="the vision tower by its older name",
        ),
    ],
)
def test_a_whole_model_by_older_names_is_whole(base: Path, tmp_path: Path, change: object) -> None:
    assert _asked(variant(base, tmp_path / "m", weights=change)) == _asked(base)


def _broken(number: float, text: str) -> object:
    def change(weights: Weights) -> Weights:
        return {name: torch.full_like(value, number) if text in name else value for name, value in weights.items()}

    return change


@pytest.mark.reported("loading")
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("text", ["", "projector.linear_2.bias", "layers.1.mlp.down_proj", "model.norm"])
def test_a_model_that_computes_no_numbers_is_an_error_and_not_a_figure(
    base: Path, tmp_path: Path, number: float, text: str
) -> None:
    folder = variant(base, tmp_path / "m", weights=_broken(number, text))
    assert complaint_of(folder) == (
        "m: its logits are not finite (NaN or infinite), so it says nothing; its weights are broken or overflow in "
        "this "
        "precision"
    )


@pytest.mark.reported("loading")
def test_numbers_that_break_only_later_are_an_error_when_they_do(base: Path, tmp_path: Path) -> None:
    """One word's embedding is not a number: a question that holds it cannot be asked, others can."""
    cat = json.loads((base / "tokenizer.json").read_text())["model"]["vocab"]["▁cat"]

    def change(weights: Weights) -> Weights:
        return {
            **weights,
            "lm_head.weight": weights[EMBEDDINGS].clone(),
            EMBEDDINGS: weights[EMBEDDINGS].index_fill(0, torch.tensor([cat]), float("nan")),
        }

    folder = variant(base, tmp_path / "m", weights=change)
    model, (sample,) = load_vlm("m", path=folder, device="cpu"), caption_samples("dev", 1)
    assert model.generate([sample], Sampling(max_tokens=1))
    with pytest.raises(ModelError, match="its logits are not finite"):
        model.log_likelihood([sample], ["A cat. A cat."])


@pytest.mark.reported("loading")
def test_an_adapter_in_a_models_place_or_in_its_folder_is_refused(base: Path, tmp_path: Path) -> None:
    """transformers would load another base, or put it in and report on its weights alone."""
    adapter = save_adapter(base, tmp_path / "adapter")
    assert complaint_of(adapter) == "m: is an adapter and no model; name its base model by --model and it by --adapter"
    both = variant(base, tmp_path / "both")
    for file in adapter.glob("adapter_*"):
        shutil.copy(file, both)
    assert complaint_of(both).startswith("m: holds an adapter beside the model; move adapter_config.json")


@pytest.mark.reported("loading")
@pytest.mark.parametrize("which", ["start", "reference"])
@pytest.mark.parametrize("text", ["projector", "layers.1.input_layernorm"])
def test_training_starts_from_whole_checkpoints_only(base: Path, tmp_path: Path, which: str, text: str) -> None:
    holes = variant(base, tmp_path / "holes", weights=_without(text))
    folders = {"start": base, "reference": base, which: holes}
    with pytest.raises(ModelError, match=r"holes: does not load, .* of the model (is|are) not in its files, such as "):
        optimise([], Dpo(), **folders, out=tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.reported("loading")
def test_what_padding_computes_is_no_fault_of_the_model(base: Path) -> None:
    """Without a picture there is no prefix, and nothing that the padding of the shorter rows could attend to."""
    model, (sample,) = load_vlm("m", path=base, device="cpu"), caption_samples("dev", 1)
    samples = [dataclasses.replace(sample, id=text, prompt=text, images=()) for text in ("A", "A cat. " * 9)]
    answers = ["A cat. Two dogs. A cup.", "A"]
    together = model.log_likelihood(samples, answers)
    apart = [model.log_likelihood([sample], [answer])[0] for sample, answer in zip(samples, answers, strict=True)]
    assert [value for value, _ in together] == pytest.approx([value for value, _ in apart], abs=1e-3)
    assert model.generate(samples, Sampling(max_tokens=4)) == [
        model.generate([sample], Sampling(max_tokens=4))[0] for sample in samples
    ]
