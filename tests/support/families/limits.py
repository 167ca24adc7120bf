"""What is not so in a family, in the words in which it is refused."""

from __future__ import annotations

from collections.abc import Mapping

_PICTURES = "the model's processor does not take its pictures"
_NO_HEAD = "TRL's loss takes a model's layers apart from its head, which models of type 'llama4' do not let it"

LIMITS: Mapping[str, Mapping[str, str]] = {
    "got_ocr2": {"pictures": _PICTURES},
    "llama4": {"dpo": _NO_HEAD},
    "llama4_short_chunk": {"dpo": _NO_HEAD},
    "mistral_large4": {"adapter": "does not fit this model"},  # peft saves names that it does not load again
    "perception_lm": {"pictures": _PICTURES},
}
"""Family -> column of the table in docs/models.md -> a part of the message."""

TWO_ROWS = frozenset({
    "qwen3_5", "qwen3_5_moe", "qwen4_exp", "lfm2_vl", "lfm3_vl",  # states
    "paligemma", "gemma3", "gemma3_short_window", "gemma4", "gemma4_short_window", "gemma4_unified",  # both ways
    "molmo2",
    "glm5_next", "hunyuan_vl",
})  # fmt: skip
"""Families in which a pair cannot be read as one row."""

WITHOUT_ENCODER = frozenset({"gemma4_unified", "phi4_multimodal"})
"""Families in which nothing can be frozen as the encoder of pictures."""
