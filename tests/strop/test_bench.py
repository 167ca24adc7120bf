"""`strop bench` asserts no speed, and neither does this: every figure is there, or says why it is not."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from statistics import median

import pytest
from typer.testing import CliRunner, Result

from harness.errors import DataError
from strop.app import app
from tasks.reading import text
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny model to measure, on few questions and draws, where NLTK has no data."""
    module = importlib.import_module("strop.commands.bench")
    for name, size in {"CAPTIONS": 9, "SCENES": 1, "DRAWS": 100, "PAIRS": 4, "BATCH": 2}.items():
        monkeypatch.setattr(module, name, size)
    monkeypatch.setattr(text, "missing_data", lambda: ["wordnet"])
    return save_tiny(tmp_path / "tiny")


def _bench(model: Path, *words: object) -> Result:
    data = model.parent / "data"
    return CliRunner().invoke(app, ["bench", "--model", str(model), "--data", str(data), *map(str, words)])


def test_every_figure_is_the_median_of_its_runs_or_says_why_there_is_none(small: Path) -> None:
    printed = json.loads(_bench(small, "--runs", 3, "--json").stdout)
    measured = printed["measured"]
    nltk = measured.pop("CHAIR by nltk")
    assert (nltk["value"], nltk["runs"]) == (None, [])
    assert nltk["about"] == "skipped: NLTK's data are missing (wordnet); set NLTK_DATA"
    assert list(measured) == [
        "CHAIR by lemminflect", "bootstrap", "questions, prefix shared", "questions, one by one",
        "vision DPO step against stock TRL", "vision DPO, peak memory against stock TRL",
    ]  # fmt: skip
    for name, value in measured.items():
        assert len(value["runs"]) == (1 if "memory" in name else 3)  # bytes are counted, not timed
        assert value["value"] == median(value["runs"]) > 0
    assert measured["CHAIR by lemminflect"]["about"] == "9 captions of Pictos, each marked once"
    assert measured["bootstrap"]["about"] == "100 draws of 26 metrics over 9000 answers to 500 pictures"
    assert measured["questions, one by one"]["about"].startswith("18 questions about 1 pictures by ")
    assert "; 4 pairs in batches of 2" in measured["vision DPO step against stock TRL"]["about"]
    assert measured["vision DPO, peak memory against stock TRL"]["value"] < 1
    assert {"cpu", "usable_cores", "threads", "gpus", "memory_gib", "peak_memory_mb", "commit", "torch"} <= set(
        printed["machine"]
    )


def test_captions_may_be_those_of_a_file(small: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"image_id": 1, "caption": "A cat."}\n{"image_id": 2, "caption": "A dog."}\n')
    printed = _bench(small, "--captions", captions, "--runs", 1).stdout
    assert "; 2 captions of captions.jsonl, each marked once\n" in printed
    captions.write_text('{"image_id": 1}\n')
    error = _bench(small, "--captions", captions).exception
    assert isinstance(error, DataError)
    assert str(error) == f"{captions}:1: field 'caption' is missing; found image_id"
