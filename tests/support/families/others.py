"""Families with a layout of their own."""

from __future__ import annotations

import transformers as hf

from tests.support.families.member import ROPE, SMALL, VISION, Member, member, text
from tests.support.families.vocabulary import ends, numbers, template, vocabulary


def internvl() -> Member:
    words = vocabulary(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>"
    )
    config = hf.InternVLConfig(
        vision_config={**VISION, "image_size": [28, 28], "patch_size": [7, 7]},
        text_config=hf.Qwen2Config(**text(words)),
        image_token_id=words.context_image_token_id,
        image_seq_length=4,
    )
    processor = hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=SMALL, crop_to_patches=True, max_patches=4),
        video_processor=hf.InternVLVideoProcessor(size=SMALL),
        tokenizer=words, image_seq_length=4, chat_template=template("<IMG_CONTEXT>\\n"),
    )  # fmt: skip
    return member(config, processor, "tiles; a closing token")


def molmo2() -> Member:
    framing = ("<im_col>", "<low_res_im_start>", "<frame_start>", "<frame_end>", "<im_low>")
    words = vocabulary(
        "<im_patch>", "<im_start>", "<im_end>", *framing, image_token="<|image|>", video_token="<|video|>"
    )
    fields = text(words, head_dim=16, additional_vocab_size=8, rope_parameters=dict(ROPE))
    tower = {**VISION, "num_key_value_heads": 2, "head_dim": 16, "image_size": [28, 28], "patch_size": 7}
    adapter = {
        "vision_feature_layer": [-1, -2], "hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2,
        "head_dim": 16, "intermediate_size": 48, "text_hidden_size": 64,
    }  # fmt: skip
    config = hf.Molmo2Config(
        vision_config=tower,
        adapter_config=adapter,
        text_config={name: value for name, value in fields.items() if name not in ("bos_token_id", "eos_token_id")},
        **numbers(
            words, image_start_token_id="<im_start>", low_res_image_start_token_id="<low_res_im_start>",
            image_end_token_id="<im_end>", image_patch_id="<im_patch>", frame_start_token_id="<frame_start>",
            frame_end_token_id="<frame_end>",
        ),
    )  # fmt: skip
    processor = hf.Molmo2Processor(
        image_processor=hf.Molmo2ImageProcessor(size=SMALL, patch_size=7, max_crops=4, overlap_margins=[1, 1]),
        video_processor=hf.Molmo2VideoProcessor(size=SMALL, patch_size=7),
        tokenizer=words,
        chat_template=template("<|image|>"),
    )
    return member(config, processor, "both ways inside a picture and its framing; ids beyond the head")


def aria() -> Member:
    words = vocabulary(image_token="<|img|>")
    config = hf.AriaConfig(
        vision_config={**VISION, "model_type": "idefics3_vision", "image_size": 490, "patch_size": 70},
        text_config=text(words, moe_num_experts=4, moe_topk=2, moe_num_shared_experts=1, intermediate_size=32),
        image_token_index=words.image_token_id,
        projector_patch_to_query_dict={49: 4, 196: 8},
    )
    processor = hf.AriaProcessor(
        image_processor=hf.AriaImageProcessor(max_image_size=490, min_image_size=336),
        tokenizer=words, chat_template=template("<fim_prefix><|img|><fim_suffix>"), size_conversion={490: 4, 980: 8},
    )  # fmt: skip
    return member(config, processor, "experts")


def phi4_multimodal() -> Member:
    words = vocabulary(image_token="<|image|>", audio_token="<|audio|>")
    tower = {
        **VISION, "crop_size": 448, "image_size": 448, "patch_size": 14, "image_token_id": words.image_token_id,
        "feature_layer": -1,
    }  # fmt: skip
    sound = {
        "hidden_size": 32, "intermediate_size": 48, "num_blocks": 1, "num_attention_heads": 2,
        "ext_pw_out_channel": 32, "nemo_conv_channels": 32, "audio_token_id": words.audio_token_id,
    }  # fmt: skip
    config = hf.Phi4MultimodalConfig(
        **text(words), vision_config=tower, audio_config=sound, original_max_position_embeddings=2048,
        sliding_window=None,
    )  # fmt: skip
    processor = hf.Phi4MultimodalProcessor(
        image_processor=hf.Phi4MultimodalImageProcessor(dynamic_hd=1),
        audio_processor=hf.Phi4MultimodalFeatureExtractor(),
        tokenizer=words,
        chat_template=template("<|image|>"),
    )
    return member(
        config, processor, "no image-text-to-text class; pictures of different size disturb each other",
        kind=hf.Phi4MultimodalForCausalLM,
    )  # fmt: skip


