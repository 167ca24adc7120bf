"""An encoder of two halves and two linear maps: trained, saved, loaded by the verifier's door, and asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from harness.errors import ModelError
from harness.models.encoder import load_encoder
from harness.models.weights import model_digest
from loops.build_vlm.encoder import build_encoder
from loops.build_vlm.lessons import Lesson
from loops.build_vlm.parts import Part
from tasks.data.captioned import read_captioned_pictures
from tests.support.parts import COLOURS, photographs, sentence_encoder, tower

pytestmark = pytest.mark.slow


def _lessons(path: Path) -> list[Lesson]:
    return [Lesson(picture=entry.picture, captions=entry.captions) for entry in read_captioned_pictures(path)]


def _built(tmp_path: Path) -> Path:
    lessons = _lessons(photographs(tmp_path / "photographs"))
    folders = tower(tmp_path / "tower"), sentence_encoder(tmp_path / "sentences")
    halves = [Part(folder=folder, origin="here") for folder in folders]
    out = tmp_path / "encoder"
    record = build_encoder(*halves, lessons, lessons[:4], out, begin=lambda *_: lambda _: None)
    assert (record["held_out"]["captions"], record["captions"]) == (8, 16)
    return out


def test_captions_find_their_photographs_again(tmp_path: Path) -> None:
    out = _built(tmp_path)
    encoder = load_encoder(str(out), device="cpu")
    pictures = [Image.new("RGB", (40, 30), colour) for colour in COLOURS.values()]
    scores = torch.tensor(encoder.match(pictures, [[f"it is {name}" for name in COLOURS]] * 4))
    assert scores.argmax(1).tolist() == [0, 1, 2, 3]
    assert not encoder.calibrated
    assert encoder.costs["verifier_texts"] == 4, "texts are counted, whatever the tokenizer gives"
    alone = [encoder.match([picture], [["it is red"]])[0][0] for picture in pictures]
    assert alone == pytest.approx(scores[:, 0].tolist(), abs=1e-4), "longer texts beside it change nothing"


def test_its_digest_is_of_both_halves_and_the_maps_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    out = _built(tmp_path)
    digest = model_digest(out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "width": 5}))
    assert model_digest(out) != digest
    with pytest.raises(ModelError, match=r"encoder .*: does not load; restore it from where it came from"):
        load_encoder(str(out), device="cpu")
