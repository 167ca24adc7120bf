"""Pairs read as one row each, and a reference that is asked once, train as stock TRL does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import trl

from loops.groups import Pair
from loops.optimise import paired, training
from loops.optimise.checkpoints import Start, load_reference, load_start
from loops.optimise.collate import NO_TARGET, rows_of
from loops.optimise.dpo import Dpo
from loops.optimise.joined import JoinedPass, joined
from loops.optimise.with_trl import losses
from tasks.pictos.benchmarks import caption_samples

pytestmark = pytest.mark.slow

ANSWERS = [
    ("A cat on the left.", "A cat on the right. A cup."), ("Two dogs.", "Two dogs. A bear."), ("A cup.", "A hat."),
    ("A red cup.", "A red cup."), ("A dog and a cup. A hat.", "A cat."),
]  # fmt: skip
"""Sides that differ inside, of which one goes on where the other ends, that differ at once, and that are alike."""

PAIRS = [
    Pair(sample=sample, chosen=chosen, rejected=rejected, reversed=False)
    for sample, (chosen, rejected) in zip(caption_samples("pool", 5), ANSWERS, strict=True)
]
TRL = {"learning_rate": 1e-4, "per_device_train_batch_size": 2, "max_steps": 20, "logging_steps": 1}


def test_a_row_is_the_chosen_side_and_what_of_the_rejected_one_follows_their_last_common_token() -> None:
    ids = torch.tensor([[7, 8, 1, 2, 0], [7, 8, 1, 3, 4]])
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    labels = ids.masked_fill(mask == 0, NO_TARGET)
    labels[:, :2] = NO_TARGET
    layout = joined(ids, mask, labels)
    assert ids[layout.rows, layout.columns].tolist() == [[7, 8, 1, 2, 1, 3, 4]]
    assert layout.columns.tolist() == [[0, 1, 2, 3, 2, 3, 4]]
    assert layout.labels.tolist() == [[NO_TARGET, 1, 2, NO_TARGET, 3, 4, NO_TARGET]]
    assert layout.sight[0, 0].int().tolist()[2:] == [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1, 1, 1],
    ]
    assert layout.places.tolist() == [[0, 1, 2, 3], [0, 1, 4, 5]]


def _built(start: Path, scratch: Path, **recipe: Any) -> tuple[Start, Any]:
    chosen = Dpo(**{"trl": TRL, **recipe})
    begun = load_start(start, chosen, seed=3)
    settings = training.trl_settings(chosen, str(scratch), seed=3, run_name="")
    return begun, training.agreed_trainer(begun.model, None, PAIRS, chosen, settings, begun.reader, begun.end).trainer


@pytest.mark.parametrize("fields", [{}, {"loss_type": ["ipo", "sft"], "loss_weights": [1.0, 0.5], "ld_alpha": 0.5}])
def test_twenty_steps_have_the_losses_of_stock_trl(tiny: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    _, ours = _built(tiny, tmp_path, trl=TRL | fields)
    assert ours.ways == {"pairs": paired.ONE_ROW}
    ours.train()
    again = load_start(tiny, Dpo(), seed=3)
    stock = trl.DPOTrainer(
        model=again.model, ref_model=load_reference(tiny, Dpo()), args=ours.args, train_dataset=rows_of(PAIRS),
        processing_class=again.processor,
    )  # fmt: skip
    stock.train()
    for name in ("loss", "logps/chosen", "logps/rejected", "mean_token_accuracy", "num_tokens"):
        one, other = ([entry[name] for entry in losses(trainer.state)] for trainer in (ours, stock))
        assert len(one) == 20
        assert one == pytest.approx(other, abs=1e-5, rel=1e-6), name
    assert len(set(one)) > 10


def test_a_model_of_16_bits_reads_pairs_as_one_row_too(tiny: Path, tmp_path: Path) -> None:
    _, trainer = _built(tiny, tmp_path, weights="lora", lora={"r": 2}, dtype="bfloat16")
    assert trainer.joins


def test_a_model_that_one_row_disturbs_reads_two(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be it in the longest pair alone, as where a window ends."""
    own = JoinedPass.__call__

    def disturbed(self: JoinedPass, **inputs: Any) -> Any:
        output = own(self, **inputs)
        if int(inputs["attention_mask"].sum(1).max()) == longest:
            output.log_probs = output.log_probs + 1e-3
        return output

    _, trainer = _built(tiny, tmp_path)
    batches = [trainer.data_collator([row]) for row in trainer.train_dataset]
    longest = max(batch["input_ids"].shape[1] for batch in batches)
    assert trainer.joins
    monkeypatch.setattr(JoinedPass, "__call__", disturbed)
    _, trainer = _built(tiny, tmp_path)
    assert trainer.ways == {"pairs": paired.TWO_ROWS}


def test_dropout_is_drawn_for_each_side_anew(tiny: Path, tmp_path: Path) -> None:
    _, trainer = _built(tiny, tmp_path, trl={**TRL, "disable_dropout": False})
    assert trainer.ways == {"pairs": paired.TWO_ROWS}
