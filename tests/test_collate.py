"""What is trained is what was asked: the same tokens and the same pictures."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import LlavaProcessor
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

from harness.models.frames import Pictures, frame_of
from harness.models.prompts import PromptReader
from harness.models.vlm import load_vlm
from loops.groups import Pair
from loops.optimise.collate import PairCollator
from loops.optimise.dpo import _rows, optimise_dpo
from loops.recipe import Optimise
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.training.build import processor
from tests.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny

ANSWERS = (("A cat on the left. Two dogs.", "A cup."), ("Two dogs.", "A cat on the left. A bear."))
PAIRS = [
    Pair(sample=sample, chosen=chosen, rejected=rejected, reversed=False)
    for sample, (chosen, rejected) in zip(caption_samples("pool", 2), ANSWERS, strict=True)
]


def _collator(reads: LlavaProcessor, pictures: Pictures | None = None) -> PairCollator:
    return PairCollator(reader=PromptReader(reads, frame_of(reads.image_processor, pictures)))


def _batch(collator: Any, pairs: list[Pair] = PAIRS) -> dict[str, torch.Tensor]:
    return dict(collator(copy.deepcopy(list(_rows(pairs)))))


def _row(batch: dict[str, torch.Tensor], number: int) -> tuple[list[int], list[int]]:
    """(the prompt's tokens, the answer's) of a row."""
    ids, real, said = (batch[name][number] for name in ("input_ids", "attention_mask", "completion_mask"))
    return ids[(real == 1) & (said == 0)].tolist(), ids[said == 1].tolist()


def test_a_word_level_model_is_trained_on_the_batch_that_trl_makes() -> None:
    ours, theirs = _batch(_collator(processor())), _batch(DataCollatorForVisionPreference(processor=processor()))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert torch.equal(ours[name], values), name


@pytest.mark.parametrize("template", [None, HUB_TEMPLATE], ids=["ours", "the hub's"])
@pytest.mark.parametrize("spaces", ["first", "legacy"])
def test_a_llama_like_model_is_trained_on_the_tokens_that_it_is_asked_and_says(
    spaces: Any, template: str | None, tmp_path: Path
) -> None:
    reads = llama_like_processor(spaces, **({"chat_template": template} if template else {}))
    vlm = load_vlm("tiny", path=save_tiny(tmp_path, reads=reads), device="cpu")
    batch = _batch(_collator(reads))
    sides = [(pair.sample, text) for side in ("chosen", "rejected") for pair in PAIRS for text in [getattr(pair, side)]]
    for number, (sample, text) in enumerate(sides):
        prompt, answer = _row(batch, number)
        _, counts = vlm.reader.pixels(vlm.reader.pictures(sample))
        asked = vlm.reader.expanded(vlm.reader.prompt(sample), iter(counts))
        assert prompt == asked
        assert asked[0] == vlm.tokenizer.bos_token_id
        assert answer == [*vlm._spoken(sample, text), vlm.tokenizer.eos_token_id]
    theirs = _batch(DataCollatorForVisionPreference(processor=reads))
    assert _row(theirs, 0) != _row(batch, 0), "TRL's own leaves the first token out"


def test_rows_are_cut_to_the_length_that_trl_is_told() -> None:
    batch = _batch(dataclasses.replace(_collator(processor()), max_length=70))
    assert {values.shape for name, values in batch.items() if name != "pixel_values"} == {(4, 70)}


@pytest.mark.parametrize("pictures", ["pad", "processor"])
def test_the_picture_trained_on_is_the_one_asked_about(pictures: Pictures) -> None:
    reads = llama_like_processor()
    wide = Image.effect_noise((96, 64), 80).convert("RGB")
    sample = dataclasses.replace(PAIRS[0].sample, images=(lambda: wide,))
    collator = _collator(reads, pictures)
    batch = _batch(collator, [dataclasses.replace(PAIRS[0], sample=sample)])
    asked, _ = collator.reader.pixels(collator.reader.pictures(sample))
    assert torch.equal(batch["pixel_values"], torch.cat([asked["pixel_values"]] * 2))


def test_training_counts_its_passes_and_tokens(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    batch = _batch(_collator(processor()))
    tokens, pictures = int(batch["attention_mask"].sum()), int((batch["input_ids"] == 4).sum())
    recipe = Optimise(trl={"per_device_train_batch_size": 2, "num_train_epochs": 3, "learning_rate": 1e-4})
    trained = optimise_dpo(PAIRS, recipe, start=folder, reference=folder, out=tmp_path / "checkpoint", seed=0)
    assert pictures == 4 * 64
    # the policy and the reference read each of three batches
    assert trained.costs == {
        "forward_passes": 6,
        "forward_tokens": 6 * tokens,
        "picture_tokens": 6 * pictures,
        "trained_tokens": 3 * tokens,
    }
