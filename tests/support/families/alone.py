"""A member asked by transformers alone, one question at a time: what the engine's answers are held against."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image

from tests.support.families.member import Member

QUESTIONS = (
    "is there a square?",
    "describe the picture in detail, and say how many circles are on the left side of it.",
)
"""Two of different length."""

TIE = 1e-3
"""Logits that are nearer to each other than this may change places in another batch."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Alone:
    """The tokens that `generate` answers with, and the logits each was chosen by, processed (tokens, vocabulary)."""

    tokens: list[int]
    logits: torch.Tensor

    def agrees(self, tokens: Sequence[int], stop: Collection[int]) -> bool:
        """Whether an answer, without the token that ended it, is this one. Where two tokens are as good as each other
        but for rounding, what follows either is not looked at."""
        ours = [token for token in self.tokens if token not in stop]
        for logits, token, other in zip(self.logits, [*ours, None], [*tokens, None], strict=False):
            if token != other:
                nearest = logits[list(stop)].max() if None in (token, other) else logits[other]
                return bool(logits.topk(1).values - nearest < TIE)
        return True


@torch.inference_mode()
def greedy(member: Member, question: str, pictures: Sequence[Image], *, tokens: int = 6) -> Alone:
    """A question asked by itself."""
    return _generated(member, inputs(member, question, pictures), tokens)


@torch.inference_mode()
def greedy_text(member: Member, ids: Sequence[int], *, tokens: int = 6) -> Alone:
    """A prompt to which no picture belongs."""
    prompt = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    return _generated(member, prompt, tokens)


def _generated(member: Member, prompt: Mapping[str, torch.Tensor], tokens: int) -> Alone:
    forget(member.model)
    generated = member.model.generate(
        **prompt, max_new_tokens=tokens, do_sample=False, output_scores=True, return_dict_in_generate=True,
        suppress_tokens=unspoken(member),
    )  # fmt: skip
    logits = torch.stack([step[0] for step in generated.scores])
    return Alone(tokens=generated.sequences[0, -len(logits) :].tolist(), logits=logits)


def stops(member: Member) -> set[int]:
    """The tokens that end an answer."""
    ends = member.model.generation_config.eos_token_id
    return {member.processor.tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}


def picture_tokens(member: Member) -> set[int]:
    """The tokens in whose place a picture's features stand."""
    config = member.model.config
    configs = (config, getattr(config, "vision_config", None))
    named = {getattr(part, name, None) for part in configs for name in ("image_token_id", "image_token_index")}
    return {token for token in named if token is not None}


def unspoken(member: Member) -> list[int]:
    """Columns of the logits that no answer may hold: those of pictures, and those that belong to no token."""
    width = member.model.get_output_embeddings().weight.shape[0]
    pictured = {token for token in picture_tokens(member) if token < width}
    return sorted(pictured | set(range(len(member.processor.tokenizer), width)))


def forget(model: Any) -> None:
    """Some keep the places of the last pictures on themselves."""
    for module in model.modules():
        if hasattr(module, "rope_deltas"):
            module.rope_deltas = None


@torch.inference_mode()
def forced(
    member: Member, question: str, pictures: Sequence[Image], answer: str, end: Sequence[int] = ()
) -> tuple[torch.Tensor, torch.Tensor]:
    """(the tokens of an answer (T,), the logits that `generate` chooses each by (T, vocabulary) where all before it are
    the answer's)."""
    forget(member.model)
    prompt = inputs(member, question, pictures)
    tokens = [*member.processor.tokenizer(answer, add_special_tokens=False).input_ids, *end]
    begun = prompt["input_ids"].shape[1]
    generated = member.model.generate(
        **prompt, max_new_tokens=len(tokens), do_sample=False, output_logits=True, return_dict_in_generate=True,
        eos_token_id=-1, prefix_allowed_tokens_fn=lambda _, ids: [tokens[len(ids) - begun]],
    )  # fmt: skip
    return torch.tensor(tokens), torch.stack([step[0] for step in generated.logits])


def blind_prompts(member: Member, prompt: Mapping[str, torch.Tensor]) -> list[list[int]]:
    """The tokens of a prompt without its picture: all from the first token that has seen it to what closes it is left
    out, and of what opens it, which has not, any number."""
    tokens = prompt["input_ids"][0].tolist()
    special = set(member.processor.tokenizer.added_tokens_decoder)
    places = [place for place, token in enumerate(tokens) if token in picture_tokens(member)]
    first, end = places[0], places[-1] + 1
    while tokens[end] in special:
        end += 1
    starts = [first]
    while starts[-1] > 1 and tokens[starts[-1] - 1] in special:
        starts.append(starts[-1] - 1)
    return [[*tokens[:start], *tokens[end:]] for start in starts]
