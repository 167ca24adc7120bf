"""`strop build-vlm` from parts to a model that is asked, and `strop build-encoder` to a verifier that judges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.models.load import load_vlm
from tests.support.parts import language_model, photographs, sentence_encoder, tower
from tests.support.shell import strop

pytestmark = pytest.mark.slow

SHORT = ["--projector-steps", "1", "--steps", "2", "--batch", "2"]


def test_a_model_is_built_gone_on_with_and_asked(tmp_path: Path) -> None:
    listed = photographs(tmp_path / "photographs", count=4)
    parts = ["--tower", str(tower(tmp_path / "tower")), "--lm", str(language_model(tmp_path / "lm"))]
    out = tmp_path / "vlm"
    command = ["build-vlm", *parts, "--captions", str(listed), "--held-out", str(listed), "--out", str(out), *SHORT]
    first = strop(*command)
    assert first.returncode == 0, first.stderr
    assert "4 photographs, 4 tokens a picture, written to" in first.stdout
    assert "licence not stated" in first.stdout
    again = strop(*command, "--json")
    record = json.loads(again.stdout)
    assert record["questions"] == 4
    assert record["held_out"]["photographs"] == 4
    assert json.loads((out / "build.json").read_text()) == record
    log = [json.loads(line)["steps"] for line in (out / "training/log.jsonl").read_text().splitlines()]
    assert log == [1, 3], "the second call trained nothing"
    assert load_vlm(str(out), device="cpu").reader.template is not None


def test_an_encoder_is_built(tmp_path: Path) -> None:
    listed = photographs(tmp_path / "photographs", count=4)
    halves = ["--tower", str(tower(tmp_path / "tower")), "--sentences", str(sentence_encoder(tmp_path / "sentences"))]
    options = ["--captions", str(listed), "--held-out", str(listed), "--out", str(tmp_path / "encoder")]
    built = strop("build-encoder", *halves, *options)
    assert built.returncode == 0, built.stderr
    assert "held-out captions: R@1" in built.stdout


def test_a_list_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl").write_text('{"image": "a.png", "captions": ["a dog"]}\n')
    parts = ["--tower", "a/b", "--lm", "c/d", "--out", str(tmp_path / "out")]
    refused = strop("build-vlm", *parts, "--captions", str(tmp_path / "list.jsonl"))
    assert refused.returncode != 0
    assert "list.jsonl:1: no such picture as" in refused.stderr
