"""Idefics and SmolVLM: a picture's tiles are named by row and column."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.families.member import VISION, Member, member, text
from tests.support.families.vocabulary import numbers, template, vocabulary

CLOSE = "<end_of_utterance>"
TILES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]


def idefics2() -> Member:
    words = vocabulary("<fake_token_around_image>", "<image>", CLOSE)
    config = hf.Idefics2Config(
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        perceiver_config={
            "hidden_size": 64, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2,
            "resampler_head_dim": 16, "num_key_value_heads": 1,
        },
        text_config=hf.MistralConfig(**text(words, sliding_window=None)),
        **numbers(words, image_token_id="<image>"),
    )  # fmt: skip
    size = {"shortest_edge": 28, "longest_edge": 56}
    processor = hf.Idefics2Processor(
        image_processor=hf.Idefics2ImageProcessor(size=size, do_image_splitting=False),
        tokenizer=words, image_seq_len=4, chat_template=template("<image>", close=CLOSE),
    )  # fmt: skip
    return member(config, processor, "its processor writes a space behind the picture", close=CLOSE)


def idefics3() -> Member:
    return _tiled(hf.Idefics3Config, hf.Idefics3Processor, hf.Idefics3ImageProcessor)


def smolvlm() -> Member:
    return _tiled(hf.SmolVLMConfig, hf.SmolVLMProcessor, hf.SmolVLMImageProcessor, hf.SmolVLMVideoProcessor)


def _tiled(kind: Any, processor: Any, images: Any, videos: Any = None) -> Member:
    words = vocabulary(
        "<fake_token_around_image>", "<image>", CLOSE, "<global-img>", *TILES,
        image_token="<image>", fake_image_token="<fake_token_around_image>", global_image_token="<global-img>",
        end_of_utterance_token=CLOSE,
    )  # fmt: skip
    config = kind(
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        text_config=hf.LlamaConfig(**text(words)),
        image_token_id=words.image_token_id,
        scale_factor=2,
        pad_token_id=words.pad_token_id,
    )
    reads = processor(
        image_processor=images(size={"longest_edge": 56}, max_image_size={"longest_edge": 28}),
        tokenizer=words, image_seq_len=4, chat_template=template("<image>", close=CLOSE),
        **({"video_processor": videos()} if videos else {}),
    )  # fmt: skip
    return member(config, reads, "tiles; pictures nested by sample", close=CLOSE)