def lfm2_vl() -> Member:
    tiles = [f"<|img_row_{row}_col_{column}|>" for row in (1, 2) for column in (1, 2)]
    words = vocabulary(
        *tiles, image_token="<image>", image_start_token="<|image_start|>", image_end_token="<|image_end|>",
        image_thumbnail="<|img_thumbnail|>", image_row_col=tiles[0],
    )  # fmt: skip
    fields = text(
        words, num_hidden_layers=4, layer_types=["conv", "full_attention"] * 2, conv_L_cache=3, block_ff_dim=96
    )
    config = hf.Lfm2VlConfig(
        vision_config=hf.Siglip2VisionConfig(**VISION, patch_size=14, num_patches=64, vision_use_head=False),
        text_config=hf.Lfm2Config(**fields),
        image_token_id=words.image_token_id,
        downsample_factor=2,
        projector_hidden_size=32,
    )
    processor = hf.Lfm2VlProcessor(
        image_processor=hf.Lfm2VlImageProcessor(
            do_image_splitting=False, min_image_tokens=2, max_image_tokens=16, encoder_patch_size=14, tile_size=56,
            max_num_patches=64,
        ),
        tokenizer=words, chat_template=template("<image>"),
    )  # fmt: skip
    return member(config, processor, "convolution states")


def ovis2() -> Member:
    framing = ["<IMG_START>", "<IMG_END>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>"]
    words = vocabulary(*framing, "<IMG_ATOM>", image_token="<image>")
    tower = {
        **VISION, "image_size": 28, "patch_size": 7, "vocab_size": 64, "hidden_stride": 2,
        "num_visual_indicator_tokens": 5,
    }  # fmt: skip
    config = hf.Ovis2Config(
        vision_config=tower,
        text_config=hf.Qwen2Config(**text(words)),
        visual_indicator_token_ids=words.convert_tokens_to_ids(framing),
        vocab_size=len(words),
        hidden_size=64,
        **numbers(words, image_token_id="<IMG_ATOM>"),
    )
    processor = hf.Ovis2Processor(
        image_processor=hf.Ovis2ImageProcessor(size=SMALL, max_patches=4),
        tokenizer=words, image_token="<image>", image_seq_length=4, chat_template=template("<image>"),
    )  # fmt: skip
    return member(config, processor, "framing tokens are replaced too")


def hunyuan_vl() -> Member:
    words = vocabulary(
        "<im_newline>", image_token="<image>", image_start_token="<im_start>", image_end_token="<im_end>"
    )
    places = {
        **ROPE, "rope_type": "xdrope", "xdrope_section": [2, 2, 2, 2], "alpha": 1.0, "factor": 1.0, "beta_fast": 32,
        "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
    }  # fmt: skip
    tower = {
        **VISION, "out_hidden_size": 64, "patch_size": 16, "max_image_size": 128, "min_image_size": 32,
        "text_hidden_size": 64, "img_max_token_num": 64, "max_vit_seq_len": 64,
    }  # fmt: skip
    config = hf.HunYuanVLConfig(
        text_config=text(words, head_dim=16, rope_parameters=places),
        vision_config=tower,
        **numbers(
            words, image_token_id="<image>", im_start_id="<im_start>", im_end_id="<im_end>",
            im_newline_id="<im_newline>",
        ),
    )  # fmt: skip
    processor = hf.HunYuanVLProcessor(
        image_processor=hf.HunYuanVLImageProcessor(
            patch_size=16, size={"shortest_edge": 32 * 32, "longest_edge": 128 * 128}
        ),
        tokenizer=words, chat_template=template("<im_start><image><im_end>"),
    )  # fmt: skip
    return member(config, processor, "places in four planes; pictures of different size disturb each other")


def got_ocr2() -> Member:
    words = vocabulary("<img>", "</img>", image_token="<imgpad>")
    # its processor writes 256 tokens for a picture, whatever the tower makes of it: 64 x 64 patches, 16 to a token
    tower = {
        "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 128,
        "patch_size": 2, "window_size": 4, "global_attn_indexes": [], "mlp_dim": 48,
    }  # fmt: skip
    config = hf.GotOcr2Config(
        vision_config=tower,
        text_config=hf.Qwen2Config(**text(words)),
        image_token_index=words.image_token_id,
    )
    processor = hf.GotOcr2Processor(
        image_processor=hf.GotOcr2ImageProcessor(size={"height": 128, "width": 128}),
        tokenizer=words, chat_template=template("<imgpad>"),
    )  # fmt: skip
    return member(config, processor, "its processor takes no pictures nested by sample")


def blip_2() -> Member:
    words = vocabulary("<image>")
    fields = {
        "model_type": "opt", "vocab_size": len(words), "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "ffn_dim": 96, "word_embed_proj_dim": 64, "max_position_embeddings": 512,
        **ends(words),
    }  # fmt: skip
    config = hf.Blip2Config(
        vision_config={**VISION, "image_size": 28, "patch_size": 14},
        qformer_config={**VISION, "vocab_size": 64, "encoder_hidden_size": 32},
        text_config=fields,
        num_query_tokens=4,
        **numbers(words, image_token_index="<image>"),
    )
    processor = hf.Blip2Processor(
        image_processor=hf.BlipImageProcessor(size=SMALL), tokenizer=words, num_query_tokens=4
    )
    processor.chat_template = template("")
    return member(config, processor, "no cache in its output")
