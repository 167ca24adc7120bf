"""The verifier's encoder reads pictures and texts once each, in batches, on a GPU where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL.Image import Image

from harness.models import encoder as module
from harness.models.encoder import COSTS, Encoder, load_encoder
from harness.pictures import open_picture
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.models import shipped

PICTURES: list[Image] = [open_picture(sample.images[0]) for sample in caption_samples("dev", 3)]
TEXTS = [["A cat.", "Two dogs."], [], ["A cup.", "A cat."]]


@pytest.fixture
def encoder() -> Encoder:
    return load_encoder(str(shipped("pictos-encoder")), device="cpu")


def test_each_picture_and_each_text_is_encoded_once(encoder: Encoder) -> None:
    scores = encoder.match(PICTURES, TEXTS)
    assert [len(some) for some in scores] == [2, 0, 2]
    seconds = encoder.costs["verifier_seconds"]
    wanted = {"verifier_passes": 2, "verifier_pictures": 3, "verifier_texts": 3, "verifier_seconds": seconds}
    assert (encoder.costs, seconds > 0) == (wanted, True)
    for picture, texts, found in zip(PICTURES, TEXTS, scores, strict=True):
        alone = [encoder.match([picture], [[text]])[0][0] for text in texts]
        assert found == pytest.approx(alone, abs=1e-4)


def test_batches_change_no_score(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder.match(PICTURES, TEXTS)
    monkeypatch.setattr(module, "TEXTS", 2)
    encoder.costs = dict.fromkeys(COSTS, 0)
    parts = encoder.match(PICTURES, TEXTS, batch=2)
    counted = [encoder.costs[name] for name in ("verifier_passes", "verifier_pictures", "verifier_texts")]
    assert counted == [4, 3, 4]
    for some, others in zip(whole, parts, strict=True):
        assert some == pytest.approx(others, abs=1e-4)
    encoder.match(PICTURES, [TEXTS[0]] * 3, batch=3)
    assert encoder.costs["verifier_passes"] == 4 + 2, "two texts are one batch"


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_it_goes_to_a_gpu_where_there_is_one(there: bool, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str] = []

    def place(*parts: Any, device: str) -> None:
        placed.append(device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(module, "Encoder", place)
    load_encoder(str(shipped("pictos-encoder")))
    assert placed == [device]
