"""An adapter that was merged answers as the model that was trained: peft's own, unmerged."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from harness.errors import ModelError
from harness.models.load import load_vlm
from harness.models.loading import load_weights
from harness.pictures import open_picture
from harness.types import Sampling
from loops.groups import Pair
from loops.optimise.dpo import Dpo
from loops.optimise.training import optimise
from tasks.pictos.benchmarks import caption_samples

pytestmark = pytest.mark.slow

SAMPLES = caption_samples("dev", 4)


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    """With word embeddings and head in one."""
    return tiny


def _adapter(base: Path, out: Path, config: Any) -> Path:
    model = AutoModelForImageTextToText.from_pretrained(base)
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        adapted = get_peft_model(model, config)
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter.data += torch.randn_like(parameter) * (0.05 if "lora_" in name else 0.02)
        adapted.save_pretrained(out)
    return out


def _inputs(processor: Any) -> Mapping[str, Any]:
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": SAMPLES[0].prompt}]}
    text = processor.apply_chat_template([turn], add_generation_prompt=True)
    return processor(
        text=[text] * len(SAMPLES),
        images=[open_picture(sample.images[0]) for sample in SAMPLES],
        return_tensors="pt",
    )


def _logits(model: Any, processor: Any) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(**_inputs(processor)).logits
    return logits


def _unmerged(base: Path, adapter: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), adapter).eval()


def _lora(**fields: Any) -> LoraConfig:
    return LoraConfig(**{"r": 2, "target_modules": ["q_proj"], "init_lora_weights": False, **fields})


CONFIGS = {
    "head": _lora(target_modules=["q_proj", "lm_head"]),
    "head alone": _lora(target_modules=["lm_head"]),
    "embeddings": _lora(target_modules=["q_proj", "embed_tokens"]),
    "head and embeddings": _lora(target_modules=["lm_head", "embed_tokens"]),
    "head by a pattern": _lora(target_modules=r".*(lm_head|v_proj)"),
    "embeddings with DoRA": _lora(target_modules=["embed_tokens", "v_proj"], use_dora=True),
    "head with rsLoRA": _lora(target_modules=["lm_head"], use_rslora=True),
    "head, tied by peft": _lora(target_modules=["embed_tokens", "lm_head"], ensure_weight_tying=True),
    "head saved whole": _lora(modules_to_save=["lm_head"]),
    "embeddings saved whole": _lora(modules_to_save=["embed_tokens"]),
    "both saved whole": _lora(modules_to_save=["embed_tokens", "lm_head"], ensure_weight_tying=True),
    "a few tokens": _lora(trainable_token_indices=[30, 31, 32]),
    "all linear layers": _lora(target_modules="all-linear"),
    "projector": _lora(modules_to_save=["multi_modal_projector"]),
    "DoRA": _lora(use_dora=True),
    "rsLoRA": _lora(use_rslora=True, lora_alpha=16),
    "biases": _lora(bias="lora_only", target_modules=["linear_1", "q_proj"]),
    "ranks of their own": _lora(
        target_modules=["q_proj", "v_proj"], rank_pattern={"q_proj": 4}, alpha_pattern={"v_proj": 3}
    ),
    "IA3": IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
}


@pytest.mark.reported("adapters")
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_merged_adapter_answers_as_the_unmerged_one(base: Path, tmp_path: Path, config: Any) -> None:
    adapter = _adapter(base, tmp_path / "adapter", config)
    vlm = load_vlm("m", path=base, adapter=adapter, device="cpu")
    logits = _logits(_unmerged(base, adapter), vlm.processor)
    assert torch.allclose(_logits(vlm.model, vlm.processor), logits, atol=2e-4, rtol=1e-4)
    plain = load_vlm("m", path=base, device="cpu")
    assert not torch.allclose(_logits(plain.model, vlm.processor), logits, atol=1e-3), "the adapter does something"
    # as `strop run` keeps the seed with its adapter, for rounds to start from
    vlm.model.save_pretrained(tmp_path / "merged")
    again = load_weights(tmp_path / "merged", name="m", dtype=torch.float32).eval()
    assert torch.allclose(_logits(again, vlm.processor), logits, atol=2e-4, rtol=1e-4)


@pytest.mark.reported("adapters")
def test_what_an_adapter_leaves_tied_stays_so(base: Path, tmp_path: Path) -> None:
    vlm = load_vlm("m", path=base, adapter=_adapter(base, tmp_path / "adapter", _lora()), device="cpu")
    assert vlm.model.lm_head.weight is vlm.model.get_input_embeddings().weight
    assert vlm.model.config.tie_word_embeddings
    vlm.model.save_pretrained(tmp_path / "merged")
    assert sorted(load_file(tmp_path / "merged/model.safetensors")) == sorted(load_file(base / "model.safetensors"))


@pytest.mark.reported("adapters")
@pytest.mark.parametrize("modules", [["embed_tokens"], ["embed_tokens", "q_proj"], ["q_proj"]], ids=str)
def test_a_round_trained_on_tied_weights_saves_the_model_that_it_trained(
    base: Path, tmp_path: Path, modules: list[str]
) -> None:
    """TRL itself refuses an adapter on the head."""
    pairs = [Pair(sample=sample, chosen="A cat.", rejected="Two dogs.", reversed=False) for sample in SAMPLES]
    recipe = Dpo(
        weights="lora",
        freeze=(),
        lora={"r": 2, "target_modules": modules},
        trl={"learning_rate": 0.05, "per_device_train_batch_size": 2},
    )
    out = tmp_path / "round" / "checkpoint"
    optimise(pairs, recipe, start=base, reference=base, out=out, seed=0)
    processor = AutoProcessor.from_pretrained(base)
    logits = _logits(_unmerged(base, out.with_name("adapter")), processor)
    saved = load_vlm("m", path=out, device="cpu")
    assert torch.allclose(_logits(saved.model, processor), logits, atol=2e-4, rtol=1e-4)
    plain = load_vlm("m", path=base, device="cpu")
    assert not torch.allclose(_logits(plain.model, processor), logits, atol=1e-3)


@pytest.mark.reported("adapters")
def test_several_adapters_answer_as_peft_does_with_all_of_them_active(base: Path, tmp_path: Path) -> None:
    configs = {
        "one": _lora(target_modules=["q_proj", "v_proj"]),
        "other": _lora(r=4, target_modules=["q_proj", "lm_head"]),
    }
    adapters = [_adapter(base, tmp_path / name, config) for name, config in configs.items()]
    both = _unmerged(base, adapters[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both.load_adapter(adapters[1], "other")
        both.base_model.set_adapter(["default", "other"])
    vlm = load_vlm("m", path=base, adapter=adapters, device="cpu")
    logits = _logits(both.eval(), vlm.processor)
    assert torch.allclose(_logits(vlm.model, vlm.processor), logits, atol=2e-4, rtol=1e-4)
    others = [load_vlm("m", path=base, adapter=adapter, device="cpu") for adapter in (*adapters, adapters[::-1])]
    assert len({vlm.digest, *(other.digest for other in others)}) == 4
    assert not any(torch.allclose(_logits(other.model, vlm.processor), logits, atol=1e-3) for other in others[:2])


def _complaint(base: Path, adapter: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_vlm("m", path=base, adapter=adapter, device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.reported("adapters")
def test_an_adapter_of_a_kind_that_cannot_be_merged_is_named(base: Path, tmp_path: Path) -> None:
    adapter = _adapter(base, tmp_path / "adapter", PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4))
    assert _complaint(base, adapter) == (
        f"adapter {adapter}: is of kind PROMPT_TUNING, which cannot be merged into weights; take a LoRA"
    )


@pytest.mark.reported("adapters")
def test_an_adapter_of_another_models_modules_is_named(base: Path, tmp_path: Path) -> None:
    adapter = _adapter(base, tmp_path / "adapter", _lora())
    settings = json.loads((adapter / "adapter_config.json").read_text())
    for change in ({"target_modules": ["query_key_value"]}, {"peft_type": "NOPE"}, {"peft_type": ...}, {"r": "two"}):
        changed = {name: value for name, value in {**settings, **change}.items() if value is not ...}
        (adapter / "adapter_config.json").write_text(json.dumps(changed))
        assert _complaint(base, adapter).startswith(f"adapter {adapter}: ")
    (adapter / "adapter_config.json").write_text("{")
    assert _complaint(base, adapter).startswith(f"adapter {adapter}: ")


@pytest.mark.reported("adapters")
def test_an_adapter_whose_file_is_pickled_cut_or_short_of_weights_is_named(base: Path, tmp_path: Path) -> None:
    whole = _adapter(base, tmp_path / "adapter", _lora())
    content = (whole / "adapter_model.safetensors").read_bytes()
    pickled = shutil.copytree(whole, tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    assert _complaint(base, pickled) == (
        f"adapter {pickled}: no safetensors weights in it; pickled weights are not loaded"
    )
    cut = shutil.copytree(whole, tmp_path / "cut")
    (cut / "adapter_model.safetensors").write_bytes(content[: len(content) // 2])
    assert _complaint(base, cut).startswith(f"adapter {cut}: does not fit this model (")


@pytest.mark.reported("adapters")
def test_an_adapter_of_numbers_that_are_none_is_an_error(base: Path, tmp_path: Path) -> None:
    model = get_peft_model(AutoModelForImageTextToText.from_pretrained(base), _lora())
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(float("nan"))
    model.save_pretrained(tmp_path / "adapter")
    assert "logits are not finite" in _complaint(base, tmp_path / "adapter")


@pytest.mark.reported("adapters")
def test_answers_of_a_merged_adapter_are_those_of_generate(base: Path, tmp_path: Path) -> None:
    adapter = _adapter(base, tmp_path / "adapter", CONFIGS["head"])
    vlm = load_vlm("m", path=base, adapter=adapter, device="cpu")
    inputs = _inputs(vlm.processor)
    answers = _unmerged(base, adapter).generate(**inputs, max_new_tokens=12, do_sample=False)
    texts = [
        text.strip()
        for text in vlm.processor.batch_decode(answers[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    ]
    assert [answer for (answer,) in vlm.generate(SAMPLES, Sampling(max_tokens=12))] == texts
