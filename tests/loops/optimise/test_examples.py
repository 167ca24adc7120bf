"""Optimisers that learn from single answers: SFT and KTO compute what their papers say of the model's own numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from loops.groups import Example, Pair
from loops.optimise import agreement, training
from loops.optimise.checkpoints import load_reference, load_start
from loops.optimise.kto import Kto
from loops.optimise.sft import Sft
from loops.optimise.training import TrlOptimiser, optimise, take_a_step
from tasks.pictos.benchmarks import caption_samples

pytestmark = pytest.mark.slow

SAMPLES = caption_samples("pool", 5)
EXAMPLES = [
    Example(sample=sample, answer=text, desirable=desirable)
    for sample, text, desirable in zip(
        SAMPLES, ["A cat.", "Two cats.", "A red cup.", "A dog and a cup.", "A hat."], [True, False, True, True, False],
        strict=True,
    )
]  # fmt: skip
TRL = {"learning_rate": 1e-3, "num_train_epochs": 1, "per_device_train_batch_size": 4}


def _trainer(recipe: TrlOptimiser, start: Path, scratch: Path, other: Path | None = None) -> Any:
    begun = load_start(start, recipe, seed=0)
    reference = load_reference(other, recipe) if other else None
    settings = training.trl_settings(recipe, str(scratch), seed=0, run_name="")
    built = training.agreed_trainer(begun.model, reference, EXAMPLES[:4], recipe, settings, begun.reader, begun.end)
    return built.trainer


def _loss(trainer: Any) -> float:
    batch = trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[number] for number in range(4)]))
    with torch.no_grad():
        return float(trainer.compute_loss(trainer.model.eval(), batch))


def _sums(trainer: Any, rows: list[dict[str, Any]]) -> list[float]:
    """The log-probability of each answer, by the model's own forward pass of it alone."""
    collator = trainer.data_collator
    return [float(agreement._read(trainer.model, collator, row, "completion").log_probs.sum()) for row in rows]


def test_sft_is_the_mean_of_the_answers_tokens(tiny: Path, tmp_path: Path) -> None:
    trainer = _trainer(Sft(trl=TRL), tiny, tmp_path)
    rows = [trainer.train_dataset[number] for number in range(4)]
    tokens = sum(len(values) for values in trainer.log_probs(rows))
    assert _loss(trainer) == pytest.approx(-sum(_sums(trainer, rows)) / tokens, abs=1e-4)


@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_kto_is_the_loss_of_its_paper(tiny: Path, tmp_path: Path, loss: str) -> None:
    """Ethayarajh et al. 2024, equation 7, with the reference point estimated from the answers of others' rows; the
    losses of both sides weigh 1. D'Oosterlinck et al. 2024, equation 7, has none."""
    moved = tmp_path / "moved" / "checkpoint"
    optimise(EXAMPLES, Sft(trl=TRL), start=tiny, out=moved, seed=0)
    trainer = _trainer(Kto(trl={**TRL, "beta": 0.5, "loss_type": loss}), moved, tmp_path, other=tiny)
    rows = [trainer.train_dataset[number] for number in range(4)]
    strangers = [{**row, "completion": rows[number - 1]["completion"]} for number, row in enumerate(rows)]
    policy, away = _sums(trainer, rows), _sums(trainer, strangers)
    trainer.model, trained = trainer.ref_model, trainer.model
    reference, away_before = _sums(trainer, rows), _sums(trainer, strangers)
    trainer.model = trained
    point = max(0.0, sum(away) / 4 - sum(away_before) / 4) if loss == "kto" else 0.0
    losses = []
    for row, now, before in zip(EXAMPLES, policy, reference, strict=False):
        margin = 0.5 * ((now - before) - point) * (1 if row.desirable else -1)
        losses.append(1 - 1 / (1 + math.exp(-margin)))
    assert abs(sum(policy) - sum(reference)) > 0.5
    assert _loss(trainer) == pytest.approx(sum(losses) / 4, abs=1e-4)


@pytest.mark.parametrize("recipe", [Sft(trl=TRL), Kto(trl=TRL), Kto(trl=TRL, weights="lora", lora={"r": 2})])
def test_a_training_moves_the_weights_towards_the_answers_to_give(tiny: Path, tmp_path: Path, recipe: Any) -> None:
    out = tmp_path / "checkpoint"
    trained = optimise(EXAMPLES, recipe, start=tiny, reference=tiny if recipe.relative else None, out=out, seed=0)
    assert trained.steps == 2
    assert trained.changed
    assert math.isfinite(trained.figures["loss"] or math.nan)
    before, after = load_file(tiny / "model.safetensors"), load_file(out / "model.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any("vision_tower" in name for name in moved)


@pytest.mark.parametrize("recipe", [Sft(), Kto()])
def test_a_step_can_be_tried_before_anything_is_asked(tiny: Path, recipe: Any) -> None:
    begun = load_start(tiny, recipe, seed=0)
    reference = load_reference(tiny, recipe) if recipe.relative else None
    take_a_step(begun.model, reference, recipe.trial_rows(SAMPLES[0].blind()), recipe, begun.reader, begun.end)


def test_sft_learns_from_what_was_chosen_and_kto_from_both_sides() -> None:
    pair = Pair(sample=SAMPLES[0], chosen="A cat.", rejected="A dog.", reversed=False)
    assert [row.answer for row in Sft().rows([pair, EXAMPLES[1]])] == ["A cat."]
    assert [(row.answer, row.desirable) for row in Kto().rows([pair])] == [("A cat.", True), ("A dog.", False)]


def test_kto_leaves_no_row_alone_in_a_batch() -> None:
    assert len(Kto(trl={"per_device_train_batch_size": 4}).rows(EXAMPLES)) == 4
    assert len(Kto(trl={"per_device_train_batch_size": 3}).rows(EXAMPLES)) == 5
    with pytest.raises(ValidationError, match="KTO reads the answer of another row of the batch"):
        Kto(trl={"per_device_train_batch_size": 1})
