"""Gemma and PaliGemma: pictures are attended to both ways; windows; layers that share keys and values."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.families.member import ALTERNATING, SMALL, VISION, Member, member, siglip_tower, text
from tests.support.families.vocabulary import numbers, template, vocabulary

CLOSE = "<end_of_turn>"
SHORT = 24
"""A window that is shorter than every prompt here."""


def paligemma() -> Member:
    words = vocabulary(image_token="<image>")
    images = hf.SiglipImageProcessor(size=SMALL)
    images.image_seq_length = 4
    processor = hf.PaliGemmaProcessor(
        image_processor=images, tokenizer=words, chat_template=template("<image>", bos="")
    )
    config = hf.PaliGemmaConfig(
        vision_config=siglip_tower(projection_dim=64),
        text_config=hf.GemmaConfig(**text(words, head_dim=16)),
        image_token_index=words.image_token_id,
        projection_dim=64,
        hidden_size=64,
        vocab_size=len(words),
    )
    return member(config, processor, "the whole prompt is attended to both ways")


def gemma3(*, window: int = 512) -> Member:
    words = vocabulary(
        CLOSE, image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    fields = text(
        words, head_dim=16, query_pre_attn_scalar=16, num_hidden_layers=4, sliding_window=window,
        layer_types=ALTERNATING,
    )  # fmt: skip
    config = hf.Gemma3Config(
        vision_config=siglip_tower(image_size=56),
        text_config=hf.Gemma3TextConfig(**fields),
        mm_tokens_per_image=4,
        image_token_index=words.image_token_id,
        boi_token_index=words.boi_token_id,
        eoi_token_index=words.eoi_token_id,
    )
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        tokenizer=words, image_seq_length=4, chat_template=template("<start_of_image>", close=CLOSE),
    )  # fmt: skip
    return member(config, processor, _windowed("both ways inside a picture", window), close=CLOSE)


def gemma3n() -> Member:
    words = vocabulary(
        CLOSE, image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>",
        audio_token="<audio_soft_token>", boa_token="<start_of_audio>", eoa_token="<end_of_audio>",
    )  # fmt: skip
    size = len(words)
    fields = text(
        words, head_dim=16, num_hidden_layers=4, vocab_size_per_layer_input=size, hidden_size_per_layer_input=8,
        sliding_window=512, num_kv_shared_layers=2, layer_types=ALTERNATING, activation_sparsity_pattern=[0.0] * 4,
        altup_num_inputs=2, laurel_rank=8,
    )  # fmt: skip
    tower = {
        "architecture": "mobilenetv5_300m_enc", "model_args": {"channel_multiplier": 0.05}, "hidden_size": 2048,
        "vocab_size": 8, "vocab_offset": size,
    }  # fmt: skip
    sound = {
        "vocab_size": 8, "vocab_offset": size + 8, "hidden_size": 32, "conf_num_attention_heads": 2,
        "conf_num_hidden_layers": 1, "sscp_conv_channel_size": [8, 4],
    }  # fmt: skip
    config = hf.Gemma3nConfig(
        text_config=fields, vision_config=tower, audio_config=sound, vision_soft_tokens_per_image=256,
        image_token_id=words.image_token_id, boi_token_id=words.boi_token_id, eoi_token_id=words.eoi_token_id,
        audio_token_id=words.audio_token_id, boa_token_id=words.boa_token_id, eoa_token_id=words.eoa_token_id,
    )  # fmt: skip
    processor = hf.Gemma3nProcessor(
        feature_extractor=hf.Gemma3nAudioFeatureExtractor(),
        image_processor=hf.SiglipImageProcessor(size={"height": 256, "width": 256}),
        tokenizer=words, image_seq_length=256, audio_seq_length=4,
        chat_template=template("<image_soft_token>", close=CLOSE),
    )  # fmt: skip
    return member(config, processor, "timm's tower, shared layers", close=CLOSE)


def gemma4(*, window: int = 512, both_ways: str | None = "vision") -> Member:
    words = _words()
    fields = text(
        words, head_dim=16, num_hidden_layers=4, vocab_size_per_layer_input=len(words), hidden_size_per_layer_input=8,
        sliding_window=window, layer_types=ALTERNATING, use_bidirectional_attention=both_ways,
        num_kv_shared_layers=2, global_head_dim=16,
    )  # fmt: skip
    tower = {
        **VISION, "num_key_value_heads": 2, "head_dim": 16, "patch_size": 8, "position_embedding_size": 64,
        "pooling_kernel_size": 2,
    }  # fmt: skip
    config = hf.Gemma4Config(text_config=fields, vision_config=tower, audio_config=None, **_tokens(words))
    processor = hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(patch_size=8, max_soft_tokens=70, pooling_kernel_size=2),
        video_processor=hf.Gemma4VideoProcessor(),
        tokenizer=words, chat_template=template("<|image|>", close=CLOSE), image_seq_length=70,
    )  # fmt: skip
    how = "both ways inside a picture, shared layers" if both_ways else "causal, shared layers"
    return member(config, processor, _windowed(how, window), close=CLOSE)


def gemma4_unified() -> Member:
    words = _words()
    fields = text(
        words, head_dim=16, num_hidden_layers=4, sliding_window=512, layer_types=ALTERNATING,
        use_bidirectional_attention="vision", num_kv_shared_layers=0, global_head_dim=16,
    )  # fmt: skip
    tower = {
        "patch_size": 8, "pooling_kernel_size": 2, "mm_embed_dim": 32, "mm_posemb_size": 64, "output_proj_dims": 32
    }  # fmt: skip
    config = hf.Gemma4UnifiedConfig(text_config=fields, vision_config=tower, audio_config=None, **_tokens(words))
    processor = hf.Gemma4UnifiedProcessor(
        feature_extractor=hf.Gemma4UnifiedAudioFeatureExtractor(),
        image_processor=hf.Gemma4UnifiedImageProcessor(patch_size=8, max_soft_tokens=70, pooling_kernel_size=2),
        video_processor=hf.Gemma4UnifiedVideoProcessor(),
        tokenizer=words, chat_template=template("<|image|>", close=CLOSE), image_seq_length=70,
    )  # fmt: skip
    return member(config, processor, "no vision tower", close=CLOSE)


def _words() -> Any:
    return vocabulary(
        "<|video|>", CLOSE, image_token="<|image|>", boi_token="<|image>", eoi_token="<image|>",
        audio_token="<|audio|>", boa_token="<|audio>", eoa_token="<audio|>",
    )  # fmt: skip


def _tokens(words: Any) -> dict[str, int]:
    return {
        **numbers(words, video_token_id="<|video|>"),
        "image_token_id": words.image_token_id, "boi_token_id": words.boi_token_id,
        "eoi_token_id": words.eoi_token_id, "audio_token_id": words.audio_token_id,
        "boa_token_id": words.boa_token_id, "eoa_token_index": words.eoa_token_id,
    }  # fmt: skip


def _windowed(notes: str, window: int) -> str:
    return f"{notes}; a window shorter than the prompt" if window == SHORT else notes
