"""`strop build-vlm` from parts to a model that is asked and a verifier that judges."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.models.encoder import load_encoder
from harness.models.load import load_vlm
from tests.support.parts import language_model, photographs, sentence_encoder, tower
from tests.support.shell import Strop

pytestmark = pytest.mark.slow

SHORT = ["--projector-steps", "1", "--steps", "2", "--batch", "2"]


def _parts(tmp_path: Path) -> list[str]:
    return ["--tower", str(tower(tmp_path / "tower")), "--lm", str(language_model(tmp_path / "lm"))]


def test_a_model_and_its_verifier_are_built_gone_on_with_and_asked(strop: Strop, tmp_path: Path) -> None:
    listed, out = photographs(tmp_path / "photographs", count=4), tmp_path / "vlm"
    learnt = ["--captioned", listed, "--held-out", listed, "--sentences", sentence_encoder(tmp_path / "sentences")]
    command = ["build-vlm", *_parts(tmp_path), *learnt, "--out", out, *SHORT]
    first = strop(*command)
    assert first.code == 0, first.err
    told = first.out.splitlines()
    assert told[0].startswith(f"tower: {tmp_path / 'tower'} (")
    assert told[0].endswith("licence not stated)")
    assert told[2] == f"4 photographs, 4 tokens a picture, written to {out}"
    assert re.fullmatch(
        r"held-out captions: \d\.\d{3} nats a token with their own photograph, \d\.\d{3} with another, "
        r"-?\d\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}\] more",
        told[3],
    )
    assert re.fullmatch(r"held-out captions: R@1 \d\.\d{3}, R@10 1\.000 of 4 photographs", told[5])
    record = json.loads(strop(*command, "--json").out)
    assert (record["questions"], record["held_out"]["photographs"]) == (4, 4)
    assert json.loads((out / "build.json").read_text()) == {k: v for k, v in record.items() if k != "encoder"}
    log = [json.loads(line)["steps"] for line in (out / "training/log.jsonl").read_text().splitlines()]
    assert log == [1, 3], "the second call trained nothing"
    assert load_vlm(str(out), device="cpu").name == str(out)
    assert load_encoder(str(out / "encoder"), device="cpu").costs["verifier_texts"] == 0


def test_a_list_whose_picture_is_not_there_is_one_line(strop: Strop, tmp_path: Path) -> None:
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"image": "a.png", "captions": ["a dog"]}\n')
    refused = strop("build-vlm", "--tower", "a/b", "--lm", "c/d", "--out", "out", "--captioned", listed)
    assert refused.error() == f"{listed}:1: no such picture as {tmp_path / 'a.png'}"
