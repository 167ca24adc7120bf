"""DeepSeek-VL, and Kimi, which has DeepSeek's text model."""

from __future__ import annotations

import transformers as hf

from tests.support.families.member import SMALL, VISION, Member, member, siglip_tower, text
from tests.support.families.vocabulary import numbers, template, vocabulary


def deepseek_vl() -> Member:
    words = vocabulary(image_token="<image_placeholder>")
    config = hf.DeepseekVLConfig(
        vision_config=siglip_tower(),
        text_config=hf.LlamaConfig(**text(words)),
        image_token_id=words.image_token_id,
        tie_word_embeddings=False,
    )
    processor = hf.DeepseekVLProcessor(
        image_processor=hf.DeepseekVLImageProcessor(size=SMALL, min_size=14),
        tokenizer=words, chat_template=template("<image_placeholder>"), num_image_tokens=4,
    )  # fmt: skip
    return member(config, processor)


def deepseek_vl_hybrid() -> Member:
    words = vocabulary(image_token="<image_placeholder>")
    second = {
        "model_type": "sam_vision_model", "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": 128, "patch_size": 16, "window_size": 4, "global_attn_indexes": [1],
        "mlp_dim": 48,
    }  # fmt: skip
    config = hf.DeepseekVLHybridConfig(
        vision_config=siglip_tower(),
        high_res_vision_config=second,
        text_config=hf.LlamaConfig(**text(words)),
        image_token_id=words.image_token_id,
    )
    processor = hf.DeepseekVLHybridProcessor(
        image_processor=hf.DeepseekVLHybridImageProcessor(
            size=SMALL, high_res_size={"height": 128, "width": 128}, min_size=14
        ),
        tokenizer=words, chat_template=template("<image_placeholder>"), num_image_tokens=4,
    )  # fmt: skip
    return member(config, processor, "two towers")


def kimi_k25() -> Member:
    words = vocabulary(
        "<|media_begin|>", "<|media_content|>", "<|media_end|>", image_token="<|media_pad|>",
        video_token="<|kimi_k25_video_placeholder|>",
    )  # fmt: skip
    fields = text(
        words, model_type="deepseek_v3", num_key_value_heads=4, moe_intermediate_size=32, n_routed_experts=4,
        num_experts_per_tok=2, n_shared_experts=1, n_group=1, topk_group=1, kv_lora_rank=16, q_lora_rank=16,
        qk_rope_head_dim=8, v_head_dim=16, qk_nope_head_dim=8, first_k_dense_replace=1,
    )  # fmt: skip
    config = hf.Kimi_K25Config(
        text_config=fields,
        vision_config={**VISION, "pos_emb_height": 8, "pos_emb_width": 8},
        projection_hidden_size=32,
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
        tie_word_embeddings=False,
        **numbers(words, vision_start_token_id="<|media_begin|>", vision_end_token_id="<|media_end|>"),
    )
    processor = hf.Kimi_K25Processor(
        image_processor=hf.Kimi_K25ImageProcessor(),
        video_processor=hf.Kimi_K25VideoProcessor(),
        tokenizer=words,
        chat_template=template("<|media_begin|>image<|media_content|><|media_pad|><|media_end|>"),
    )
    return member(config, processor, "latent attention, experts")
