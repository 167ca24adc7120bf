"""A vision-language model by name: where it is put, how precisely it computes, and whether it can be asked."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import torch

from harness.errors import ModelError
from harness.models.adapters import sharing_copy, with_adapter
from harness.models.frames import Pictures
from harness.models.hub import origins
from harness.models.loading import load_processor, load_weights, model_errors, usable_device
from harness.models.options import AttnImplementation, Dtype, GenerationSettings, ModelOptions, Thinking
from harness.models.probe import refuse_unusable
from harness.models.vlm import Vlm
from harness.models.weights import adapter_folder, model_digest, model_folder, tell_other_base, weights_size

SMALL = 1_000_000_000
"""Bytes of weights below which `auto` is float32: a small model gains nothing from half precision and loses exactness.
"""

_PACKAGES = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}
"""Where these are not installed, transformers would run a kernel of the hub instead."""


def load_vlm(
    name: str,
    *,
    path: str | Path | None = None,
    adapter: str | Path | Sequence[str | Path] | None = None,
    device: str | None = None,
    dtype: Dtype = "auto",
    attn_implementation: AttnImplementation | None = None,
    pictures: Pictures | None = None,
    system: str | None = None,
    thinking: Thinking | None = None,
    generation_config: GenerationSettings = "model",
    end_bias: float = 0.0,
) -> Vlm:
    """A model by local folder or hub id, with a LoRA adapter (by the same) merged in where one is named;
    several are merged one after the other, so that their changes add up.

    `path` is where the model called `name` lies, if that is not its name; the other options are those of
    `harness.models.options.ModelOptions`. Weights are safetensors, code from the hub is never run. It is asked one
    small question, so that a model that cannot be asked is told at once. Raises `ModelError` with the reason and the
    remedy.
    """
    options = ModelOptions(
        device=device, dtype=dtype, attn_implementation=attn_implementation, pictures=pictures, system=system,
        thinking=thinking, generation_config=generation_config, end_bias=end_bias,
    )  # fmt: skip
    (vlm,) = load_vlms(name, [_listed(adapter)], path=path, options=options)
    return vlm


def load_vlms(
    name: str,
    stacks: Sequence[Sequence[str | Path]],
    *,
    path: str | Path | None = None,
    options: ModelOptions = ModelOptions(),
) -> Iterator[Vlm]:
    """A model with each of these stacks of adapters, one after another; its base weights are read once.

    Weights that no adapter changes are shared, so that a stack takes the memory of the layers that it changes and no
    more. All folders are looked up before anything is loaded. Each is what `load_vlm` gives of its stack, and raises
    as it does.
    """
    folder = model_folder(str(path or name))
    resolved = [[adapter_folder(str(adapter)) for adapter in stack] for stack in stacks]
    for lora in dict.fromkeys(lora for adapters in resolved for lora in adapters):
        tell_other_base(lora, name=name, folder=folder)
    place = usable_device(options.device)
    _refuse_missing(options.attn_implementation)
    model = load_weights(
        folder,
        name=name,
        dtype=precision(options.dtype, place, weights_size(folder)),
        attn_implementation=options.attn_implementation,
    )
    processor = load_processor(folder, name=name)
    with model_errors(f"{name}: cannot be asked"):  # where it has no room
        model = model.eval().to(place)
    for index, adapters in enumerate(resolved):
        adapted = model if index == len(resolved) - 1 else sharing_copy(model)
        for lora in adapters:
            adapted = with_adapter(adapted, lora)
        digest = model_digest(folder, *adapters)
        with model_errors(f"{name}: cannot be asked"):
            vlm = Vlm(
                adapted.eval(),
                processor,
                name=name,
                digest=digest,
                device=place,
                options=options,
                origins=origins(folder, *adapters),
            )
            refuse_unusable(vlm)
        yield vlm


def _listed(adapter: str | Path | Sequence[str | Path] | None) -> Sequence[str | Path]:
    return [adapter] if isinstance(adapter, str | Path) else adapter or ()


def precision(dtype: Dtype, device: str, size: int) -> torch.dtype:
    """The type of the weights of a model whose files take `size` bytes; raises `ModelError` for a name of none."""
    if dtype == "auto":
        return torch.bfloat16 if device.startswith("cuda") and size >= SMALL else torch.float32
    if dtype not in get_args(Dtype):
        raise ModelError(f"dtype {dtype}: is none of {', '.join(get_args(Dtype))}")
    precise: torch.dtype = getattr(torch, dtype)
    return precise


def _refuse_missing(attn_implementation: AttnImplementation | None) -> None:
    package = _PACKAGES.get(attn_implementation or "")
    if package and importlib.util.find_spec(package) is None:
        raise ModelError(
            f"attn_implementation {attn_implementation}: the package {package} is not installed; install it, or take "
            "sdpa"
        )
