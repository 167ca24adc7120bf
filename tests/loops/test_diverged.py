"""A training that diverges leaves no checkpoint, says at which step, and goes on once its recipe is mended."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from trl import DPOTrainer

from harness.errors import ModelError, RecipeError
from harness.files import finite, read_jsonl
from loops.groups import Pair
from loops.kinds import Trained
from loops.ledger import Outcome, open_run
from loops.notes import notes_of_run
from loops.optimise import with_trl
from loops.optimise.dpo import Dpo
from loops.optimise.training import optimise
from tasks.pictos.benchmarks import caption_samples
from tests.support.shell import Strop
from tests.support.worlds import captions, write_run, yes_no

training = pytest.mark.reported("training")

PAIRS = [
    Pair(sample=sample, chosen=f"A {sorted(sample.target)[0]}.", rejected="Two cats.", reversed=False)
    for sample in caption_samples("pool", 8)
]
SMALL = {"per_device_train_batch_size": 2, "learning_rate": 1e-3, "num_train_epochs": 1}


def _train(start: Path, out: Path, pairs: list[Pair] = PAIRS, **changes: Any) -> Trained:
    trl = {**SMALL, **changes.pop("trl", {})}
    return optimise(pairs, Dpo(trl=trl, **changes), start=start, reference=start, out=out, seed=3)


@training
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trl": {"learning_rate": 1e30, "max_grad_norm": 0}}, r"^training diverged: at step 2 of 4 the (loss|norm)"),
        ({"trl": {"learning_rate": 1e30}}, r"^training diverged: at step 2 of 4 the (loss|norm)"),
        ({"trl": {"learning_rate": 1e30}, "weights": "lora"}, r"^training diverged: at step 2 of 4 the (loss|norm)"),
        ({"trl": {"learning_rate": 1e38, "max_steps": 1, "optim": "sgd", "max_grad_norm": 0}}, r"^training diverged: "),
        ({"trl": {"learning_rate": 1e30, "gradient_accumulation_steps": 2}}, r"^training diverged: at step 2 of 2 the"),
        ({"trl": {"learning_rate": 1e30, "bf16": True}}, r"^training diverged: at step 2 of 4 the (loss|norm)"),
    ],
    ids=["unclipped", "clipped", "an adapter", "by its only step", "accumulated", "in half precision"],
)
def test_a_training_that_diverges_is_an_error_and_leaves_nothing(
    tiny: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        _train(tiny, tmp_path / "checkpoint", **changes)
    assert "optimise.trl.learning_rate" in str(caught.value)
    assert not list(tmp_path.rglob("*.safetensors"))


class _OnceInfinite:
    """Gradients as they are, but infinite at one step: clipping would make zeros or NaN of them."""

    def __init__(self, step: int) -> None:
        self.step, self.steps = step, 0

    def __call__(self, model: torch.nn.Module) -> float:
        self.steps += 1
        return math.inf if self.steps == self.step else 1.0


@training
def test_a_gradient_that_is_infinite_at_one_step_stops_the_training(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_trl, "gradient_norm", _OnceInfinite(3))
    with pytest.raises(RecipeError, match=r"^training diverged: at step 3 of 4 the norm of the gradient is inf; lower"):
        _train(tiny, tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint").exists()


@training
def test_finite_gradients_whose_norm_overflows_are_infinite() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    assert with_trl.gradient_norm(layer) == 5.0
    layer.weight.grad = torch.tensor([[3e38, 3e38]])
    assert with_trl.gradient_norm(layer) == math.inf
    layer.weight.grad = None
    assert with_trl.gradient_norm(layer) == 0.0


@training
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_that_are_no_numbers_in_one_tensor_are_found_though_every_loss_was_finite(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    trained = DPOTrainer.train

    def spoil(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = trained(self, *args, **kwargs)
        with torch.no_grad():
            self.model.model.multi_modal_projector.linear_2.bias[0] = number
        return result

    monkeypatch.setattr(DPOTrainer, "train", spoil)
    with pytest.raises(RecipeError) as caught:
        _train(tiny, tmp_path / "checkpoint")
    assert str(caught.value).startswith("training diverged: 1 tensor of ")
    assert "hold NaN or infinity, such as model.multi_modal_projector.linear_2.bias; lower" in str(caught.value)
    assert not (tmp_path / "checkpoint").exists()


@training
def test_a_start_that_holds_no_numbers_is_refused_before_it_is_trained(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "start")
    weights = load_file(tmp_path / "start/model.safetensors")
    next(iter(weights.values())).view(-1)[0] = math.nan
    save_file(weights, tmp_path / "start/model.safetensors", metadata={"format": "pt"})
    with pytest.raises((RecipeError, ModelError), match=r"hold NaN or infinity|not finite"):
        _train(tmp_path / "start", tmp_path / "checkpoint")


@training
@pytest.mark.parametrize(
    ("count", "trl", "steps"),
    [
        (1, {}, 1),
        (3, {"per_device_train_batch_size": 64}, 1),
        (8, {"logging_steps": 500}, 4),
        (8, {"logging_strategy": "no"}, 4),
        (8, {"gradient_accumulation_steps": 100}, 1),
        (8, {"max_steps": 2}, 2),
    ],
    ids=["one pair", "a batch larger than the pairs", "logged late", "not logged", "accumulated beyond them", "cut"],
)
def test_a_short_training_records_its_figures(
    tiny: Path, tmp_path: Path, count: int, trl: dict[str, Any], steps: int
) -> None:
    trained = _train(tiny, tmp_path / "checkpoint", PAIRS[:count], trl=trl)
    assert trained.steps == steps
    assert trained.changed
    assert set(trained.figures) == {
        "loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected"
    }  # fmt: skip
    assert all(value is not None and math.isfinite(value) for value in trained.figures.values())


@training
def test_pairs_that_a_batch_drops_are_no_training(tiny: Path, tmp_path: Path) -> None:
    trl = {"per_device_train_batch_size": 64, "dataloader_drop_last": True}
    with pytest.raises(RecipeError, match=r"^optimise\.trl\.dataloader_drop_last: 8 rows are fewer than a batch of 64"):
        _train(tiny, tmp_path / "checkpoint", trl=trl)
    assert not (tmp_path / "checkpoint").exists()


@training
@pytest.mark.parametrize("changes", [{}, {"weights": "lora", "lora": {"r": 2}}])
def test_a_training_that_moves_nothing_says_so(tiny: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    assert _train(tiny, tmp_path / "checkpoint", trl={"learning_rate": 0}, **changes).changed == 0
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny, tmp_path / "checkpoint"))
    assert all(torch.equal(before[name], after[name]) for name in before)


# The ledger -----------------------------------------------------------------------------------------------------------


@training
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_ledger_line_is_json_whatever_a_stage_tells(tmp_path: Path, number: float) -> None:
    with open_run(tmp_path) as ledger:
        ledger.stage("s", {}, lambda folder: Outcome(facts={"margin": number, "of": [number, 1.5]}, cost={"x": number}))
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    content = json.loads(line, parse_constant=refuse)
    assert content["facts"] == {"margin": None, "of": [None, 1.5]}
    assert content["cost"]["x"] is None


def test_what_is_finite_is_left_as_it_is() -> None:
    assert finite({"a": [1, 2.5, "NaN", None, True]}) == {"a": [1, 2.5, "NaN", None, True]}


# The run --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hone(strop: Strop, tiny: Path, tmp_path: Path) -> Callable[..., Any]:
    """`strop run` of a small round of the tiny model, with these changes."""
    recipe = {
        "name": "small",
        "model": str(tiny),
        "rounds": 1,
        "collect": {"samples": 8, "temperature": 1.5, "max_tokens": 8, "unfinished": "keep", "max_unfinished": 1},
        "verify": {"kind": "random"},
        "optimise": {"trl": SMALL},
        "evaluate": {"limit": 6, "tasks": ["pictos_captions"]},
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))

    def run(*changes: str, more: tuple[str, ...] = ()) -> Any:
        sets = [word for change in changes for word in ("--set", change)]
        return strop("run", "small.yaml", "--out", "out", *sets, *more)

    return run


DIVERGES = ("optimise.trl.learning_rate=1e30", "optimise.trl.max_grad_norm=0")


@training
def test_a_run_that_diverged_keeps_its_stages_and_goes_on_with_the_mended_recipe(
    hone: Callable[..., Any], tmp_path: Path
) -> None:
    for _ in range(2):
        error = hone(*DIVERGES).error()
        assert error.startswith("training diverged: at step 2 of ")
        assert error.endswith(
            "(at round-1/optimise; 5 stages before it kept, the same command or a mended recipe goes on from there)"
        )
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    before = (tmp_path / "out/ledger.jsonl").read_text()
    mended = hone()
    assert mended.code == 0, mended.err
    assert (tmp_path / "out/ledger.jsonl").read_text().startswith(before), "no stage was done again"
    stages = [line["stage"] for line in read_jsonl(tmp_path / "out/ledger.jsonl")]
    assert stages[-3:] == ["round-1/optimise", "round-1/watch", "round-1/eval"]
    assert yaml.safe_load((tmp_path / "out/recipe.yaml").read_text())["optimise"]["trl"] == SMALL
    refused = hone("optimise.trl.learning_rate=1e-4").error()
    assert refused == "out holds a run of another recipe (it differs in optimise); name another --out"


@training
def test_a_run_whose_model_collapsed_keeps_its_stages_and_no_checkpoint(
    hone: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a picture shows is lost, so that all of them get one answer."""
    trained = DPOTrainer.train

    def blind(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = trained(self, *args, **kwargs)
        with torch.no_grad():
            self.model.model.multi_modal_projector.linear_2.weight.zero_()
        return result

    monkeypatch.setattr(DPOTrainer, "train", blind)
    many = ("collect.samples=40", "watch=null", "evaluate.rounds=last")
    error = hone(*many).error()
    assert re.match(r"training collapsed: of 16 greedy answers all are (['\"]).+\1, and ", error)
    assert "(at round-1/optimise; " in error
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    assert hone(*many, "optimise.stop_collapsed=false").code == 0
    assert len(list((tmp_path / "out").rglob("*.safetensors"))) == 1


@training
def test_a_checkpoint_that_equals_its_start_is_told(hone: Callable[..., Any]) -> None:
    output = hone("optimise.trl.learning_rate=0").out
    assert "round 1: training changed no weight; the checkpoint is the one it started from" in output


@training
@pytest.mark.parametrize(
    ("texts", "notes"),
    [
        (["", " ", "cat", "dog"], ["round 1, chair: 50% of the answers are blank, of the seed's 0%"]),
        ([""] * 4, ["round 1, chair: 100% of the answers are blank, of the seed's 0%"]),
        (["cat", "dog", "cat", "cup"], []),
    ],
)
def test_a_honed_model_that_says_nothing_is_told(tmp_path: Path, texts: list[str], notes: list[str]) -> None:
    write_run(tmp_path, [[captions("cat", "dog", "cat", "cup")], [captions(*texts)]])
    assert notes_of_run(tmp_path) == notes


@training
def test_a_honed_model_that_nobody_can_read_is_told(tmp_path: Path) -> None:
    questions = yes_no([1] * 4)
    unread = replace(questions, rows=tuple(replace(row, answer="maybe", parsed=None) for row in questions.rows))
    write_run(tmp_path, [[questions], [unread]])
    assert notes_of_run(tmp_path) == ["round 1, quiz: 100% of the answers are unread, of the seed's 0%"]
