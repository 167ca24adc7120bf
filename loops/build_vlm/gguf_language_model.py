"""A language model out of a GGUF file, de-quantised."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from harness.models.loading import model_errors, quiet


def write_language_model(gguf_file: Path, folder: Path) -> None:
    """Write the model of a GGUF file as transformers' folder: safetensors in float32, tokenizer, chat template.

    Raises `ModelError` where transformers cannot read it.
    """
    quiet()
    with model_errors(f"{gguf_file}: does not load as a language model; name another file"):
        model = AutoModelForCausalLM.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
        config = AutoConfig.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
        plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(model.state_dict())  # what was read from GGUF says that it is quantised, and is not saved
        plain.generation_config = model.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
