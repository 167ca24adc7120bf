"""A system turn and a template's own switch for thoughts reach every prompt, or are refused by what is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ModelError
from harness.models.frames import frame_of
from harness.models.load import load_vlm
from harness.models.prompts import PromptReader
from harness.models.template import ChatTemplate
from harness.types import Sample, Sampling
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.training.build import CHAT_TEMPLATE
from tests.support.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny

QUESTION = [{"type": "image"}, {"type": "text", "text": "What?"}]
TEXTS_ALONE = (
    "{% for message in messages %}{{ message['role'] + ': ' }}"
    "{% if message['role'] == 'system' %}{{ message['content'] | trim }}"
    "{% else %}{% for part in message['content'] %}{{ part['text'] or '<image>' }}{% endfor %}{% endif %}{{ '\n' }}"
    "{% endfor %}"
)
"""As Llama 3.2 has it: the system turn is a text."""
THINKS = CHAT_TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}{{ '<think></think>' }}{% endif %}"


def _template(text: str, **options: Any) -> ChatTemplate:
    return ChatTemplate(llama_like_processor(chat_template=text), **options)


def test_a_system_turn_stands_before_every_question() -> None:
    template = _template(HUB_TEMPLATE, system="Be brief.")
    assert template.written(QUESTION) == "SYSTEM: Be brief. USER: <image>\nWhat? ASSISTANT:"
    assert template.written(QUESTION, "A cat.").startswith("SYSTEM: Be brief. USER: <image>\nWhat? ASSISTANT: A cat.")


def test_a_template_that_takes_texts_is_given_a_text() -> None:
    assert _template(TEXTS_ALONE, system="Be brief.").written(QUESTION) == "system: Be brief.\nuser: <image>What?\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHAT_TEMPLATE, "it writes it as an answer"),
        ("{% for message in messages if message['role'] == 'user' %}{{ 'USER: ?' }}{% endfor %}", "it leaves it out"),
        (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}",
            "System role not supported",
        ),
    ],
    ids=["as an answer", "left out", "raises"],
)
def test_a_template_without_a_system_turn_is_told(text: str, reason: str) -> None:
    with pytest.raises(ModelError) as caught:
        _template(text, system="Be brief.")
    assert str(caught.value) == (
        f"system prompt 'Be brief.': the model's chat template has no place for it ({reason}); leave it away, or put "
        "it into the task's prompts"
    )


def test_thinking_is_given_to_a_template_that_knows_it() -> None:
    written = {choice: _template(THINKS, thinking=choice).written(QUESTION) for choice in (None, "on", "off")}
    assert written["on"] == written[None]
    assert written["off"] == f"{written[None]}<think></think>"


def test_a_template_that_knows_no_thinking_is_told() -> None:
    with pytest.raises(ModelError, match=r"^thinking off: the model's chat template does not know enable_thinking"):
        _template(CHAT_TEMPLATE, thinking="off")


def test_what_a_system_prompt_spells_like_a_special_token_is_text() -> None:
    processor = llama_like_processor(chat_template=HUB_TEMPLATE)
    reader = PromptReader(processor, frame_of(processor.image_processor), system="No <image> here.</s>")
    (sample,) = caption_samples("dev", 1)
    tokens = reader.prompt(sample)
    assert tokens.count(processor.image_token_id) == reader.heads([sample]).heads[0].pictures == 64
    assert processor.tokenizer.eos_token_id not in tokens


@pytest.mark.slow
def test_a_system_prompt_changes_answers_and_keys_and_stands_in_the_results(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, seed=4, reads=llama_like_processor("first", HUB_TEMPLATE))
    plain = load_vlm("m", path=folder, device="cpu")
    steered = load_vlm("m", path=folder, device="cpu", system="Answer as a pirate would.")
    samples: list[Sample] = caption_samples("dev", 3)
    answers = steered.generate(samples, Sampling(max_tokens=6))
    assert answers != plain.generate(samples, Sampling(max_tokens=6))
    assert steered.settings != plain.settings
    assert (steered.about["system"], "system" in plain.about) == ("Answer as a pirate would.", False)
    with_words = [tuple(steered.reader.tokenizer.decode(steered.reader.prompt(sample))) for sample in samples]
    assert all("pirate" in "".join(text) for text in with_words)
