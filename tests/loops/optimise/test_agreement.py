"""A training whose loss is not about the model's own log-probabilities does not begin."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPVisionModel, LlavaForConditionalGeneration

from harness.errors import RecipeError
from harness.files import read_json, write_json
from loops.groups import Pair
from loops.kinds import Trained
from loops.optimise.dpo import Dpo
from loops.optimise.training import optimise
from tasks.pictos.benchmarks import caption_samples

pytestmark = pytest.mark.slow

TRL = {"learning_rate": 1e-3, "num_train_epochs": 1, "per_device_train_batch_size": 2}
PAIRS = [
    Pair(sample=sample, chosen=f"A {sorted(sample.target)[0]}.", rejected="Two cats.", reversed=False)
    for sample in caption_samples("pool", 4)
]


def _train(start: Path, out: Path, reference: Path | None = None, **trl: Any) -> Trained:
    return optimise(
        PAIRS, Dpo(trl=TRL | trl), start=start, reference=reference or start, out=out / "checkpoint", seed=3
    )


def _changed(method: Callable[..., Any], change: Callable[[Any, dict[str, Any]], None]) -> Callable[..., Any]:
    """A forward pass whose output is changed, by what went in."""

    @functools.wraps(method)  # its inputs are told by their names
    def forward(self: Any, *inputs: Any, **named: Any) -> Any:
        output = method(self, *inputs, **named)
        change(output, {"pixel_values": inputs[0]} | named if inputs else named)
        return output

    return forward


@pytest.mark.parametrize("field", ["logit_scale", "final_logit_softcapping", "logits_scaling"])
def test_a_scale_that_the_models_own_code_does_not_know_is_left_out(tiny: Path, tmp_path: Path, field: str) -> None:
    """As in Aya Vision and Cohere, whose text configurations hold one that only their text models apply."""
    scaled = shutil.copytree(tiny, tmp_path / "scaled")
    config = read_json(scaled / "config.json")
    config["text_config"][field] = 0.0625
    write_json(scaled / "config.json", config)
    apart = [shutil.copytree(start, tmp_path / f"reference of {start.name}") for start in (tiny, scaled)]
    plain, other = _train(tiny, tmp_path / "plain", apart[0]), _train(scaled, tmp_path / "out", apart[1])
    assert plain.figures == other.figures
    first, again = (load_file(tmp_path / name / "checkpoint/model.safetensors") for name in ("plain", "out"))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert read_json(tmp_path / "out/checkpoint/config.json")["text_config"][field] == 0.0625


def test_a_model_that_changes_its_logits_behind_trls_back_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halve(output: Any, inputs: dict[str, Any]) -> None:
        output.logits = output.logits / 2

    own = LlavaForConditionalGeneration.forward
    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", _changed(own, halve))
    with pytest.raises(RecipeError) as caught:
        _train(tiny, tmp_path)
    message = str(caught.value)
    assert message.startswith("optimise: TRL computes -")
    assert " for the log-probability of an answer of 4 tokens, and the model itself -" in message
    assert "\n" not in message
    assert not (tmp_path / "checkpoint").exists()


def test_pictures_that_disturb_each_other_in_a_batch_are_trained_one_at_a_time(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Phi-4 and HunYuan. The same number of pairs counts for each step, which the stage's figures say."""

    def blend(output: Any, inputs: dict[str, Any]) -> None:
        if len(inputs["pixel_values"]) > 2:  # more than the two sides of one pair
            output.last_hidden_state = output.last_hidden_state + 1
            output.hidden_states = [states + 1 for states in output.hidden_states or ()]

    alone = _train(tiny, tmp_path / "alone", per_device_train_batch_size=1, gradient_accumulation_steps=2)
    monkeypatch.setattr(CLIPVisionModel, "forward", _changed(CLIPVisionModel.forward, blend))
    batched = _train(tiny, tmp_path / "batched")
    assert batched.figures == {"per_device_train_batch_size": 1, **alone.figures}
    assert (batched.steps, batched.costs) == (alone.steps, alone.costs)
    first, again = (load_file(tmp_path / name / "checkpoint/model.safetensors") for name in ("alone", "batched"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_most_unlike_pictures_of_the_first_pairs_are_compared(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loops.optimise import agreement
    from loops.optimise.collate import rows_of

    wide = Image.new("RGB", (96, 64))
    unlike = dataclasses.replace(PAIRS[0], sample=dataclasses.replace(PAIRS[0].sample, images=(lambda: wide,)))
    rows = agreement._unlike(rows_of([*PAIRS, unlike]), 2)
    assert [row["images"][0].size for row in rows] == [(64, 64), (96, 64)]
