"""LoRA adapters, merged into a model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from harness.errors import ModelError
from harness.models.weights import weight_files


def with_adapter(model: Any, adapter: Path) -> Any:
    """The model with a LoRA adapter merged into its weights; raises `ModelError` where it does not fit."""
    from peft import PeftConfig, PeftModel

    if not (adapter / "adapter_config.json").is_file():
        raise ModelError(f"adapter {adapter}: no adapter_config.json in it; name a folder that peft saved")
    if not weight_files(adapter):
        raise ModelError(f"adapter {adapter}: no safetensors weights in it; pickled weights are not loaded")
    try:
        config = PeftConfig.from_pretrained(adapter)
        config.inference_mode = True
        adapted = PeftModel(model, config)
        old_names = getattr(model, "_checkpoint_conversion_mapping", {})
        # PeftModel.from_pretrained does these steps, but passes over weights that have no place in the model
        loaded = adapted.load_adapter(adapter, "default", key_mapping=old_names)
    except (ValueError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        raise ModelError(f"adapter {adapter}: does not fit this model ({str(error).splitlines()[0]})") from error
    if strangers := [*loaded.unexpected_keys, *loaded.missing_keys]:
        raise ModelError(
            f"adapter {adapter}: does not fit this model ({len(strangers)} weights of one are not in the other, "
            f"such as {strangers[0]}); it was trained on another"
        )
    return adapted.merge_and_unload()
