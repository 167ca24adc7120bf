"""Several adapters are asked apart from each other over base weights that are read once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForImageTextToText

from harness.errors import UsageError
from harness.models import load, loading
from strop.commands.eval import names_apart
from strop.evaluation import read_evaluation
from strop.models import load_apart, load_model
from tests.support.shell import Strop


@pytest.fixture
def adapters(tiny: Path, tmp_path: Path) -> list[Path]:
    """Two, of which the second changes the head that is one with the word embeddings."""
    folders = []
    for number, targets in enumerate((["q_proj", "v_proj"], ["q_proj", "lm_head"])):
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the head is one with the embeddings
            torch.manual_seed(number)
            model = AutoModelForImageTextToText.from_pretrained(tiny)
            adapted = get_peft_model(model, LoraConfig(target_modules=targets, init_lora_weights=False))
            folders.append(tmp_path / f"run-{number}" / "checkpoint")
            adapted.save_pretrained(folders[-1])
    return folders


@pytest.fixture
def loaded_weights(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that weights were read from."""
    folders: list[Path] = []

    def load_weights(folder: Path, **options: object) -> object:
        folders.append(folder)
        return loading.load_weights(folder, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(load, "load_weights", load_weights)
    return folders


def test_adapters_over_shared_weights_are_what_each_is_alone(
    tiny: Path, adapters: list[Path], loaded_weights: list[Path]
) -> None:
    both = list(load_apart(str(tiny), [*adapters, []], device="cpu"))
    assert loaded_weights == [tiny]
    alone = [load_model(str(tiny), adapter=adapter, device="cpu") for adapter in [*adapters, None]]
    for shared, own in zip(both, alone, strict=True):
        assert shared.digest == own.digest
        weights = own.model.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in shared.model.state_dict().items())
    first, second, base = (vlm.model.state_dict() for vlm in both)
    untouched = [name for name in base if name.endswith(("norm.weight", "mlp.fc1.weight"))]
    assert untouched
    for name in untouched:  # is in memory once
        assert first[name].data_ptr() == second[name].data_ptr() == base[name].data_ptr()


@pytest.mark.slow
def test_eval_apart_writes_a_folder_for_each_and_asks_what_a_command_for_each_would(
    tiny: Path, adapters: list[Path], tmp_path: Path, strop: Strop, loaded_weights: list[Path]
) -> None:
    asked = ["eval", "--model", str(tiny), "--tasks", "pictos_pope", "--limit", "18", "--device", "cpu"]
    named = [word for adapter in adapters for word in ("--adapter", str(adapter))]
    strop(*asked, *named, "--apart", "--out", str(tmp_path / "apart"))
    assert loaded_weights == [tiny]
    strop(*asked, "--adapter", str(adapters[1]), "--out", str(tmp_path / "alone"))
    apart, alone = (read_evaluation(tmp_path / name) for name in ("apart/run-1", "alone"))
    assert apart.results.tasks == alone.results.tasks
    assert read_evaluation(tmp_path / "apart/run-0").results.digest != apart.results.digest


def test_an_adapter_is_called_by_what_tells_it_from_the_others() -> None:
    assert names_apart(["runs/a/round-1/checkpoint", "runs/b/round-1/checkpoint"]) == ["a", "b"]
    assert names_apart(["./my/lora"]) == ["lora"]
    assert names_apart(["me/lora@main", "me/lora@v2"]) == ["lora@main", "lora@v2"]
    assert names_apart(["x", "x/x"]) == ["x", "x-x"]
    for same in (["a/b", "a//b"], ["a-b/x", "a/b/x"]):
        with pytest.raises(UsageError, match="two are called"):
            names_apart(same)
    with pytest.raises(UsageError, match="name at least one"):
        names_apart([])
