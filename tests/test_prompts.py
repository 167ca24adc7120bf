"""A question is asked in the tokens that it is trained in: those of its whole text, whatever the tokenizer."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from transformers import LlavaProcessor

from harness.errors import DataError
from harness.models.frames import frame_of
from harness.models.prompts import PromptReader
from harness.types import Sample
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.training.build import CHAT_TEMPLATE, processor
from tests.tiny import HUB_TEMPLATE, llama_like_processor

ONE = dataclasses.replace(caption_samples("dev", 1)[0], prompt="Is there a dog in the image?\nAnswer.")
NONE = dataclasses.replace(ONE, id="none", images=())
TWO = dataclasses.replace(ONE, id="two", images=ONE.images + caption_samples("dev", 2)[1].images)

SPACE_LAST = CHAT_TEMPLATE.replace("'\nASSISTANT:'", "'\nASSISTANT: '").replace(
    "{% generation %}{{ ' ' }}", "{% generation %}"
)
BEGUN = CHAT_TEMPLATE.replace("{% for message", "{{ '<s>' }}{% for message", 1)

READERS = {
    "word level": lambda: processor(),
    "a space first": lambda: llama_like_processor("first"),
    "a space in each part": lambda: llama_like_processor("legacy"),
    "the hub's template": lambda: llama_like_processor("first", HUB_TEMPLATE),
    "a prompt that ends in a space": lambda: llama_like_processor("first", SPACE_LAST),
    "a template with a first token": lambda: llama_like_processor("first", BEGUN),
}


@pytest.fixture(scope="module", params=READERS.values(), ids=READERS.keys())
def reads(request: pytest.FixtureRequest) -> LlavaProcessor:
    made: LlavaProcessor = request.param()
    return made


def _reader(processor: LlavaProcessor) -> PromptReader:
    return PromptReader(processor, frame_of(processor.image_processor))


def _by_transformers(reader: PromptReader, sample: Sample, answer: str | None = None) -> list[int]:
    """The processor's own tokens of question and answer."""
    pictures = [{"type": "image", "image": picture} for picture in reader.pictures(sample)]
    turns: list[dict[str, Any]] = [{"role": "user", "content": [*pictures, {"type": "text", "text": sample.prompt}]}]
    if answer is not None:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    asked = answer is None
    return list(reader.processor.apply_chat_template(turns, add_generation_prompt=asked, tokenize=True)[0])


def _expanded(reader: PromptReader, sample: Sample, tokens: list[int]) -> list[int]:
    _, counts = reader.pixels(reader.pictures(sample))
    return reader.expanded(tokens, iter(counts))


@pytest.mark.parametrize("sample", [ONE, NONE, TWO], ids=["one picture", "none", "two"])
def test_head_and_tail_are_the_tokens_of_the_whole(reads: LlavaProcessor, sample: Sample) -> None:
    reader = _reader(reads)
    head, tail = reader.cut(reader.prompt(sample))
    assert _expanded(reader, sample, [*head, *tail]) == _by_transformers(reader, sample)
    assert (reader.picture_token in tail, head[-1:]) == (False, (reader.picture_token,) if sample.images else ())


@pytest.mark.parametrize("answer", ["Yes", "A cat on the left. Two dogs."])
def test_an_answer_behind_it_has_the_tokens_of_the_whole_too(reads: LlavaProcessor, answer: str) -> None:
    reader = _reader(reads)
    prompt, said = reader.answered(ONE, answer)
    whole, end = _by_transformers(reader, ONE, answer), [reader.tokenizer.eos_token_id]
    if reads.chat_template == HUB_TEMPLATE:
        end = reader.tokenizer(" ", add_special_tokens=False).input_ids
    assert [*_expanded(reader, ONE, [*prompt, *said]), *end] == whole


def test_an_answers_beginning_decodes_to_it_and_its_tokens_end_where_it_ends(reads: LlavaProcessor) -> None:
    reader, answer = _reader(reads), "A cat on the left. Two dogs."
    _, said = reader.answered(ONE, answer)
    ends = reader.answer_ends(ONE, answer)
    assert reader.tokenizer.decode(said, skip_special_tokens=True).strip() == answer
    assert (len(ends), ends[-1], ends) == (len(said), len(answer), sorted(ends))
    first = reader.answered(ONE, "A cat on the left.")[1]
    assert ends[len(first) - 1] == len("A cat on the left.")
    assert said[: len(first)] == first


def test_a_tail_tokenised_by_itself_has_a_token_more() -> None:
    """The fault that this module is for."""
    reader = _reader(llama_like_processor("first"))
    text = reader.processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ONE.prompt}]}],
        add_generation_prompt=True,
    )
    apart = reader.tokenizer(text.rpartition("<image>")[2], add_special_tokens=False).input_ids
    _, tail = reader.cut(reader.prompt(ONE))
    assert apart == [reader.tokenizer.convert_tokens_to_ids("▁"), *tail]


def test_a_question_that_holds_the_picture_token_is_named() -> None:
    sample = dataclasses.replace(ONE, id="7", prompt="What is <image>?")
    with pytest.raises(DataError, match=r"^sample 7: its text holds '<image>', which stands for a picture; take"):
        _reader(processor()).prompt(sample)
