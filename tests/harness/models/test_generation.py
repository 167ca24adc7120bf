"""The logits processors of a model's generation_config.json give `generate`'s greedy answers, batched or not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, BatchFeature

from harness.errors import ModelError
from harness.models.generation import processing_of
from harness.pictures import open_picture
from tasks.pictos.benchmarks import caption_samples
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow

EOS, LONGEST = 3, 12
ENDS = [EOS, *range(20, 380, 11)]
PROMPTS = ("What do you see?", "Is there a dog in the image?\nAnswer.", "Where?")

SETTINGS: dict[str, dict[str, Any]] = {
    "repetition penalty": {"repetition_penalty": 1.3},
    "repetition reward": {"repetition_penalty": 0.7},
    "n-grams": {"no_repeat_ngram_size": 2},
    "least new tokens": {"min_new_tokens": 9},
    "least length, prompt included": {"min_length": 96},
    "tokens that begin no answer": {"begin_suppress_tokens": list(range(20, 400, 3))},
    "a forced end": {"forced_eos_token_id": EOS},
    "a bias": {"sequence_bias": [[[token], 2.5] for token in range(30, 90)]},
    "words of several tokens": {"bad_words_ids": [[98, 520], [478, 832], [803, 432]]},
    "suppressed tokens": {"suppress_tokens": list(range(21, 400, 3))},
    "a pull towards the end": {"exponential_decay_length_penalty": (1, 4.0)},
    "several": {"repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 3, "suppress_tokens": [22, 40]},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"), seed=1)


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(tiny).eval()


@pytest.fixture(scope="module")
def asked(tiny: Path) -> list[BatchFeature]:
    """Prompts of three lengths about two pictures each."""
    processor = AutoProcessor.from_pretrained(tiny)
    turns = [
        [{"role": "user", "content": [{"type": "image", "image": open_picture(sample.images[0])},
                                      {"type": "text", "text": prompt}]}]
        for prompt in PROMPTS for sample in caption_samples("dev", 2)
    ]  # fmt: skip
    return [
        processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=True, return_dict=True,
                                      return_tensors="pt")
        for turn in turns
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_settings(model: Any) -> Any:
    before = model.generation_config.to_dict()
    model.generation_config.eos_token_id = ENDS
    yield
    model.generation_config = type(model.generation_config).from_dict(before)


def _by_generate(model: Any, inputs: BatchFeature) -> list[int]:
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        ids = model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False, num_beams=1)
    answer: list[int] = ids[0, inputs["input_ids"].shape[1] :].tolist()
    return answer


def _batched(model: Any, asked: Sequence[BatchFeature]) -> list[list[int]]:
    """All rows step by step, those that have ended left out: each row's logits by a pass of its own."""
    rows = processing_of(model, "m").rows(
        model, [inputs["input_ids"][0].tolist() for inputs in asked], stop=ENDS, max_tokens=LONGEST
    )
    answers: list[list[int]] = [[] for _ in asked]
    going = list(range(len(asked)))
    while going and len(answers[going[0]]) < LONGEST:
        with torch.inference_mode():
            logits = torch.cat([_next_logits(model, asked[row], answers[row]) for row in going])
            logits = logits if rows is None else rows(going, [answers[row] for row in going], logits)
        for row, token in zip(going, logits.argmax(-1).tolist(), strict=True):
            answers[row].append(token)
        going = [row for row in going if answers[row][-1] not in ENDS]
    return answers


def _next_logits(model: Any, inputs: BatchFeature, answer: Sequence[int]) -> torch.Tensor:
    ids = torch.cat([inputs["input_ids"], torch.tensor([list(answer)], dtype=torch.long)], dim=1)
    logits: torch.Tensor = model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[:, -1].float()
    return logits


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_of_several_lengths_are_answered_as_generate_answers_each(
    model: Any, asked: list[BatchFeature], name: str
) -> None:
    plain = _batched(model, asked)
    for setting, value in SETTINGS[name].items():
        setattr(model.generation_config, setting, value)
    answers = _batched(model, asked)
    assert answers == [_by_generate(model, inputs) for inputs in asked]
    assert answers != plain, "the setting changes answers"


def test_a_model_without_such_settings_has_no_processors(model: Any, asked: list[BatchFeature]) -> None:
    processing = processing_of(model, "m")
    assert processing.about == {}
    assert processing.rows(model, [[1, 2]], stop=ENDS, max_tokens=LONGEST) is None


def test_settings_are_named_whether_followed_or_left_out(model: Any) -> None:
    model.generation_config.repetition_penalty = 1.05
    assert processing_of(model, "m").about == {"generation_config": {"repetition_penalty": 1.05}}
    without = processing_of(model, "m", "none")
    assert without.about == {"generation_config_left_out": {"repetition_penalty": 1.05}}
    assert without.rows(model, [[1, 2]], stop=ENDS, max_tokens=LONGEST) is None


def test_a_picture_token_beyond_the_head_counts_as_any_other(model: Any) -> None:
    """Molmo2's and Mllama's picture tokens have no column of logits."""
    model.generation_config.repetition_penalty = 2.0
    rows = processing_of(model, "m").rows(model, [[1, 9]], stop=[3], max_tokens=4)
    assert rows is not None
    assert rows([0], [[]], torch.tensor([[2.0, 2.0, 2.0, 2.0]])).tolist() == [[2.0, 1.0, 2.0, 2.0]]


@pytest.mark.parametrize(
    ("setting", "value"), [("stop_strings", ["cat"]), ("guidance_scale", 2.0), ("encoder_repetition_penalty", 1.2)]
)
def test_settings_that_cannot_be_followed_are_refused_or_left_out(model: Any, setting: str, value: Any) -> None:
    setattr(model.generation_config, setting, value)
    with pytest.raises(ModelError) as caught:
        processing_of(model, "m")
    assert str(caught.value) == (
        f"m: its generation_config.json sets {setting} to {value}, which is not followed here and changes answers; "
        "leave its settings out by --generation-config none, which results name"
    )
    assert processing_of(model, "m", "none").left_out == {setting: value}
