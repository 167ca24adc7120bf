"""The architectures of the embedded world's models, their tokenizer and processor, made from nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from tasks.pictos.language import words
from tasks.pictos.world import SIDE

PATCH = 8
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'USER:' }}"
    "{% if message['content'] is string %}{{ ' ' + message['content'] }}"
    "{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}{% endif %}{% endfor %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{{ '\nASSISTANT:' }}"
    "{% else %}{% generation %}{{ ' ' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{{ message['content'][0]['text'] }}{% endif %}"
    "{{ '</s>' }}{% endgeneration %}{% endif %}"
    "{% endfor %}"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Widths and depths of one VLM."""

    vision_width: int
    vision_depth: int
    text_width: int
    text_depth: int
    heads: int = 4


SEED = Size(vision_width=160, vision_depth=6, text_width=128, text_depth=4)


def tokenizer() -> PreTrainedTokenizerFast:
    """Word level, lossless on the world's language: a word with a space before it is its own token."""
    vocabulary = [*SPECIAL, "▁"]
    for word in words():
        vocabulary += [word] if word == "\n" else [word, f"▁{word}"]
    core = Tokenizer(WordLevel({token: index for index, token in enumerate(vocabulary)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never"),
            pre_tokenizers.Split(Regex(r"▁?\w+|▁?[^\w▁]|▁"), behavior="isolated"),
        ]
    )
    core.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="never")
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def processor() -> LlavaProcessor:
    """Pictures at their own size, one token a patch, the chat template above."""
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"height": SIDE, "width": SIDE},
            do_center_crop=False,
            do_convert_rgb=True,
            image_mean=[0.5] * 3,
            image_std=[0.25] * 3,
        ),
        tokenizer=tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token="<image>",
    )


def vision_config(size: Size) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=size.vision_width,
        intermediate_size=size.vision_width * 3,
        num_hidden_layers=size.vision_depth,
        num_attention_heads=size.heads,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
    )


def vlm(size: Size, words_of: PreTrainedTokenizerFast, seed: int) -> LlavaForConditionalGeneration:
    """A LLaVA with random weights drawn from `seed`."""
    ids = {token: words_of.convert_tokens_to_ids(token) for token in SPECIAL}
    torch.manual_seed(seed)
    config = LlavaConfig(
        vision_config=vision_config(size),
        text_config=LlamaConfig(
            vocab_size=len(words_of),
            hidden_size=size.text_width,
            intermediate_size=size.text_width * 8 // 3 // 16 * 16,
            num_hidden_layers=size.text_depth,
            num_attention_heads=size.heads,
            # the usual 0.02 is meant for wide models: at this width attention stays flat for a thousand steps with it
            initializer_range=size.text_width**-0.5,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            pad_token_id=ids["<pad>"],
            bos_token_id=ids["<s>"],
            eos_token_id=ids["</s>"],
        ),
        image_token_index=ids["<image>"],
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        pad_token_id=ids["<pad>"],
        eos_token_id=ids["</s>"],
    )
    return LlavaForConditionalGeneration(config)
