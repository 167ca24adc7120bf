"""What is trained is what was asked: the same tokens and the same pictures."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import LlavaProcessor
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

from harness.models.flops import weights_of
from harness.models.frames import Pictures, frame_of
from harness.models.load import load_vlm
from harness.models.prompts import PromptReader
from loops.groups import Pair
from loops.optimise.collate import PairCollator, rows_of
from loops.optimise.dpo import Dpo
from loops.optimise.parts import prepare
from loops.optimise.training import optimise
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.training.build import processor
from tests.support.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny
from tests.support.variants import variant

pytestmark = pytest.mark.slow

ANSWERS = (("A cat on the left. Two dogs.", "A cup."), ("Two dogs.", "A cat on the left. A bear."))
PAIRS = [
    Pair(sample=sample, chosen=chosen, rejected=rejected, reversed=False)
    for sample, (chosen, rejected) in zip(caption_samples("pool", 2), ANSWERS, strict=True)
]


def _collator(reads: LlavaProcessor, pictures: Pictures | None = None) -> PairCollator:
    reader = PromptReader(reads, frame_of(reads.image_processor, pictures))
    return PairCollator(reader=reader, end=reads.tokenizer.eos_token_id)


def _batch(collator: Any, pairs: list[Pair] = PAIRS) -> dict[str, torch.Tensor]:
    return dict(collator(copy.deepcopy(list(rows_of(pairs)))))


def _row(batch: dict[str, torch.Tensor], number: int) -> tuple[list[int], list[int]]:
    """(the prompt's tokens, the answer's) of a row."""
    ids, real, text = (batch[name][number] for name in ("input_ids", "attention_mask", "completion_mask"))
    return ids[(real == 1) & (text == 0)].tolist(), ids[text == 1].tolist()


def test_a_word_level_model_is_trained_on_the_batch_that_trl_makes() -> None:
    ours, theirs = _batch(_collator(processor())), _batch(DataCollatorForVisionPreference(processor=processor()))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert torch.equal(ours[name], values), name


def test_an_answer_is_tokenised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    collator, answers, answered = _collator(processor()), [], PromptReader.answered

    def counting(self: PromptReader, sample: Any, answer: str, *head: Any) -> Any:
        answers.append(answer)
        return answered(self, sample, answer, *head)

    monkeypatch.setattr(PromptReader, "answered", counting)
    first, again = _batch(collator), _batch(collator, PAIRS[::-1])
    assert sorted(answers) == sorted(text for pair in ANSWERS for text in pair)
    order = [1, 0, 3, 2]
    assert all(torch.equal(values[order], again[name]) for name, values in first.items())


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
        questions = vlm.reader.prompt(sample)
        assert prompt == questions
        assert questions[0] == vlm.tokenizer.bos_token_id
        assert answer == [*vlm.reader.answered(sample, text)[1], vlm.tokenizer.eos_token_id]
    theirs = _batch(DataCollatorForVisionPreference(processor=reads))
    assert _row(theirs, 0) != _row(batch, 0), "TRL's own leaves the first token out"


def test_rows_are_cut_to_the_length_that_trl_is_told() -> None:
    batch = _batch(dataclasses.replace(_collator(processor()), max_length=80))
    assert {values.shape for name, values in batch.items() if name != "pixel_values"} == {(4, 80)}


@pytest.mark.parametrize("pictures", ["pad", "processor"])
def test_the_picture_trained_on_is_the_one_asked_about(pictures: Pictures) -> None:
    reads = llama_like_processor()
    wide = Image.effect_noise((96, 64), 80).convert("RGB")
    sample = dataclasses.replace(PAIRS[0].sample, images=(lambda: wide,))
    collator = _collator(reads, pictures)
    batch = _batch(collator, [dataclasses.replace(PAIRS[0], sample=sample)])
    questions = collator.reader.heads([sample]).batches[0].pixels
    assert torch.equal(batch["pixel_values"], torch.cat([questions["pixel_values"]] * 2))


def test_training_counts_its_passes_and_tokens(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny")
    batch = _batch(_collator(processor()))
    tokens, pictures = int(batch["attention_mask"].sum()), int((batch["input_ids"] == 4).sum())
    recipe = Dpo(trl={"per_device_train_batch_size": 2, "num_train_epochs": 3, "learning_rate": 1e-4})
    trained = optimise(PAIRS, recipe, start=folder, reference=folder, out=tmp_path / "checkpoint", seed=0)
    assert pictures == 4 * 64
    prompt = len(_row(batch, 0)[0])
    tokens -= 2 * prompt - 1  # read once: a prompt and "A" but for the last token, a prompt but for the last token
    pictures //= 2
    weights = weights_of(prepare(load_vlm("tiny", path=folder).model, recipe.settled(0), seed=0))
    # the reference reads the batch once, the policy three times
    assert trained.costs == {
        "forward_passes": 4,
        "forward_tokens": 4 * tokens,
        "picture_tokens": 4 * pictures,
        "trained_tokens": 3 * tokens,
        "estimated_flops": weights.flops(tokens, pictures) + 3 * weights.flops(tokens, pictures, backwards=True),
    }


@pytest.mark.reported("masks")
@pytest.mark.parametrize("pad", ["</s>", "<s>", "<image>", None])
def test_a_batch_is_filled_by_its_masks_whatever_the_padding_token(pad: str | None) -> None:
    reads, other = processor(), processor()
    other.tokenizer.pad_token = pad
    ours, theirs = _batch(_collator(reads)), _batch(_collator(other))
    for name, values in ours.items():
        assert torch.equal(theirs[name], values), name
    assert (theirs["input_ids"][theirs["attention_mask"] == 0] == 0).all()


MARKUP = "What does <image> show? </s> Is it a <s>cat</s>?"


@pytest.mark.reported("prompts")
@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        (MARKUP, "A cat.", "A dog."),
        ("What do you see?", "A cat. <image>", "A dog."),
        ("What do you see?", "A cat.", "<image>"),
        ("What do you see?", "A cat.</s>", "</s>"),
        ("<image>\n<image>\nWhat do you see?", "<pad><unk>", "s"),
        ("What do you see?", " A cat. ", "ASSISTANT:"),
    ],
)
@pytest.mark.parametrize("spaces", [None, "first"])
def test_pairs_that_hold_markup_are_trained_as_text(
    tmp_path: Path, spaces: Any, prompt: str, chosen: str, rejected: str
) -> None:
    reads = llama_like_processor(spaces) if spaces else processor()
    sample = dataclasses.replace(PAIRS[0].sample, prompt=prompt)
    pair = Pair(sample=sample, chosen=chosen, rejected=rejected, reversed=False)
    batch = _batch(_collator(reads), [pair])
    for number, text in enumerate((chosen, rejected)):
        questions, answer = _row(batch, number)
        assert (questions.count(4), answer.count(4)) == (64, 0), "the picture's tokens alone"
        assert (answer.count(3), answer[-1]) == (1, 3), "it ends once"
        assert reads.tokenizer.decode(answer[:-1]).strip() == (text.strip() if spaces else _unknown(text))
    start = save_tiny(tmp_path / "tiny", reads=reads)
    out = tmp_path / "checkpoint"
    trained = optimise([pair], Dpo(trl={"num_train_epochs": 1}), start=start, reference=start, out=out, seed=0)
    assert trained.steps == 1


def _unknown(text: str) -> str:
    """As the word-level tokenizer of the embedded world writes it, which does not know every sign."""
    reads = processor().tokenizer
    reads.backend_tokenizer.encode_special_tokens = True
    return str(reads.decode(reads.backend_tokenizer.encode(text.strip(), add_special_tokens=False).ids)).strip()


@pytest.mark.reported("stopping")
def test_an_answer_is_trained_to_end_as_the_template_ends_it(tmp_path: Path) -> None:
    """The tokenizer's end of text is another token than the end of a turn, as in Llama 3."""
    own = save_tiny(tmp_path / "own")
    files = {
        "tokenizer_config.json": {"eos_token": "<unk>"},
        "generation_config.json": {"eos_token_id": [1, 3]},
    }
    for name, template, end in (("turn", None, 3), ("hub", HUB_TEMPLATE, 1)):
        texts = {"chat_template.jinja": template} if template else {}
        vlm = load_vlm("m", path=variant(own, tmp_path / name, json_files=files, texts=texts), device="cpu")
        assert vlm.reader.end_token(vlm.stop) == end


@pytest.mark.reported("models")
@pytest.mark.parametrize("lacks", [{"pad_token": ...}, {"pad_token": ..., "eos_token": ...}], ids=["padding", "both"])
def test_a_model_without_padding_or_end_token_is_trained_like_another(tmp_path: Path, lacks: dict[str, Any]) -> None:
    own = save_tiny(tmp_path / "own")
    other = variant(own, tmp_path / "other", json_files={"tokenizer_config.json": lacks})
    for folder in (own, other):
        recipe = Dpo(trl={"learning_rate": 1e-3})
        optimise(PAIRS, recipe, start=folder, reference=folder, out=folder / "next" / "checkpoint", seed=0)
    first, two = (load_file(folder / "next/checkpoint/model.safetensors") for folder in (own, other))
    assert all(torch.equal(first[name], two[name]) for name in first)
