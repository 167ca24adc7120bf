"""The configurations of published models, of the sizes in their config.json, without weights; and what docs/plan.md
shows of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import transformers as hf

from tests.support.pages import read_page, section


def _llava() -> Any:
    return hf.LlavaConfig(
        text_config=hf.LlamaConfig(
            hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32064,
        ),
        vision_config=hf.CLIPVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
            patch_size=14, projection_dim=768,
        ),
        image_token_index=32000,
        image_seq_length=576,
        dtype="float16",
    )  # fmt: skip


def _qwen(width: int, inner: int, layers: int, heads: int, keys: int, words: int, tied: bool) -> Any:
    return hf.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": keys, "vocab_size": words,
            "tie_word_embeddings": tied,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        vision_config={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": width,
            "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31],
        },
        tie_word_embeddings=tied,
        dtype="bfloat16",
    )  # fmt: skip


PUBLISHED: Mapping[str, Callable[[], Any]] = {
    "llava-1.5-7b": _llava,
    "qwen2.5-vl-7b": lambda: _qwen(3584, 18944, 28, 28, 4, 152064, False),
    "qwen2.5-vl-3b": lambda: _qwen(2048, 11008, 36, 16, 2, 151936, True),
}
"""Name of a model's folder -> its configuration."""


def save_published(folder: Path) -> None:
    """A folder of config.json alone for each model, in `folder`."""
    for name, config in PUBLISHED.items():
        config().save_pretrained(folder / name)


def plan_shown(title: str) -> tuple[list[str], str]:
    """(the words of the command below a heading of docs/plan.md, what it prints there)."""
    shown = section(read_page("docs/plan.md"), title)
    command, printed = re.findall(r"^```(?:sh|text)\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
    return shlex.split(command.replace("\\\n", " "))[1:], printed
