"""A model folder that loads and cannot be asked is told in one line, with the remedy, before any data are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from harness.models.load import load_vlm
from harness.models.vlm import COSTS
from harness.types import Sampling
from tasks.pictos.benchmarks import caption_samples
from tests.support.shell import Strop
from tests.support.variants import Weights, complaint_of, variant

NO_MODEL = (
    "m: does not load as an image-text-to-text model; restore its files from where it came from, or install what it "
    "needs ("
)
TOWER = (
    "m: does not answer about a picture; patch_size, num_additional_image_tokens, vision_feature_select_strategy and "
    "the "
    "picture size of its processor must be those of the vision tower in config.json ("
)


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


def _processor(**fields: Any) -> dict[str, Any]:
    return {"json_files": {"processor_config.json": fields}}


def _tokenizer(**fields: Any) -> dict[str, Any]:
    return {"json_files": {"tokenizer_config.json": fields}}


def _fewer_rows(weights: Weights) -> Weights:
    return {name: values[:900] if "embed_tokens" in name else values for name, values in weights.items()}


Q_PROJ = "language_model.model.layers.0.self_attn.q_proj"

NO_PICTURE_TOKEN = {
    "json_files": {
        "tokenizer_config.json": {"image_token": ...},
        "processor_config.json": {"image_token": "<picture>"},
    }
}

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no chat template": (
        {"texts": {"chat_template.jinja": None}},
        "m: has no chat template, so no question can be written for it; put chat_template.jinja beside its weights",
    ),
    "no patch size": (
        _processor(patch_size=...),
        "m: its processor does not say patch_size, so nobody knows how many tokens a picture takes; set it in "
        "processor_config.json to 8",
    ),
    "no token for the class": (_processor(num_additional_image_tokens=0), TOWER),
    "another patch size": (_processor(patch_size=16), TOWER),
    "the other features": (_processor(vision_feature_select_strategy="full"), TOWER),
    "pictures of another size": (_processor(image_processor={"size": {"height": 96, "width": 96}}), TOWER),
    "pictures of no one size": (
        _processor(image_processor={"size": {"shortest_edge": 64, "height": ..., "width": ...}}),
        TOWER,
    ),
    "the other features in config.json": (
        {"json_files": {"config.json": {"vision_feature_select_strategy": "full"}}},
        TOWER,
    ),
    "a layer that is not there": ({"json_files": {"config.json": {"vision_feature_layer": -9}}}, TOWER),
    "a template that raises": (
        {"texts": {"chat_template.jinja": "{{ raise_exception('Only system messages are supported') }}"}},
        "m: its chat template cannot write a question; restore it from where the model came from (TemplateError: Only "
        "system messages are supported)",
    ),
    "a template that is none": (
        {"texts": {"chat_template.jinja": "{% for %}"}},
        "m: its chat template cannot write a question",
    ),
    "a template that adds text to a list": (
        {"texts": {"chat_template.jinja": "{{ 'USER: ' + messages[0]['content'] }}"}},
        "m: its chat template cannot write a question; restore it from where the model came from (TypeError: ",
    ),
    "a template without pictures": (
        {"texts": {"chat_template.jinja": "{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}"}},
        "the model's chat template writes 0 tokens '<image>' for 1 pictures; restore the template",
    ),
    "a picture's token of another number": (
        {"json_files": {"config.json": {"image_token_index": 5}}},
        "m: does not answer about a picture; patch_size, num_additional_image_tokens, vision_feature_select_strategy "
        "and the picture size of its processor must be those of the vision tower in config.json (the processor writes "
        "'<image>' for a picture, but by config.json pictures are token 5; the two belong to different models)",
    ),
    "no picture's token": (
        NO_PICTURE_TOKEN,
        "m: its tokenizer has no token '<picture>' for pictures; restore tokenizer.json and tokenizer_config.json",
    ),
    "more words than embeddings": (
        {"weights": _fewer_rows, "json_files": {"config.json": {"text_config": {"vocab_size": 900}}}},
        "m: its tokenizer has 133 tokens, such as '",
    ),
    "a tokenizer that is no JSON": (
        {"texts": {"tokenizer.json": "{"}},
        "m: its processor (tokenizer, picture settings, ",
    ),
    "a tokenizer that is none": (
        {"texts": {"tokenizer.json": "{}"}},
        "m: its processor (tokenizer, picture settings, ",
    ),
    "no tokenizer": (
        {"texts": {"tokenizer.json": None, "tokenizer_config.json": None}},
        "m: its processor (tokenizer, picture settings, chat template) does not load; restore its files from where",
    ),
    "no processor": ({"texts": {"processor_config.json": None}}, "m: "),
    "a config that is no JSON": ({"texts": {"config.json": "{"}}, NO_MODEL),
    "no config": ({"texts": {"config.json": None}}, NO_MODEL),
    "a config of no known type": (
        {"json_files": {"config.json": {"model_type": "nothing_yet"}}},
        NO_MODEL,
    ),
    "a config of another type": (
        {"json_files": {"config.json": {"model_type": "qwen2_vl"}}},
        "m: does not load, weights and config.json do not belong together: 46,611,872 weights by the config, which is "
        "more than ",
    ),
    "quantised for a library that is not here": (
        {
            "json_files": {
                "config.json": {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}
            }
        },
        NO_MODEL,
    ),
    "quantised by hand": (
        {
            "weights": lambda weights: {
                **weights,
                f"{Q_PROJ}.SCB": torch.ones(32),
                f"{Q_PROJ}.weight_format": torch.zeros(1),
            }
        },
        "2 weights in its files are not of the model, such as model.language_model.layers.0.self_attn.q_proj",
    ),
    "code of its own": (
        {"json_files": {"config.json": {"auto_map": {"AutoConfig": "own.Config"}, "model_type": "own"}}},
        NO_MODEL,
    ),
}


@pytest.mark.reported("models")
@pytest.mark.parametrize(("change", "text"), BROKEN.values(), ids=BROKEN)
def test_a_folder_that_cannot_be_asked_is_told_with_the_remedy(
    base: Path, tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    assert text in complaint_of(variant(base, tmp_path / "m", **change))


@pytest.mark.reported("models")
@pytest.mark.parametrize(
    "change",
    [
        _tokenizer(pad_token=...),
        _tokenizer(pad_token=..., eos_token=...),
        _tokenizer(unk_token=...),
        _tokenizer(bos_token=...),
        {"texts": {"generation_config.json": None}},
        {"texts": {"tokenizer_config.json": None}},
    ],
    ids=["padding", "padding and end", "unknown", "first", "generation settings", "tokenizer settings"],
)
def test_what_a_model_can_do_without_it_does_without(base: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    samples, sampling = caption_samples("dev", 5), Sampling(max_tokens=8)
    whole, less = (load_vlm("m", path=path, device="cpu") for path in (base, variant(base, tmp_path / "m", **change)))
    assert less.generate(samples, sampling) == whole.generate(samples, sampling)


@pytest.mark.reported("models")
def test_other_folders_are_named(base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert complaint_of(tmp_path / "empty") == (
        "m: no safetensors weights in it; convert the model, pickled weights are not loaded"
    )
    text = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(text).save_pretrained(tmp_path / "text")
    assert "models of type 'llama' do not answer about pictures" in complaint_of(tmp_path / "text")
    linked = variant(base, tmp_path / "linked", texts={"model.safetensors": None})
    (linked / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    assert complaint_of(linked).endswith(
        "model.safetensors: is a link to a file that is not there; download the model again"
    )


@pytest.mark.reported("models")
@pytest.mark.parametrize(
    "name", ["no chat template", "no patch size", "no token for the class", "a template that raises"]
)
def test_it_is_told_before_any_data_are_read(
    base: Path, tmp_path: Path, strop: Strop, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def samples(*_: object) -> None:
        raise AssertionError("data were read")

    monkeypatch.setattr("tasks.pictos.benchmarks.PictosPope.samples", samples)
    variant(base, tmp_path / "m", **BROKEN[name][0])
    assert strop("eval", "--model", "m", "--tasks", "pictos_pope", "--limit", "4", "--out", "x").error()
    assert not (tmp_path / "x").exists()


@pytest.mark.reported("models")
def test_the_small_question_at_loading_is_not_counted(base: Path) -> None:
    model = load_vlm("m", path=base, device="cpu")
    assert dict(model.costs) == dict.fromkeys(COSTS, 0)


@pytest.mark.reported("models")
def test_a_model_too_large_for_its_device_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr("torch.nn.Module.to", full)
    assert complaint_of(base) == "m: cannot be asked (CUDA out of memory. Tried to allocate 20.00 MiB)"
