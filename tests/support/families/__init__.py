"""Tiny random members of the families of vision-language models that transformers has, in float32, a second each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tests.support.families import cohere, deepseek, gemma, glm, idefics, llama, llava, mistral, others, qwen
from tests.support.families.member import Member

FAMILIES: Mapping[str, Callable[[], Member]] = {
    "llava": llava.llava,
    "llava_tied": partial(llava.llava, tied=True),
    "pixtral_llava": mistral.pixtral_llava,
    "vipllava": llava.vipllava,
    "llava_next": llava.llava_next,
    "llava_onevision": llava.llava_onevision,
    "qwen2_vl": qwen.qwen2_vl,
    "qwen2_5_vl": qwen.qwen2_5_vl,
    "qwen3_vl": qwen.qwen3_vl,
    "qwen3_vl_moe": qwen.qwen3_vl_moe,
    "qwen3_5": qwen.qwen3_5,
    "qwen3_5_moe": qwen.qwen3_5_moe,
    "qwen4_exp": qwen.qwen4_exp,
    "idefics2": idefics.idefics2,
    "idefics3": idefics.idefics3,
    "smolvlm": idefics.smolvlm,
    "internvl": others.internvl,
    "paligemma": gemma.paligemma,
    "gemma3": gemma.gemma3,
    "gemma3_short_window": partial(gemma.gemma3, window=gemma.SHORT),
    "gemma3n": gemma.gemma3n,
    "gemma4": gemma.gemma4,
    "gemma4_causal": partial(gemma.gemma4, both_ways=None),
    "gemma4_short_window": partial(gemma.gemma4, window=gemma.SHORT),
    "gemma4_unified": gemma.gemma4_unified,
    "mistral3": mistral.mistral3,
    "mistral_large4": mistral.mistral_large4,
    "phi4_multimodal": others.phi4_multimodal,
    "aria": others.aria,
    "molmo2": others.molmo2,
    "deepseek_vl": deepseek.deepseek_vl,
    "deepseek_vl_hybrid": deepseek.deepseek_vl_hybrid,
    "kimi_k25": deepseek.kimi_k25,
    "glm4v": glm.glm4v,
    "glm4v_moe": glm.glm4v_moe,
    "glm46v": glm.glm46v,
    "glm_ocr": glm.glm_ocr,
    "glm5_next": glm.glm5_next,
    "mllama": llama.mllama,
    "llama4": llama.llama4,
    "llama4_short_chunk": partial(llama.llama4, chunk=llama.SHORT),
    "perception_lm": llama.perception_lm,
    "aya_vision": cohere.aya_vision,
    "cohere2_vision": cohere.cohere2_vision,
    "lfm2_vl": others.lfm2_vl,
    "lfm3_vl": qwen.lfm3_vl,
    "ovis2": others.ovis2,
    "exaone4_5": qwen.exaone4_5,
    "ernie4_5_vl_moe": glm.ernie4_5_vl_moe,
    "hunyuan_vl": others.hunyuan_vl,
    "lighton_ocr": mistral.lighton_ocr,
    "video_llama_3": qwen.video_llama_3,
    "got_ocr2": others.got_ocr2,
    "blip_2": others.blip_2,
}
"""Name of a member -> what builds it."""

COMMON = (
    "llava", "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "smolvlm", "internvl",
    "gemma3", "gemma4", "mistral3", "paligemma", "molmo2", "glm4v",
)  # fmt: skip
"""Those that every run of the tests asks; the others are asked by `make test-families`."""

REFUSED: Mapping[str, str] = {
    "blip_2": "models of type 'blip-2' keep no cache (past_key_values) that answers could go on from"
}
"""Those that no engine with prefixes can serve -> a part of the message."""
