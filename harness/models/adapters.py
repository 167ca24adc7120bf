"""LoRA adapters, merged into a model's weights."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch

from harness.errors import ModelError
from harness.models.loading import model_errors
from harness.models.rounding import draws, rounded

HALVES = (torch.bfloat16, torch.float16)


def without_adapter(model: Any) -> Any:
    """The model under a peft model, with its layers as the adapter left them; any other as it is. (That a model has a
    `peft_config` does not tell them apart: peft sets it on the model under it too.)"""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def with_adapter(model: Any, adapter: Path) -> Any:
    """The model with an adapter merged into its weights; raises `ModelError` where it does not fit."""
    from peft import PeftConfig, PeftModel

    with model_errors(f"adapter {adapter}: does not fit this model"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of peft's is an error here, or done: untied before merging
        config = PeftConfig.from_pretrained(adapter)
        if config.is_prompt_learning:
            raise ModelError(
                f"adapter {adapter}: is of kind {config.peft_type.value}, which cannot be merged into weights; take a "
                "LoRA"
            )
        config.inference_mode = True
        adapted = PeftModel(model, config)
        old_names = getattr(model, "_checkpoint_conversion_mapping", {})
        # PeftModel.from_pretrained does these steps, but passes over weights that have no place in the model
        loaded = adapted.load_adapter(adapter, "default", key_mapping=old_names)
    if strangers := [*loaded.unexpected_keys, *loaded.missing_keys]:
        raise ModelError(
            f"adapter {adapter}: does not fit this model ({len(strangers)} weights of one are not in the other, "
            f"such as {strangers[0]}); it was trained on another"
        )
    with model_errors(f"adapter {adapter}: cannot be merged"):
        return merged(adapted)


def merged(adapted: Any) -> Any:
    """The model under a peft model with its adapter merged in: added up in float32, then rounded to what the model's
    weights are, so that on average nothing of the adapter is lost (`harness.models.rounding`).

    Word embeddings and head that are one tensor are parted first, since both would get what the adapter adds to one of
    them, and answer unlike the model that was trained; they stay so where the adapter made them differ.
    """
    model = adapted.get_base_model()
    head, words = (_stored(layer()) for layer in (model.get_output_embeddings, model.get_input_embeddings))
    tied = head.weight is words.weight
    texts = (model.config, model.config.get_text_config())
    configs = [config for config in texts if hasattr(config, "tie_word_embeddings")]
    flags = [config.tie_word_embeddings for config in configs]
    if tied:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=head.weight.requires_grad)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they are not tied any more, which the configuration says below
        drawn = draws()
        for module in adapted.modules():
            _merge_exactly(module, drawn)
        model = adapted.merge_and_unload()
    if tied:
        head, words = model.get_output_embeddings(), model.get_input_embeddings()
        same = torch.equal(head.weight, words.weight)
        if same:
            head.weight = words.weight
        for config, flag in zip(configs, flags, strict=True):  # peft has taken parted for different
            config.tie_word_embeddings = flag and same
    return model


def _merge_exactly(module: Any, drawn: torch.Generator) -> None:
    """Merge what a layer of peft's holds; peft itself rounds to 16 bits on the way, where the layer is of those."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    if isinstance(module, ModulesToSaveWrapper):
        dtype = next(module.original_module.parameters()).dtype
        for weights in module.modules_to_save.parameters():
            if weights.dtype != dtype:
                weights.data = rounded(weights.data.float(), dtype, drawn)
    if not isinstance(module, BaseTunerLayer):
        return
    layer = [weights for weights in module.get_base_layer().parameters(recurse=False) if weights.is_floating_point()]
    dtypes = [weights.dtype for weights in layer]
    for weights in layer:  # into memory of their own: others may share them (`sharing_copy`), and merging adds in place
        weights.data = weights.data.float() if weights.dtype in HALVES else weights.data.clone()
    module.merge()
    for weights, dtype in zip(layer, dtypes, strict=True):
        weights.data = rounded(weights.data, dtype, drawn) if dtype in HALVES else weights.data


def sharing_copy(model: Any) -> Any:
    """A copy of the model for an adapter to be merged into: its weights are the model's own until a layer is merged."""
    shared = {
        id(weights): torch.nn.Parameter(weights.detach(), requires_grad=weights.requires_grad)
        for weights in model.parameters()
    }
    return copy.deepcopy(model, {**shared, **{id(buffer): buffer for buffer in model.buffers()}})


def _stored(layer: Any) -> Any:
    """The layer of the model within what peft wraps around it."""
    while (inner := getattr(layer, "base_layer", None) or getattr(layer, "original_module", None)) is not None:
        layer = inner
    return layer
