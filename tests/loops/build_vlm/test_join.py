"""A tower and a language model in the LLaVA class: what either computes by itself is what it computes in there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.errors import ModelError
from harness.models.load import load_vlm
from harness.types import Sample, Sampling
from loops.build_vlm.join import IMAGE_TOKEN, Joined, fit, join
from tests.support.parts import TOWERS, language_model, tower

pytestmark = pytest.mark.slow


def _joined(tmp_path: Path, kind: str = "dinov2", side: int | None = None, *, tied: bool = True) -> Joined:
    return join(tower(tmp_path / kind, kind), language_model(tmp_path / "lm", tied=tied), side=side)


def _sample() -> Sample:
    return Sample(
        id="a", prompt="what is it?", images=(lambda: Image.new("RGB", (60, 40), (9, 99, 9)),), target=None, cluster=""
    )


@pytest.mark.parametrize("kind", TOWERS)
def test_any_vit_tower_is_joined_saved_and_asked(kind: str, tmp_path: Path) -> None:
    joined = _joined(tmp_path, kind)
    joined.model.save_pretrained(tmp_path / "vlm")
    joined.processor.save_pretrained(tmp_path / "vlm")
    vlm = load_vlm(str(tmp_path / "vlm"), device="cpu")
    extra = 5 if kind == "registers" else 0
    assert vlm.reader.heads([_sample()]).heads[0].pictures == 4 + extra, "28 x 28 pixels are four patches"
    assert len(vlm.generate([_sample()], Sampling(max_tokens=3))[0]) == 1


def test_fewer_pixels_are_fewer_tokens(tmp_path: Path) -> None:
    joined = _joined(tmp_path, side=14)
    assert joined.model.config.image_seq_length == 1
    with pytest.raises(ModelError, match="--side 20: is no multiple of the tower's patch of 14 pixels"):
        _joined(tmp_path, side=20)


@pytest.mark.parametrize("tied", [True, False])
def test_without_a_picture_the_language_model_says_what_it_said(tied: bool, tmp_path: Path) -> None:
    joined = _joined(tmp_path, tied=tied)
    alone, words = (kind.from_pretrained(tmp_path / "lm") for kind in (AutoModelForCausalLM, AutoTokenizer))
    turns = [{"role": "user", "content": "is there a red square?"}]
    text = words.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert joined.processor.apply_chat_template(turns, add_generation_prompt=True) == text
    ids = words(text, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        expected, logits = alone(ids).logits, joined.model(input_ids=ids).logits
    torch.testing.assert_close(logits[..., : expected.shape[-1]], expected)


def test_the_chat_template_writes_pictures_where_they_are_and_keeps_the_language_models_own_turns(
    tmp_path: Path,
) -> None:
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is it?"}]}]
    written = _joined(tmp_path).processor.apply_chat_template(turns, add_generation_prompt=True)
    assert written == f"<s>user\n{IMAGE_TOKEN}what is it?</s>\n<s>assistant\n"


def test_the_projector_starts_with_words_of_the_usual_length_whatever_the_tower_gives(tmp_path: Path) -> None:
    model = _joined(tmp_path).model
    features = 40 + 7 * torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    fit(model, features)
    with torch.no_grad():
        projected = model.model.multi_modal_projector(features)
    assert float(projected.std()) == pytest.approx(float(model.get_input_embeddings().weight.detach().std()), rel=0.01)
    assert float(projected.mean(0).norm()) < float(projected.norm(dim=-1).mean()), "they tell patches apart"


def test_what_is_no_part_is_refused_by_name(tmp_path: Path) -> None:
    words = language_model(tmp_path / "lm")
    with pytest.raises(ModelError, match=r"lm: a llama has no patches; name a ViT, CLIP, SigLIP or DINO tower"):
        join(words, words)
    with pytest.raises(ModelError, match="clip: does not load as a language model; name another"):
        join(tower(tmp_path / "dino"), tower(tmp_path / "clip", "clip"))
