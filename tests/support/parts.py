"""Tiny pretrained parts with random weights, in transformers' folders, and captioned photographs of one colour each."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers as hf
from PIL import Image

from tests.support.families.member import SMALL, VISION, clip_tower, loud, siglip_tower, text
from tests.support.families.vocabulary import vocabulary

TOWERS = {
    "dinov2": lambda: hf.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=42, patch_size=14
    ),
    "registers": lambda: hf.Dinov2WithRegistersConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=42, patch_size=14
    ),
    "clip": clip_tower,
    "siglip": siglip_tower,
    "picture-text": lambda: hf.SiglipConfig(
        vision_config=siglip_tower().to_dict(),
        text_config={"vocab_size": 50, "max_position_embeddings": 8, **VISION},
    ),
}
"""By what each stands for: a class token, more tokens beside the patches, none, and the half of a larger model."""

CHAT = (
    "{% for message in messages %}{{ '<s>' + message['role'] + '\\n' + message['content'] + '</s>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}"
)
"""As language models have it: content is text."""

COLOURS = {"red": (200, 0, 0), "blue": (0, 0, 200), "green": (0, 160, 0), "white": (240, 240, 240)}


def tower(folder: Path, kind: str = "dinov2") -> Path:
    torch.manual_seed(0)
    loud(hf.AutoModel.from_config(TOWERS[kind]())).save_pretrained(folder)
    hf.CLIPImageProcessor(size=SMALL, do_center_crop=False).save_pretrained(folder)
    return folder


def language_model(folder: Path, *, tied: bool = True) -> Path:
    torch.manual_seed(1)
    words = vocabulary()
    words.chat_template = CHAT
    config = hf.LlamaConfig(**text(words, tie_word_embeddings=tied))
    hf.LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def sentence_encoder(folder: Path) -> Path:
    torch.manual_seed(2)
    words = vocabulary()
    config = hf.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
        pad_token_id=words.pad_token_id,
    )  # fmt: skip
    hf.BertModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def photographs(folder: Path, count: int = 8) -> Path:
    """A list of photographs, each of one colour that its captions name."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        name, colour = list(COLOURS.items())[number % len(COLOURS)]
        shade = tuple(max(0, value - 3 * number) for value in colour)
        Image.new("RGB", (40 + number, 30), shade).save(folder / f"{number}.png")
        questions = [{"prompt": f"is it {name}?", "answer": "yes"}]
        rows.append({"image": f"{number}.png", "captions": [f"a {name} square .", f"it is {name}"],
                     "questions": questions})  # fmt: skip
    path = folder / "photographs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
