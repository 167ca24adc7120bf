"""A few small questions to a model just loaded: one that cannot be asked is told before any data are read, and what its
questions can share is measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from harness.errors import ModelError
from harness.models.loading import model_errors
from harness.types import Sample, Sampling

if TYPE_CHECKING:
    from harness.models.vlm import Vlm

ALIKE = {torch.float32: 1e-8}
"""How far (Kullback-Leibler divergence, nats) the next token's distribution may lie from that of a whole prompt read
alone, by precision; 0.01 in a half one. Right answers gave at most 1e-13 and 2e-4, wrong ones 4e-7 and 0.05 or more."""

SHAPES = ((112, 112), (336, 112))
"""Width and height of the pictures; towers and processors that mix up pictures do so where these differ."""

QUESTIONS = ("What do you see?", "Is there a dog in the image, on the left?")


def refuse_unusable(vlm: Vlm) -> None:
    """Raise `ModelError`, with the reason and the remedy, where the model does not answer about a picture; else settle
    what its questions share (`Vlm.prefix`).

    Costs a few passes over a prompt; `Vlm.costs` counts from here on.
    """
    _refuse_other_halves(vlm)
    samples = [
        Sample(id=f"probe {number}", prompt=prompt, images=(partial(_picture, shape),), target=None, cluster=str(shape))
        for number, (shape, prompt) in enumerate(
            [(SHAPES[0], QUESTIONS[0]), (SHAPES[0], QUESTIONS[1]), (SHAPES[1], QUESTIONS[0])]
        )
    ]
    with model_errors(
        f"{vlm.name}: its chat template cannot write a question; restore it from where the model came from"
    ):
        vlm.reader.question(samples[0])
    with model_errors(
        f"{vlm.name}: does not answer about a picture; patch_size, num_additional_image_tokens, "
        "vision_feature_select_strategy and the picture size of its processor must be those of the vision tower in "
        "config.json"
    ):
        _refuse_beyond(vlm, vlm.reader.prompt(samples[0]))
        _settle_prefix(vlm, samples)
    for name in vlm.costs:
        vlm.costs[name] = 0


@torch.inference_mode()
def _settle_prefix(vlm: Vlm, samples: Sequence[Sample]) -> None:
    """Set `vlm.prefix` to the first of what it may be by which answers are those of whole prompts read alone."""
    vlm.prefix = "whole prompts"
    alone = torch.cat([_next_tokens(vlm, [sample]) for sample in samples])
    reason = ""
    for prefix in vlm.prefixes:
        vlm.prefix = prefix
        try:
            together = _next_tokens(vlm, samples)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (processors raise anything at pictures of unlike size)
            reason = str(error)
            continue
        distance = float((alone.exp() * (alone - together)).sum(-1).max())
        # nothing is shared by the last: a small difference there is the arithmetic of a batch
        if distance <= (0.01 if prefix == vlm.prefixes[-1] else ALIKE.get(vlm.model.dtype, 0.01)):
            return
        reason = f"its next token is {distance:.2g} nats away from that of the prompt alone"
    raise ModelError(f"{vlm.name}: answers to a prompt depend on what is asked beside it ({reason})")


def _next_tokens(vlm: Vlm, samples: Sequence[Sample]) -> torch.Tensor:
    """The log-probabilities (samples, vocabulary) of each answer's first token."""
    rows = []
    for begun in vlm.begun(samples, Sampling(max_tokens=1)):
        vlm.refuse_no_numbers(begun.logits)
        rows += [(row.sample, begun.logits[lane, -1]) for lane, row in enumerate(begun.rows)]
    return torch.stack([logits for _, logits in sorted(rows, key=lambda row: row[0])]).double().log_softmax(-1)


def _refuse_other_halves(vlm: Vlm) -> None:
    """Raise `ModelError` where processor, tokenizer and config.json are not of one model, or a part is not there."""
    name, processor, model = vlm.name, vlm.processor, vlm.model
    if not processor.chat_template and not vlm.reader.suffixes:
        raise ModelError(
            f"{name}: has no chat template, so no question can be written for it; put chat_template.jinja beside its "
            "weights"
        )
    if hasattr(processor, "patch_size") and processor.patch_size is None:
        patch = getattr(model.config.vision_config, "patch_size", "that of the vision tower")
        raise ModelError(
            f"{name}: its processor does not say patch_size, so nobody knows how many tokens a picture takes; set it "
            f"in processor_config.json to {patch}"
        )
    token, vocabulary = vlm.reader.placeholder, processor.tokenizer.get_vocab()
    if token not in vocabulary:
        raise ModelError(
            f"{name}: its tokenizer has no token '{token}' for pictures; restore tokenizer.json and "
            "tokenizer_config.json from where the model came from"
        )
    special = {added.content for added in processor.tokenizer.added_tokens_decoder.values()}
    if beyond := sorted(text for text, number in vocabulary.items() if number >= vlm.words and text not in special):
        raise ModelError(
            f"{name}: its tokenizer has {len(beyond)} tokens, such as '{beyond[0]}', beyond the model's {vlm.words} "
            "embeddings; it belongs to another model"
        )


def _refuse_beyond(vlm: Vlm, tokens: Sequence[int]) -> None:
    """Raise `ModelError` for tokens of a template that the model has no embedding of; pictures' need none."""
    highest = max((token for token in tokens if token not in vlm.framing), default=0)
    if highest >= vlm.words:
        raise ModelError(
            f"{vlm.name}: token {highest} ({vlm.tokenizer.convert_ids_to_tokens(highest)}) of its chat template is "
            f"beyond the model's {vlm.words} embeddings; the tokenizer belongs to another model"
        )


def _picture(shape: tuple[int, int]) -> Image.Image:
    """A ramp of grey, so that no two regions are alike."""
    width, height = shape
    ramp: Any = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT), ramp))
