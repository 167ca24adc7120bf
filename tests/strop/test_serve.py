"""`strop serve` prints vLLM's command for a checkpoint, with the flags that keep its figures, and becomes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from harness.models.vllm_form import copy_for_vllm, has_vllms_names
from harness.runs.names import checkpoint_folder
from strop.commands.serve import notes
from tasks.pictos.models import shipped
from tests.support.shell import Strop
from tests.support.worlds import write_run, yes_no


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one round in bfloat16, whose checkpoint was trained as an adapter."""
    write_run(tmp_path / "run", [[yes_no([1, 0])], [yes_no([1, 1])]])
    path = tmp_path / "run/round-1/eval/results.json"
    results = json.loads(path.read_text())
    results["provenance"]["model"] = {"dtype": "bfloat16", "pictures": "padded", "system": "Be brief."}
    path.write_text(json.dumps(results))
    folder = checkpoint_folder(tmp_path / "run", 1)
    for each in (folder, folder.with_name("adapter")):
        each.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder.with_name("adapter") / "adapter_config.json").write_text('{"r": 12}')
    (folder.with_name("adapter") / "adapter_model.safetensors").write_bytes(b"")
    return tmp_path / "run"


def test_a_round_is_served_in_the_precision_in_which_it_was_measured(strop: Strop, run: Path) -> None:
    ran = strop("serve", "run:1", "--gpus", "4", "--machines", "2", "--print")
    assert ran.out == (
        "vllm serve run/round-1/optimise/checkpoint --served-model-name run:1 --host 127.0.0.1 --port 8000 --dtype "
        "bfloat16 --tensor-parallel-size 4 --pipeline-parallel-size 2 --distributed-executor-backend ray\n"
    )
    assert ran.err.splitlines() == [
        "note: pictures were padded to squares where it was measured; a server shows them by the stored processor",
        "note: where it was measured, system was 'Be brief.'; a server does not have it",
    ]
    assert list(notes({"dtype": "float32", "pictures": "whole"})) == []


def test_an_adapter_is_served_beside_its_model_by_a_name(strop: Strop, run: Path) -> None:
    words = ("serve", "my/llava", "--served-name", "seed", "--lora", "honed=run/round-1/optimise/adapter", "--print")
    assert strop(*words).out == (
        "vllm serve my/llava --served-model-name seed --host 127.0.0.1 --port 8000 --enable-lora --max-lora-rank 16 "
        "--lora-modules honed=run/round-1/optimise/adapter\n"
    )


def test_tensors_that_vllm_knows_by_other_names_are_copied_under_these(tmp_path: Path) -> None:
    seed = shipped("pictos-seed")
    assert seed is not None
    assert not has_vllms_names(seed)
    copy = copy_for_vllm(seed, tmp_path / "copy")
    assert has_vllms_names(copy)
    before, after = load_file(seed / "model.safetensors"), load_file(copy / "model.safetensors")
    renamed = {name.replace("vision_tower.", "vision_tower.vision_model."): tensor for name, tensor in before.items()}
    assert renamed.keys() == after.keys()
    assert all(tensor.equal(after[name]) for name, tensor in renamed.items())
    assert {path.name for path in copy.iterdir()} == {path.name for path in seed.iterdir()}
    assert copy_for_vllm(seed, copy) == copy
    assert list(tmp_path.iterdir()) == [copy]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run:0",), "run:0: no round of it left a checkpoint; name a later round of a run, or a model"),
        (("m", "--lora", "x"), "--lora x: not NAME=FOLDER; say e.g. honed=runs/a/round-1/optimise/adapter"),
    ],
)
def test_what_cannot_be_served_is_told(strop: Strop, run: Path, words: tuple[str, ...], message: str) -> None:
    assert strop("serve", *words, "--print").error() == message


def test_without_vllm_the_command_is_printed_and_the_remedy_told(
    strop: Strop, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    ran = strop("serve", "run:1")
    assert ran.code == 2
    assert ran.out.startswith("vllm serve run/round-1/optimise/checkpoint ")
    assert ran.err.splitlines()[-1] == (
        "error: vllm is not installed here; install it, in an environment of its own, or take --print"
    )
