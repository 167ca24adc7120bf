"""Aya Vision and Command A Vision."""

from __future__ import annotations

import transformers as hf

from tests.support.families.member import ALTERNATING, SMALL, Member, member, siglip_tower, text
from tests.support.families.vocabulary import numbers, template, vocabulary


def aya_vision() -> Member:
    words = vocabulary(
        "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>", "TILE", "TILE_GLOBAL",
        image_token="<image>", img_patch="<|IMG_PATCH|>",
    )  # fmt: skip
    fields = text(words, num_hidden_layers=4, sliding_window=512, layer_types=ALTERNATING)
    config = hf.AyaVisionConfig(
        vision_config=siglip_tower(),
        text_config=hf.Cohere2Config(**fields),
        downsample_factor=2,
        adapter_layer_norm_eps=1e-6,
        **numbers(words, image_token_index="<|IMG_PATCH|>"),
    )
    processor = hf.AyaVisionProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=SMALL, crop_to_patches=True, max_patches=4),
        tokenizer=words, patch_size=14, img_size=28, image_token="<image>", downsample_factor=2,
        chat_template=template("<image>"),
    )  # fmt: skip
    return member(config, processor, "tiles; its logits are scaled")


def cohere2_vision() -> Member:
    words = vocabulary(
        image_token="<|IMG_PATCH|>", boi_token="<|START_OF_IMG|>", eoi_token="<|END_OF_IMG|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )  # fmt: skip
    fields = text(
        words, model_type="cohere2", sliding_window=512,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    )  # fmt: skip
    config = hf.Cohere2VisionConfig(
        vision_config=siglip_tower(),
        text_config=fields,
        image_token_id=words.image_token_id,
        alignment_intermediate_size=64,
    )
    processor = hf.Cohere2VisionProcessor(
        image_processor=hf.Cohere2VisionImageProcessor(size=SMALL, max_patches=4, patch_size=1, downsample_factor=2),
        tokenizer=words, chat_template=template("<|IMG_PATCH|>"),
    )  # fmt: skip
    return member(config, processor, "tiles; its logits are scaled")
