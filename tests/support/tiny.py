"""A random VLM of the embedded world's kind, a few thousand weights large, whose greedy answers differ by picture; also
with a Llama-like tokenizer and with the picture settings that the hub stores with LLaVA-1.5."""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters
from typing import Literal

import torch
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

from tasks.pictos.language import caption
from tasks.pictos.training.build import CHAT_TEMPLATE, PATCH, SPECIAL, Size, processor, vlm
from tasks.pictos.world import SIDE, compose, seeds_of

TINY = Size(vision_width=32, vision_depth=1, text_width=32, text_depth=2, heads=2)

HUB_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""As the hub has it for LLaVA-1.5: an answer ends in a space and in no end token."""


def llama_like(spaces: Literal["first", "legacy"]) -> PreTrainedTokenizerFast:
    """Byte pairs of a few captions, with a first token of their own and spaces as Llama's tokenizers write them.

    "first" puts a space before the text; "legacy" before each part of it that lies between two special tokens.
    """
    core = Tokenizer(BPE(unk_token="<unk>", fuse_unk=True))
    if spaces == "first":
        core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    else:
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        core.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    texts = ["USER: ASSISTANT:\n What do you see? Is there a dog in the image?\nAnswer. How many cats are there?"]
    texts += [caption(compose(seed)) for seed in seeds_of("dev", 200)]
    core.train_from_iterator(
        texts,
        BpeTrainer(
            vocab_size=400,
            special_tokens=list(SPECIAL),
            show_progress=False,
            initial_alphabet=list("</>|_" + ascii_letters),
        ),
    )
    core.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", SPECIAL.index("<s>"))])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        extra_special_tokens={"image_token": "<image>"}, clean_up_tokenization_spaces=False, padding_side="left",
    )  # fmt: skip


def llama_like_processor(
    spaces: Literal["first", "legacy"] = "first", chat_template: str = CHAT_TEMPLATE
) -> LlavaProcessor:
    """With such a tokenizer, and pictures as the hub's LLaVA-1.5 has them: the shorter side made small, the middle cut
    out."""
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, do_center_crop=True
        ),
        tokenizer=llama_like(spaces), patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=chat_template, image_token="<image>",
    )  # fmt: skip


def save_tiny(folder: Path, *, size: Size = TINY, seed: int = 0, reads: LlavaProcessor | None = None) -> Path:
    """Save the model of a seed as a checkpoint: weights, configuration, processor (by default Pictos's own)."""
    reader = reads or processor()
    model = vlm(size, reader.tokenizer, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        # As initialised, a tied model says its last token again for ever and looks at no picture: layers that
        # outweigh what they add to, and loud pictures, make it talk.
        for name, weights in model.named_parameters():
            if "language_model.layers" in name and weights.ndim == 2:
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.4)
        for weights in model.model.multi_modal_projector.parameters():
            weights.mul_(20)
    model.save_pretrained(folder)
    reader.save_pretrained(folder)
    return folder


def save_adapter(base: Path, out: Path) -> Path:
    """Save a random LoRA adapter of rank 2 of a checkpoint."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(base)
    lora = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    lora.save_pretrained(out)
    return out
