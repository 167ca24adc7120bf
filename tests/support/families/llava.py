"""LLaVA and what kept its layout."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.families.member import SMALL, Member, clip_tower, member, siglip_tower, text
from tests.support.families.vocabulary import template, vocabulary

TEMPLATE = template("<image>\\n")
LAYER = {"vision_feature_layer": -1, "vision_feature_select_strategy": "default"}
READS = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
CROP = {"size": {"shortest_edge": 28}, "crop_size": SMALL}


def llava(*, tied: bool = False) -> Member:
    words = vocabulary(image_token="<image>")
    config = hf.LlavaConfig(
        vision_config=clip_tower(),
        text_config=hf.LlamaConfig(**text(words, tie_word_embeddings=tied)),
        image_token_index=words.image_token_id,
        tie_word_embeddings=tied,
        **LAYER,
    )
    return member(config, _processor(words), "tied head" if tied else "")


def vipllava() -> Member:
    words = vocabulary(image_token="<image>")
    config = hf.VipLlavaConfig(
        vision_config=clip_tower(),
        text_config=hf.LlamaConfig(**text(words)),
        image_token_index=words.image_token_id,
        vision_feature_layers=[-1, -2],
        image_seq_length=4,
    )
    return member(config, _processor(words), "features of two layers")


def llava_next() -> Member:
    words = vocabulary(image_token="<image>")
    grids = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    config = hf.LlavaNextConfig(
        vision_config=clip_tower(),
        text_config=hf.LlamaConfig(**text(words)),
        image_token_index=words.image_token_id,
        image_grid_pinpoints=grids,
        image_seq_length=4,
        **LAYER,
    )
    processor = hf.LlavaNextProcessor(
        image_processor=hf.LlavaNextImageProcessor(**CROP, image_grid_pinpoints=grids),
        tokenizer=words, chat_template=TEMPLATE, **READS,
    )  # fmt: skip
    return member(config, processor, "tiles")


def llava_onevision() -> Member:
    words = vocabulary(image_token="<image>", video_token="<video>")
    grids = [[28, 28], [28, 56], [56, 28], [56, 56], [28, 84], [84, 28]]
    config = hf.LlavaOnevisionConfig(
        vision_config=siglip_tower(),
        text_config=hf.Qwen2Config(**text(words)),
        image_token_index=words.image_token_id,
        video_token_index=words.video_token_id,
        image_grid_pinpoints=grids,
    )
    processor = hf.LlavaOnevisionProcessor(
        image_processor=hf.LlavaOnevisionImageProcessor(size=SMALL, image_grid_pinpoints=grids),
        video_processor=hf.LlavaOnevisionVideoProcessor(size=SMALL),
        tokenizer=words, num_image_tokens=4, vision_feature_select_strategy="full", chat_template=TEMPLATE,
    )  # fmt: skip
    return member(config, processor, "tiles; pictures nested by sample")


def _processor(words: Any) -> Any:
    return hf.LlavaProcessor(
        image_processor=hf.CLIPImageProcessor(**CROP), tokenizer=words, chat_template=TEMPLATE, **READS
    )
