"""A peer is a harness of ten lines here: asked as the real ones are, by its own command in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from harness.errors import StropError
from harness.peers import environment as environments
from harness.peers import peers
from harness.peers.environment import environment
from harness.types import Sample

HARNESS = """
import json, sys, time
from pathlib import Path

def answer(documents):
    end = time.process_time() + (0.3 if "8" in sys.argv else 0.1)
    while time.process_time() < end:
        pass
    return [f" {document['prompt']}? " for document in documents]
"""
COMMAND = """
import json, sys
from pathlib import Path
import pyarrow.parquet
from toy import answering

words = sys.argv[1:]
option = lambda name: words[words.index(name) + 1]
task = json.loads((Path(option("--include_path")) / "questions.yaml").read_text())
if "broken" in words:
    sys.exit("Traceback\\nValueError: no such model")
documents = pyarrow.parquet.read_table(task["dataset_kwargs"]["data_files"]["test"]).to_pylist()
documents = documents[: int(option("--limit")) if "--limit" in words else None]
out = Path(option("--output_path")) / "model"
out.mkdir()
answers = enumerate(answering.answer(documents))
lines = [json.dumps({"doc_id": i, "resps": [[text]] if i else text}) for i, text in answers]
(out / "samples_x.jsonl").write_text("\\n".join(reversed(lines)) + "\\n")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> peers.Peer:
    """A harness in an environment of its own: a Python that finds its package."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "answering.py").write_text(HARNESS)
    (tmp_path / "toy" / "__main__.py").write_text(COMMAND)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(peers, "environment", lambda name, packages: python)
    peer = peers.Peer(
        packages=("toy==1",), command="toy", function="toy.answering:answer", batches=(8, 32, 128),
        fields=lambda questions: {"longest": questions.max_tokens}, words=lambda questions: [questions.device],
    )  # fmt: skip
    monkeypatch.setitem(peers.PEERS, "toy", peer)
    return peer


def _questions(folder: Path) -> peers.Questions:
    image = Image.new("RGB", (2, 2))
    samples = [
        Sample(id=prompt, prompt=prompt, images=(lambda: image,), target="yes", cluster="1") for prompt in ("a", "b")
    ]
    return peers.Questions(samples=samples, max_tokens=4, checkpoint=folder, device="cpu", dtype="float32")


def test_a_peer_answers_by_its_own_command_and_its_answering_is_clocked(toy: peers.Peer, tmp_path: Path) -> None:
    peer = peers.ready("toy", _questions(tmp_path), tmp_path / "files")
    assert json.loads((tmp_path / "files" / "questions.yaml").read_text())["longest"] == 4
    taken, answers = peer.answer(32, None, tmp_path / "out")
    assert answers == ["a?", "b?"]
    assert 0.1 <= taken.cpu < 0.3 < taken.whole_cpu
    assert taken.wall <= taken.whole_wall
    assert taken.peak > 1e6
    assert peer.answer(32, 1, tmp_path / "first")[1] == ["a?"]
    assert peer.best_batch(1, tmp_path / "batches") in (32, 128)


def test_a_peer_that_fails_says_why_in_its_last_line(toy: peers.Peer, tmp_path: Path) -> None:
    peer = peers.ready("toy", replace(_questions(tmp_path), device="broken"), tmp_path / "files")
    with pytest.raises(StropError, match=r"^toy: ended with 1 \(ValueError: no such model\)$"):
        peer.answer(8, None, tmp_path / "out")


def test_an_environment_is_made_once_and_anew_for_other_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        calls.append(words)
        return SimpleNamespace(returncode=int("absent==1" in words), stdout="", stderr="ERROR: no absent\n")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", run)
    python = environment("lm-eval", ["lm-eval==1"])
    assert python == tmp_path / "strop" / "peers" / "lm-eval" / "bin" / "python"
    assert [words[1:3] for words in calls] == [["-m", "venv"], ["-m", "pip"]]
    assert environment("lm-eval", ["lm-eval==1"]) == python and len(calls) == 2
    environment("lm-eval", ["lm-eval==2"])
    assert calls[-1][-1] == "lm-eval==2"
    with pytest.raises(StropError, match=r"lm-eval: -m pip install failed \(ERROR: no absent\); mend pip's settings$"):
        environment("lm-eval", ["absent==1"])
    assert not (environments.cache_folder() / "lm-eval" / environments.PACKAGES).exists()
