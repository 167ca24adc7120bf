"""Qwen-VL and what took over its layout: pictures of their own size between two tokens."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.families.member import MROPE, ROPE, VISION, Member, member, text
from tests.support.families.vocabulary import template, vocabulary

TOWER = {"depth": 2, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 48, "num_heads": 2}
GRID = {**TOWER, "patch_size": 16, "num_position_embeddings": 64}
LINEAR = {
    "linear_conv_kernel_dim": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "head_dim": 32, "num_hidden_layers": 4,
    "rope_parameters": {**ROPE, "mrope_section": [2, 1, 1], "mrope_interleaved": True, "partial_rotary_factor": 0.25},
}  # fmt: skip
"""Layers with recurrent states beside those with attention."""
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def qwen2_vl() -> Member:
    words = _words()
    tower = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14}
    config = hf.Qwen2VLConfig(
        text_config=text(words, rope_parameters=dict(MROPE)), vision_config=tower, **_tokens(words)
    )
    return member(config, _processor(words, hf.Qwen2VLProcessor, 14), "M-RoPE")


def qwen2_5_vl() -> Member:
    words = _words()
    config = hf.Qwen2_5_VLConfig(
        text_config=text(words, rope_parameters=dict(MROPE)),
        vision_config={**TOWER, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]},
        **_tokens(words),
    )
    return member(config, _processor(words, hf.Qwen2_5_VLProcessor, 14), "M-RoPE")


def qwen3_vl() -> Member:
    return _qwen3(hf.Qwen3VLConfig, "M-RoPE, DeepStack", num_hidden_layers=4)


def qwen3_vl_moe() -> Member:
    return _qwen3(
        hf.Qwen3VLMoeConfig, "M-RoPE, experts", num_hidden_layers=3, decoder_sparse_step=1, mlp_only_layers=[],
        **EXPERTS,
    )  # fmt: skip


def qwen3_5() -> Member:
    words = _words()
    config = hf.Qwen3_5Config(
        text_config=text(words, **LINEAR, layer_types=["linear_attention", "full_attention"] * 2),
        vision_config=dict(GRID),
        **_tokens(words),
    )
    return member(config, _processor(words, hf.Qwen3VLProcessor, 16, hf.Qwen3VLVideoProcessor), "recurrent states")


def qwen3_5_moe() -> Member:
    words = _words()
    fields = text(words, **LINEAR, **EXPERTS, layer_types=["linear_attention", "full_attention"] * 2)
    config = hf.Qwen3_5MoeConfig(
        text_config={**_without_dense(fields), "shared_expert_intermediate_size": 32},
        vision_config=dict(GRID),
        **_tokens(words),
    )
    processor = _processor(words, hf.Qwen3VLProcessor, 16, hf.Qwen3VLVideoProcessor)
    return member(config, processor, "recurrent states, experts")


def qwen4_exp() -> Member:
    words = _words()
    fields = text(
        words, **LINEAR, **EXPERTS, layer_types=["linear_attention", "indexed_attention"] * 2,
        shared_expert_intermediate_size=32, hc_count=2, hc_lowrank=8, ple_layer_ids=[1], ple_embed_dim=64,
        heads_per_ngram=2, ngram_size=3, ngram_vocab_size_base=50, make_ngram_vocab_size_divisible_by=4,
        split_ngram_parts=1, indexer_n_heads=2, indexer_kv_heads=1, indexer_head_dim=16, indexer_budget=1024,
        indexer_compress_ratio=4,
    )  # fmt: skip
    config = hf.Qwen4ExpConfig(text_config=_without_dense(fields), vision_config=dict(GRID), **_tokens(words))
    processor = _processor(words, hf.Qwen3VLProcessor, 16, hf.Qwen3VLVideoProcessor)
    return member(config, processor, "recurrent and n-gram states, an indexer with places in the cache")


def exaone4_5() -> Member:
    words = _words()
    fields = text(
        words, model_type="exaone4", head_dim=16, sliding_window=512, sliding_window_pattern=2,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
    )  # fmt: skip
    tower = {**TOWER, "num_key_value_heads": 1, "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]}
    config = hf.Exaone4_5_Config(
        text_config=fields, vision_config=tower, image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )  # fmt: skip
    return member(config, _processor(words, hf.Exaone4_5_Processor, 14), "its hook drops the places")


def lfm3_vl() -> Member:
    words = _words()
    fields = text(
        words, model_type="lfm3", layer_types=["conv", "sliding_attention", "full_attention"], sliding_window=512
    )
    tower = {**VISION, "num_key_value_heads": 1, "patch_size": 16}
    config = hf.Lfm3VlConfig(text_config=fields, vision_config=tower, projector_hidden_size=32, **_tokens(words))
    processor = _processor(words, hf.Lfm3VlProcessor, 16, hf.Qwen3VLVideoProcessor)
    return member(config, processor, "convolution states, a window")


def video_llama_3() -> Member:
    words = _words()
    config = hf.VideoLlama3Config(
        text_config=hf.Qwen2Config(**text(words)),
        vision_config={**VISION, "patch_size": 14},
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
    )
    processor = hf.VideoLlama3Processor(
        image_processor=hf.VideoLlama3ImageProcessor(
            patch_size=14, size={"shortest_edge": 14 * 14, "longest_edge": 112 * 112}
        ),
        video_processor=hf.VideoLlama3VideoProcessor(patch_size=14),
        tokenizer=words,
        chat_template=template("<|image_pad|>"),
    )
    return member(config, processor)


def _qwen3(kind: Any, notes: str, **settings: Any) -> Member:
    words = _words()
    fields = text(words, head_dim=16, rope_parameters={**MROPE, "mrope_interleaved": True}, **settings)
    config = kind(
        text_config={name: value for name, value in fields.items() if name not in ("bos_token_id", "eos_token_id")},
        vision_config={**GRID, "depth": 3, "deepstack_visual_indexes": [0, 1]},
        **_tokens(words),
    )
    return member(config, _processor(words, hf.Qwen3VLProcessor, 16, hf.Qwen3VLVideoProcessor), notes)


def _words() -> Any:
    return vocabulary(
        image_token="<|image_pad|>", video_token="<|video_pad|>", vision_start_token="<|vision_start|>",
        vision_end_token="<|vision_end|>",
    )  # fmt: skip


def _tokens(words: Any) -> dict[str, int]:
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {name: getattr(words, name) for name in names}


def _without_dense(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "intermediate_size"}


def _processor(words: Any, kind: Any, patch: int, videos: Any = hf.Qwen2VLVideoProcessor) -> Any:
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": (8 * patch) ** 2}
    return kind(
        image_processor=hf.Qwen2VLImageProcessor(patch_size=patch, size=size),
        video_processor=videos(patch_size=patch, size=size),
        tokenizer=words,
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>"),
    )
