"""An adapter is trained on weights of 4 bits, where bitsandbytes is installed; else a line says how to install it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.errors import ModelError
from harness.models.adapters import with_adapter
from harness.models.loading import load_weights
from loops.groups import Pair
from loops.optimise import checkpoints
from loops.optimise.dpo import Dpo
from loops.optimise.training import check_settings, optimise
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.training.build import Size
from tests.support.tiny import save_tiny

installed = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed (pip install 'strop[quantised]')"
)
RECIPE = Dpo(quantise="nf4", lora={"r": 2}, trl={"learning_rate": 1e-3, "num_train_epochs": 1})
PAIRS = [
    Pair(sample=sample, chosen=f"A {sorted(sample.target)[0]}.", rejected="Two cats.", reversed=False)
    for sample in caption_samples("pool", 4)
]


def test_without_the_package_a_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.models.loading.find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        check_settings(RECIPE)
    assert str(caught.value) == (
        "optimise.quantise nf4: needs the package bitsandbytes; pip install 'strop[quantised]'"
    )


@pytest.mark.slow
@installed
def test_what_is_trained_on_4_bits_is_merged_into_the_weights_that_they_were_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # its fast path for CPUs without gradients takes no matrix as narrow as these
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)
    base = save_tiny(
        tmp_path / "base", size=Size(vision_width=64, vision_depth=1, text_width=64, text_depth=2, heads=2)
    )
    begun = checkpoints.load_start(base, RECIPE, seed=0)
    kinds = {type(module).__name__ for module in begun.model.modules()}
    assert "Linear4bit" in kinds
    assert begun.switched_off, "one copy of the weights"
    out = tmp_path / "checkpoint"
    trained = optimise(PAIRS, RECIPE, start=base, reference=base, out=out, seed=0)
    assert trained.steps == 1
    assert trained.changed
    exact = with_adapter(load_weights(base, name="m", dtype=torch.float32), tmp_path / "adapter").state_dict()
    saved = load_weights(out, name="m", dtype=torch.float32).state_dict()
    assert all(torch.equal(values, exact[name]) for name, values in saved.items())
    assert {values.dtype for values in load_file(out / "model.safetensors").values()} == {torch.float32}
