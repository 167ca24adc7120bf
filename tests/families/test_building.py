"""Members of all families are built in float32 with seeds of their own, answer by transformers alone, and are saved
and loaded whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf

from tests.support.families import COMMON, FAMILIES
from tests.support.families.alone import QUESTIONS, greedy
from tests.support.families.member import SIZES, Member

pytestmark = pytest.mark.slow

PARTIAL = {
    "phi4_multimodal": "its processor's loader drops the chat template, which its tokenizer keeps",
    "blip_2": "its processor takes no chat template",
}
"""Members whose processor comes back from a folder without the chat template it was saved with."""


def test_there_are_at_least_fifty_families_and_fifteen_common_ones() -> None:
    assert len(FAMILIES) >= 50
    assert len(COMMON) == len(set(COMMON)) == 15
    assert set(COMMON) <= set(FAMILIES)


def test_a_member_is_the_same_whenever_it_is_built(family: str, member: Member) -> None:
    torch.manual_seed(1)
    again = FAMILIES[family]().model.state_dict()
    assert all(torch.equal(weights, again[name]) for name, weights in member.model.state_dict().items())
    assert member.model.dtype == torch.float32


def test_each_picture_and_each_question_moves_the_logits(member: Member) -> None:
    assert len({picture.size for picture in member.pictures}) == len(SIZES) == 3
    first = [greedy(member, QUESTIONS[0], [picture], tokens=1)[1][0] for picture in member.pictures]
    other = greedy(member, QUESTIONS[1], [member.pictures[0]], tokens=1)[1][0]
    for logits in (*first[1:], other):
        assert float((logits - first[0]).abs().max()) > 0.05


def test_a_saved_member_is_loaded_whole_with_its_processor(family: str, member: Member, tmp_path: Path) -> None:
    folder = member.save(tmp_path)
    kind = type(member.model) if family == "phi4_multimodal" else hf.AutoModelForImageTextToText
    model, report = kind.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True)
    assert not any(report.values())
    processor = hf.AutoProcessor.from_pretrained(folder)
    assert type(processor) is type(member.processor)
    if family in PARTIAL:
        assert processor.chat_template is None
        processor.chat_template = processor.tokenizer.chat_template
    loaded = Member(model=model.eval(), processor=processor, pictures=member.pictures)
    for question in QUESTIONS:
        tokens, logits = greedy(member, question, [member.pictures[1]])
        again, same = greedy(loaded, question, [member.pictures[1]])
        assert tokens == again
        assert torch.equal(logits, same)
