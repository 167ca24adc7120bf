"""Pixtral's layout: a picture of its own size, row by row."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.families.member import ROPE, VISION, Member, member, text
from tests.support.families.vocabulary import template, vocabulary


def mistral3() -> Member:
    words = _words()
    config = hf.Mistral3Config(
        vision_config=_tower(),
        text_config=hf.MistralConfig(**text(words, head_dim=16, sliding_window=None)),
        image_token_index=words.image_token_id,
        spatial_merge_size=2,
    )
    return member(config, _processor(words, merge=2), "row tokens see the picture")


def pixtral_llava() -> Member:
    words = _words()
    config = hf.LlavaConfig(
        vision_config=_tower(),
        text_config=hf.MistralConfig(**text(words, head_dim=16, sliding_window=None)),
        image_token_index=words.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return member(config, _processor(words, merge=1), "Pixtral-12B's layout, of type llava")


def mistral_large4() -> Member:
    words = _words()
    fields = text(
        words, num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4, n_shared_experts=1,
        num_experts_per_tok=2, kv_lora_rank=16, qk_rope_head_dim=8, v_head_dim=16, qk_nope_head_dim=8, head_dim=8,
        first_k_dense_replace=1, index_topk=1024, index_head_dim=16, index_n_heads=2, rope_parameters=dict(ROPE),
    )  # fmt: skip
    config = hf.MistralLarge4Config(
        vision_config=_tower(), text_config=fields, image_token_index=words.image_token_id, spatial_merge_size=2
    )
    return member(config, _processor(words, merge=2), "latent attention with an indexer, experts")


def lighton_ocr() -> Member:
    words = vocabulary(
        image_token="<|image_pad|>", image_break_token="<|vision_pad|>", image_end_token="<|vision_end|>"
    )
    config = hf.LightOnOcrConfig(
        vision_config=_tower(),
        text_config=hf.Qwen3Config(**text(words, head_dim=16)),
        image_token_id=words.image_token_id,
    )
    processor = hf.LightOnOcrProcessor(
        image_processor=_images(28), tokenizer=words, patch_size=14, chat_template=template("<|image_pad|>")
    )
    return member(config, processor)


def _words() -> Any:
    return vocabulary(image_token="[IMG]", image_break_token="[IMG_BREAK]", image_end_token="[IMG_END]")


def _tower() -> Any:
    return hf.PixtralVisionConfig(**VISION, image_size=112, patch_size=14)


def _images(patch: int) -> Any:
    return hf.PixtralImageProcessor(patch_size={"height": patch, "width": patch}, size={"longest_edge": 112})


def _processor(words: Any, *, merge: int) -> Any:
    return hf.PixtralProcessor(
        image_processor=_images(14), tokenizer=words, patch_size=14, spatial_merge_size=merge,
        chat_template=template("[IMG]"),
    )  # fmt: skip
