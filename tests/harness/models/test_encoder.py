"""The verifier's encoder reads pictures and texts once each, in batches, on a GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL.Image import Image

from harness.errors import ModelError
from harness.models import encoder as module
from harness.models.encoder import COSTS, Encoder, load_encoder
from harness.models.weights import model_digest
from harness.pictures import open_picture
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.models import shipped
from tests.support.variants import Weights, variant

pytestmark = pytest.mark.slow

PICTURES: list[Image] = [open_picture(sample.images[0]) for sample in caption_samples("dev", 3)]
TEXTS = [["A cat.", "Two dogs."], [], ["A cup.", "A cat."]]


@pytest.fixture
def encoder() -> Encoder:
    return load_encoder(str(shipped("pictos-encoder")), device="cpu")


def test_each_picture_and_each_text_is_encoded_once(encoder: Encoder) -> None:
    scores = encoder.match(PICTURES, TEXTS)
    assert [len(several) for several in scores] == [2, 0, 2]
    varying = {name: encoder.costs[name] for name in ("verifier_seconds", "estimated_flops")}
    expected = {"verifier_passes": 2, "verifier_pictures": 3, "verifier_texts": 3, **varying}
    assert (encoder.costs, min(varying.values()) > 0) == (expected, True)
    for picture, texts, score in zip(PICTURES, TEXTS, scores, strict=True):
        alone = [encoder.match([picture], [[text]])[0][0] for text in texts]
        assert score == pytest.approx(alone, abs=1e-4)


def test_batches_change_no_score(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder.match(PICTURES, TEXTS)
    monkeypatch.setattr(module, "TEXTS", 2)
    encoder.costs = dict.fromkeys(COSTS, 0)
    parts = encoder.match(PICTURES, TEXTS, batch=2)
    counted = [encoder.costs[name] for name in ("verifier_passes", "verifier_pictures", "verifier_texts")]
    assert counted == [4, 3, 4]
    for several, others in zip(whole, parts, strict=True):
        assert several == pytest.approx(others, abs=1e-4)
    encoder.match(PICTURES, [TEXTS[0]] * 3, batch=3)
    assert encoder.costs["verifier_passes"] == 4 + 2, "two texts are one batch"


@pytest.mark.parametrize(("flag", "device"), [(True, "cuda"), (False, "cpu")])
def test_it_goes_to_a_gpu_where_there_is_one(flag: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str] = []

    class Placed(Encoder):
        def __init__(self, *parts: Any, device: str) -> None:
            placed.append(device)
            super().__init__(*parts, device="cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: flag)
    monkeypatch.setattr(module, "Encoder", Placed)
    load_encoder(str(shipped("pictos-encoder")))
    assert placed == [device]


# Loading --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def base() -> Path:
    return Path(shipped("pictos-encoder"))


def _complaint(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_encoder(str(folder), device="cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "FOLDER")


def _less(text: str) -> object:
    return lambda weights: {name: values for name, values in weights.items() if text not in name}


def _one_more(weights: Weights) -> Weights:
    return {**weights, "visual.more": torch.zeros(2)}


def _filled(number: float) -> object:
    return lambda weights: {name: torch.full_like(values, number) for name, values in weights.items()}


@pytest.mark.reported("loading")
@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (_less("visual.ln_post"), "Missing key(s) in state_dict"),
        (
            _less("logit_bias"),
            "encoder FOLDER: does not load, 1 weight is not in its file, logit_bias; save it whole again",
        ),
        (_one_more, "Unexpected key(s) in state_dict"),
        (_filled(float("nan")), "encoder FOLDER: its scores are not finite (NaN or infinite); its weights are broken"),
    ],
    ids=["a norm less", "no bias", "one more", "not a number"],
)
def test_an_encoder_is_loaded_whole_or_not_at_all(base: Path, tmp_path: Path, weights: Any, text: str) -> None:
    load_encoder(str(variant(base, tmp_path / "same")), device="cpu")
    assert text in _complaint(variant(base, tmp_path / "e", weights=weights))


@pytest.mark.reported("loading")
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"vision_cfg": {"image_size": 96}},
            "visual.positional_embedding has another shape than open_clip_config.json says: (65, 160) in the file, "
            "(145, 160) by the config",
        ),
        (
            {"text_cfg": {"context_length": 20}},
            "positional_embedding has another shape than open_clip_config.json says: (14, 96) in the file, (20, 96) by "
            "the "
            "config",
        ),
        ({"text_cfg": {"layers": 3}}, "Missing key(s) in state_dict"),
        ({"vision_cfg": {"width": 80}}, "does not load"),
    ],
    ids=["picture size", "text length", "layers", "width"],
)
def test_an_encoder_whose_settings_are_of_another_is_refused(
    base: Path, tmp_path: Path, fields: dict[str, Any], text: str
) -> None:
    folder = variant(base, tmp_path / "e", json_files={"open_clip_config.json": {"model_cfg": fields}})
    assert text in _complaint(folder)


@pytest.mark.reported("models")
def test_an_encoder_that_cannot_work_is_told_in_one_line(base: Path, tmp_path: Path) -> None:
    cut = variant(base, tmp_path / "cut")
    weights = cut / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:9999])
    empty = variant(base, tmp_path / "empty")
    (empty / "open_clip_model.safetensors").write_bytes(b"")
    no_model = variant(base, tmp_path / "no-model", json_files={"open_clip_config.json": {"model_cfg": ...}})
    no_json = variant(base, tmp_path / "no-json", texts={"open_clip_config.json": "{"})
    no_words = variant(base, tmp_path / "no-words", texts={"tokenizer.json": None, "tokenizer_config.json": None})
    torn = variant(base, tmp_path / "torn", texts={"tokenizer.json": "{}"})
    other = variant(
        base,
        tmp_path / "other",
        json_files={"open_clip_config.json": {"model_cfg": {"text_cfg": {"hf_tokenizer_name": ...}}}},
    )
    for folder in (cut, empty, no_model, no_json, no_words, torn, other):
        assert _complaint(folder).startswith("encoder FOLDER: does not "), folder.name
    for file in ("open_clip_config.json", "open_clip_model.safetensors"):
        gone = variant(base, tmp_path / file, texts={file: None})
        assert _complaint(gone) == f"encoder FOLDER: no {file} in it; a folder saved by open_clip has one"


@pytest.mark.reported("models")
def test_an_encoder_by_tag_that_cannot_be_had_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise RuntimeError("Failed to download weights for tag 'laion2b_s34b_b79k': offline\nat length")

    monkeypatch.setattr(module.open_clip, "create_model_and_transforms", offline)
    assert _complaint(Path("ViT-B-32::laion2b_s34b_b79k")) == (
        "encoder FOLDER: cannot be had; name a folder, or let it be downloaded once (Failed to download weights for "
        "tag 'laion2b_s34b_b79k': offline)"
    )
    assert (
        _complaint(Path("ViT-B-32::nope")) == "encoder FOLDER: no such folder, and not an open_clip ARCHITECTURE::TAG"
    )


@pytest.mark.reported("identity")
@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("open_clip_config.json", {"preprocess_cfg": ...}),
        ("open_clip_config.json", {"preprocess_cfg": {"mean": [0.4, 0.5, 0.5]}}),
        ("open_clip_config.json", {"preprocess_cfg": {"resize_mode": "shortest"}}),
        ("tokenizer_config.json", {"eos_token": "<unk>"}),
        ("tokenizer.json", {"pre_tokenizer": None}),
        ("special_tokens_map.json", {"eos_token": "<unk>"}),
    ],
)
def test_an_encoder_is_all_that_scores_by_it(base: Path, tmp_path: Path, file: str, change: dict[str, Any]) -> None:
    assert model_digest(variant(base, tmp_path / "same")) == model_digest(base)
    assert model_digest(variant(base, tmp_path / "other", json_files={file: change})) != model_digest(base)
