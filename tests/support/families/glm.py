"""GLM-V, and ERNIE, which writes pictures as it does."""

from __future__ import annotations

from typing import Any

import transformers as hf

from tests.support.families.member import MROPE, ROPE, Member, member, text
from tests.support.families.vocabulary import template, vocabulary

TOWER = {
    "depth": 2, "hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 48, "num_heads": 2, "image_size": 112,
    "patch_size": 14,
}  # fmt: skip
PLACES = {**MROPE, "partial_rotary_factor": 1.0}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 32}
PICTURE = template("<|begin_of_image|><|image|><|end_of_image|>")
AREA = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}


def glm4v() -> Member:
    words = _words()
    config = hf.Glm4vConfig(text_config=_fields(words), vision_config=dict(TOWER), **_tokens(words))
    return member(config, _glm4v_processor(words), "M-RoPE")


def glm4v_moe() -> Member:
    words = _words()
    fields = _fields(words, head_dim=16, **EXPERTS, first_k_dense_replace=1, n_group=1, topk_group=1)
    config = hf.Glm4vMoeConfig(text_config=fields, vision_config=dict(TOWER), **_tokens(words))
    return member(config, _glm4v_processor(words), "M-RoPE, experts")


def glm46v() -> Member:
    words = _words()
    config = hf.Glm46VConfig(
        text_config=_fields(words, model_type="glm4v_text"),
        vision_config={**TOWER, "model_type": "glm4v_vision"},
        **_tokens(words),
    )
    return member(config, _glm46v_processor(words), "M-RoPE")


def glm_ocr() -> Member:
    words = _words()
    config = hf.GlmOcrConfig(text_config=_fields(words, head_dim=16), vision_config=dict(TOWER), **_tokens(words))
    return member(config, _glm46v_processor(words), "M-RoPE")


def glm5_next() -> Member:
    words = _words()
    fields = text(
        words, **EXPERTS, num_key_value_heads=4, num_hidden_layers=4, kv_lora_rank=16, q_lora_rank=16,
        qk_nope_head_dim=16, v_head_dim=16, layer_types=["linear_attention", "indexed_attention"] * 2,
        index_topk=1024, index_head_dim=16, index_n_heads=2, linear_head_dim=16, linear_num_heads=4, hc_mult=2,
        index_kpool=4,
    )  # fmt: skip
    tower = {
        "depth": 2, "hidden_size": 32, "num_heads": 2, "image_size": 112, "out_hidden_size": 64,
        "intermediate_size": 48, "projection_intermediate_size": 64,
    }  # fmt: skip
    config = hf.Glm5NextConfig(text_config=fields, vision_config=tower, **_tokens(words))
    processor = _processor(words, hf.Glm5NextProcessor, hf.Glm5NextImageProcessor, hf.Glm5NextVideoProcessor)
    return member(config, processor, "recurrent states, an indexer")


def ernie4_5_vl_moe() -> Member:
    words = vocabulary(
        image_token="<|IMAGE_PLACEHOLDER|>", video_token="<|VIDEO_PLACEHOLDER|>",
        image_start_token="<|IMAGE_START|>", image_end_token="<|IMAGE_END|>",
        video_start_token="<|VIDEO_START|>", video_end_token="<|VIDEO_END|>",
    )  # fmt: skip
    fields = text(
        words, moe_intermediate_size=[32, 16], moe_num_experts=4, moe_k=2, moe_num_shared_experts=1,
        mlp_layer_types=["dense", "sparse", "sparse"], rope_parameters={**ROPE, "mrope_section": [3, 3, 2]},
    )  # fmt: skip
    tower = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 48}
    config = hf.Ernie4_5_VLMoeConfig(text_config=fields, vision_config=tower, **_tokens(words))
    processor = hf.Ernie4_5_VLMoeProcessor(
        image_processor=hf.Ernie4_5_VLMoeImageProcessor(
            patch_size=14, size={"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
        ),
        video_processor=hf.Ernie4_5_VLMoeVideoProcessor(draw_on_frames=False),  # with them it wants a font's file
        tokenizer=words,
        chat_template=template("<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"),
    )
    return member(config, processor, "token types of its own, experts")


def _words() -> Any:
    return vocabulary(
        image_token="<|image|>", video_token="<|video|>", image_start_token="<|begin_of_image|>",
        image_end_token="<|end_of_image|>", video_start_token="<|begin_of_video|>",
        video_end_token="<|end_of_video|>",
    )  # fmt: skip


def _tokens(words: Any) -> dict[str, int]:
    kinds = ("image", "video")
    names = [f"{kind}{which}_token_id" for kind in kinds for which in ("", "_start", "_end")]
    return {name: getattr(words, name) for name in names}


def _fields(words: Any, **settings: Any) -> dict[str, Any]:
    fields = text(words, rope_parameters=dict(PLACES), **settings)
    return {name: value for name, value in fields.items() if name not in ("bos_token_id", "eos_token_id")}


def _processor(words: Any, kind: Any, images: Any, videos: Any) -> Any:
    return kind(
        image_processor=images(patch_size=14, size=dict(AREA)),
        video_processor=videos(patch_size=14),
        tokenizer=words,
        chat_template=PICTURE,
    )


def _glm4v_processor(words: Any) -> Any:
    return _processor(words, hf.Glm4vProcessor, hf.Glm4vImageProcessor, hf.Glm4vVideoProcessor)


def _glm46v_processor(words: Any) -> Any:
    return _processor(words, hf.Glm46VProcessor, hf.Glm46VImageProcessor, hf.Glm46VVideoProcessor)
