"""A member asked by transformers alone, one question at a time: what the engine's answers are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL.Image import Image

from tests.support.families.member import Member

QUESTIONS = (
    "is there a square?",
    "describe the picture in detail, and say how many circles are on the left side of it.",
)
"""Two of different length."""


def turns(question: str, pictures: int, answer: str | None = None) -> list[dict[str, Any]]:
    """A conversation of one question about some pictures, and its answer."""
    shown = [{"type": "image"} for _ in range(pictures)]
    conversation = [{"role": "user", "content": [*shown, {"type": "text", "text": question}]}]
    if answer is not None:
        conversation.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return conversation


def inputs(member: Member, question: str, pictures: Sequence[Image]) -> Mapping[str, torch.Tensor]:
    """What the member's own processor makes of a question, as `apply_chat_template(tokenize=True)` would."""
    processor = member.processor
    written = processor.apply_chat_template(turns(question, len(pictures)), add_generation_prompt=True)
    nested = "multi_page" not in type(processor).valid_processor_kwargs.__annotations__  # GOT-OCR2: nested are pages
    features = processor(
        text=[written],
        images=[list(pictures)] if nested else list(pictures),
        add_special_tokens=not written.startswith(processor.tokenizer.bos_token),
        padding=True,
        padding_side="left",
        return_tensors="pt",
    ).to(dtype=member.model.dtype)
    return {name: values for name, values in features.items() if name != "labels"}


@torch.inference_mode()
def greedy(
    member: Member, question: str, pictures: Sequence[Image], *, tokens: int = 6, **settings: Any
) -> tuple[list[int], torch.Tensor]:
    """(the tokens that `generate` answers with, the logits that each was chosen by (tokens, vocabulary))."""
    forget(member.model)
    prompt = inputs(member, question, pictures)
    generated = member.model.generate(
        **prompt, max_new_tokens=tokens, do_sample=False, output_logits=True, return_dict_in_generate=True,
        suppress_tokens=markup(member), **settings,
    )  # fmt: skip
    logits = torch.stack([step[0] for step in generated.logits])
    return generated.sequences[0, -len(logits) :].tolist(), logits


def stops(member: Member) -> set[int]:
    """The tokens that end an answer."""
    ends = member.model.generation_config.eos_token_id
    return {member.processor.tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}


def markup(member: Member) -> list[int]:
    """Tokens that no answer holds: special ones that end none, and columns of the logits that no token has."""
    words = member.processor.tokenizer
    width = member.model.get_output_embeddings().weight.shape[0]
    special = {number for number, token in words.added_tokens_decoder.items() if token.special and number < width}
    return sorted((special | set(range(len(words), width))) - stops(member))


def forget(model: Any) -> None:
    """Some keep the places of the last pictures on themselves."""
    for module in model.modules():
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None
