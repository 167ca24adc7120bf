"""Meta's: Llama 3.2 Vision, Llama 4, Perception LM."""

from __future__ import annotations

import torch
import transformers as hf

from tests.support.families.member import ROPE, SMALL, VISION, Member, member, text
from tests.support.families.vocabulary import numbers, template, vocabulary

SHORT = 24
"""A chunk of attention that is shorter than every prompt here."""


def mllama() -> Member:
    words = vocabulary("<|python_tag|>", image_token="<|image|>")
    shapes = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]
    tower = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_global_layers": 1, "attention_heads": 2,
        "intermediate_size": 48, "vision_output_dim": 64, "image_size": 28, "patch_size": 14, "max_num_tiles": 4,
        "intermediate_layers_indices": [0], "supported_aspect_ratios": shapes,
    }  # fmt: skip
    fields = text(words, num_hidden_layers=4, cross_attention_layers=[1, 3], rope_parameters=dict(ROPE))
    config = hf.MllamaConfig(vision_config=tower, text_config=fields, image_token_index=words.image_token_id)
    processor = hf.MllamaProcessor(
        image_processor=hf.MllamaImageProcessor(size=SMALL, max_image_tiles=4),
        tokenizer=words, chat_template=template("<|image|>"),
    )  # fmt: skip
    built = member(config, processor, "cross-attention")
    with torch.no_grad():
        for name, weights in built.model.named_parameters():
            if "gate" in name and weights.numel() == 1:
                weights.fill_(1.0)  # it is 0 at first, and pictures are not seen
    return built


def llama4(*, chunk: int = 512) -> Member:
    words = vocabulary(
        "<|image_start|>", "<|image_end|>", "<|patch|>", "<|tile_x_separator|>", "<|tile_y_separator|>",
        image_token="<|image|>",
    )  # fmt: skip
    fields = text(
        words, head_dim=16, intermediate_size_mlp=96, num_hidden_layers=4, num_local_experts=4, num_experts_per_tok=1,
        attention_chunk_size=chunk, no_rope_layers=[1, 0, 1, 0], rope_parameters=dict(ROPE),
    )  # fmt: skip
    tower = {
        **VISION, "intermediate_size": 128, "vision_output_dim": 64, "image_size": 56, "patch_size": 14,
        "projector_input_dim": 64, "projector_output_dim": 64,
    }  # fmt: skip
    config = hf.Llama4Config(
        text_config=fields,
        vision_config=tower,
        **numbers(
            words, boi_token_index="<|image_start|>", eoi_token_index="<|image_end|>", image_token_index="<|patch|>"
        ),
    )
    processor = hf.Llama4Processor(
        image_processor=hf.Llama4ImageProcessor(size={"height": 56, "width": 56}, max_patches=4),
        tokenizer=words, patch_size=14, chat_template=template("<|image|>"),
    )  # fmt: skip
    notes = "attention in chunks, experts"
    return member(config, processor, f"{notes}; a chunk shorter than the prompt" if chunk == SHORT else notes)


def perception_lm() -> Member:
    words = vocabulary(image_token="<|image|>", video_token="<|video|>")
    tower = hf.TimmWrapperConfig(
        architecture="vit_pe_core_tiny_patch16_384",
        model_args={
            "embed_dim": 32, "img_size": (28, 28), "patch_size": 14, "depth": 2, "num_heads": 2, "global_pool": "",
            "use_post_transformer_norm": False, "init_values": 0.1, "ref_feat_shape": (2, 2),
        },
    )  # fmt: skip
    config = hf.PerceptionLMConfig(
        vision_config=tower,
        text_config=hf.LlamaConfig(**text(words)),
        image_token_id=words.image_token_id,
        video_token_id=words.video_token_id,
        vision_use_cls_token=True,
        projector_pooling_ratio=1,
    )
    processor = hf.PerceptionLMProcessor(
        image_processor=hf.PerceptionLMImageProcessor(tile_size=28, max_num_tiles=4, vision_input_type="thumb+tile"),
        video_processor=hf.PerceptionLMVideoProcessor(),
        tokenizer=words, patch_size=14, pooling_ratio=1, chat_template=template("<|image|>"),
    )  # fmt: skip
    return member(config, processor, "its processor takes no pictures of different size at once")
