"""`strop bench` asserts no speed, and neither does this: every figure is there, or says why it is not."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from harness.errors import DataError, StropError, UsageError
from harness.models.options import ModelOptions
from harness.peers import peers
from harness.peers.clocked import Taken
from strop.app import app
from strop.racing import Course, against_peers
from tasks.reading import text
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow


def _answered(course: Course, out: Path) -> tuple[Taken, list[str]]:
    """As `strop eval` would have answered, in two seconds and one of computing a question."""
    count = course.limit
    taken = Taken(wall=2.0 * count, cpu=1.0 * count, whole_wall=9.0, whole_cpu=9.0, peak=1000)
    return taken, [f"answer {index}" for index in range(count)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny model to measure, on few questions and draws, where NLTK has no data, and no command is started."""
    module = importlib.import_module("strop.commands.bench")
    sizes = module.Sizes(captions=9, scenes=1, draws=100, pairs=4, questions=3, descriptions=2, growing=3)
    monkeypatch.setattr(module, "FULL", sizes)
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(text, "missing_data", lambda: ["wordnet"])
    monkeypatch.setattr(Course, "answer", _answered)
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
        "vision DPO step against stock TRL", "vision DPO, peak memory against stock TRL",
        "4 x the samples, time of answering a sample", "4 x the samples, peak memory",
        "16 x the samples, time of answering a sample", "16 x the samples, peak memory",
        "questions, prefix shared", "questions, one by one", "CHAIR by lemminflect", "bootstrap",
    ]  # fmt: skip
    for name, value in measured.items():
        assert len(value["runs"]) == (1 if "DPO, peak" in name else 3)  # bytes are counted, not timed
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


def test_a_peer_is_compared_run_by_run_and_answer_by_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def ready(name: str, questions: peers.Questions, folder: Path) -> SimpleNamespace:
        def answer(batch: int, limit: int | None, out: Path) -> tuple[Taken, list[str]]:
            if name == "lmms-eval":
                raise StropError("lmms_eval: ended with 1 (no room)")
            taken = Taken(wall=60.0, cpu=30.0, whole_wall=90.0, whole_cpu=45.0, peak=1000)
            return taken, ["answer 0", "answer 1", "else"]

        return SimpleNamespace(answer=answer, best_batch=lambda *_: 32, questions=questions, peer=peers.PEERS[name])

    monkeypatch.setattr(peers, "ready", ready)
    monkeypatch.setattr(Course, "answer", _answered)
    course = Course(task="pictos_pope", limit=3, model="pictos-seed", options=ModelOptions(device="cpu"))
    cpu, wall, whole, other = against_peers(["lm-eval", "lmms-eval"], [course], 2)
    assert (cpu.name, cpu.runs) == ("pictos_pope against lm-eval", (10.0, 10.0))
    assert cpu.about.endswith("30 s by lm-eval[hf]==0.4.13 in batches of 32; 2 of 3 answers are the same")
    assert cpu.details is not None
    assert [(row["ours"], row["theirs"]) for row in cpu.details["other_answers"]] == [("answer 2", "else")]
    assert (wall.name, wall.value) == ("pictos_pope against lm-eval, wall", 10.0)
    assert (whole.name, whole.value) == ("pictos_pope against lm-eval, whole cpu", 5.0)
    assert (other.value, other.about) == (None, "skipped: lmms_eval: ended with 1 (no room)")


def test_a_harness_without_a_name_here_is_refused(small: Path) -> None:
    error = _bench(small, "--against", "lm-eval,helm").exception
    assert isinstance(error, UsageError)
    assert str(error) == "--against helm: is none of lm-eval, lmms-eval"
