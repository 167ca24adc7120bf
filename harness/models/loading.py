"""Loading a model of transformers from a folder, with what its loader reports looked at: the one place that does it.

transformers fills weights that a file lacks with random numbers and passes over those that it does not know; it says so
in a log line and in a report. A model that is not whole is no model here.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
    BitsAndBytesConfig,
)
from transformers.quantizers import AutoHfQuantizer
from transformers.quantizers.base import get_keys_to_not_convert
from transformers.quantizers.quantizers_utils import should_convert_module
from transformers.utils import logging

from harness.errors import ModelError, StropError
from harness.models.options import AttnImplementation
from harness.models.weights import weight_files, weights_size, without_weights
from harness.wording import counted, one_line


@contextmanager
def model_errors(what: str) -> Iterator[None]:
    """Whatever a library raises over a user's files becomes a `ModelError`: `what`, and the reason's first line."""
    try:
        yield
    except StropError:
        raise
    except Exception as error:  # tokenizers and jinja raise nothing narrower over a malformed file
        first, *more = [one_line(line) for line in str(error).splitlines() if line.strip()] or [repr(error)]
        reason = f"{first} {more[0]}" if more and first.endswith(":") else first
        kind = "" if isinstance(error, OSError | ValueError | RuntimeError) else f"{type(error).__name__}: "
        raise ModelError(f"{what} ({kind}{reason})") from error


def load_weights(
    folder: Path,
    *,
    name: str,
    dtype: torch.dtype,
    attn_implementation: AttnImplementation | None = None,
    quantise: str | None = None,
) -> Any:
    """The model in a folder, every weight of it read from its safetensors; `name` is what people call it, and
    `attn_implementation` what computes its attention (by default what transformers chooses). With `quantise` (nf4) its
    linear layers are kept in 4 bits, on the GPU where there is one, and compute in `dtype`.

    Raises `ModelError` where weights are missing, left over or of another shape than config.json says, and for a folder
    of another kind. Buffers that old versions stored (position ids, rotary frequencies) and the second name of tied
    weights are no weights, as in transformers.
    """
    quiet()
    what = f"{name}: does not load as an image-text-to-text model"
    _refuse_other_folders(folder, name)
    with model_errors(f"{what}; restore its files from where it came from, or install what it needs"):
        config = AutoConfig.from_pretrained(folder)
        auto = model_class(config, what)
        _refuse_larger(auto, config, folder, name)
        _refuse_unknown_quantisation(config, folder, name)
        model, report = auto.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attn_implementation,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are reported with their shapes
            # None would take the place of the quantization_config in config.json
            **({"quantization_config": _four_bits(quantise, dtype)} if quantise else {}),
        )
    _refuse_gaps(model, report, name)
    _forget_scaling_back(model)
    return model


def usable_device(name: str | None) -> str:
    """The device of this name, by default a GPU where there is one; raises `ModelError` where there is none such."""
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name}: cannot be used ({str(error).splitlines()[0]}); try cpu") from error
    return name


def model_class(config: Any, what: str) -> Any:
    """The class of transformers that makes a model of a configuration which answers in text about pictures; raises
    `ModelError`, which begins with `what`, for one of another kind."""
    kind = config.model_type
    if config.is_encoder_decoder:
        raise ModelError(f"{what}: models of type '{kind}' are encoder-decoders, whose prompts are not gone on with")
    classes = AutoModelForImageTextToText._model_mapping
    if type(config) in classes:
        if "past_key_values" not in inspect.signature(classes[type(config)].forward).parameters:
            raise ModelError(
                f"{what}: models of type '{kind}' keep no cache (past_key_values) that answers could go on from"
            )
        return AutoModelForImageTextToText
    sees = any("vision" in part for part in type(config).sub_configs)
    if sees and type(config) in AutoModelForMultimodalLM._model_mapping:
        return AutoModelForMultimodalLM
    raise ModelError(f"{what}: models of type '{kind}' do not answer about pictures; name one that does")


def computed_by(model: Any) -> dict[str, str]:
    """What results say of how a model computes: its precision and its attention."""
    dtype, attention = str(model.dtype).removeprefix("torch."), model.config._attn_implementation
    return {"dtype": dtype, "attn_implementation": str(attention)}


def refuse_without_bitsandbytes(what: str) -> None:
    """Raise `ModelError`, which begins with `what`, where weights cannot be quantised."""
    if find_spec("bitsandbytes") is None:
        raise ModelError(f"{what}: needs the package bitsandbytes; pip install 'strop[quantised]'")


def _four_bits(kind: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Weights of 4 bits with their scales of 8 (QLoRA, Dettmers et al. 2023)."""
    refuse_without_bitsandbytes(f"quantise {kind}")
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
    )


def four_bit_layers(model: Any) -> list[Any]:
    """The layers of a model that `load_weights` would keep in 4 bits: all linear ones but the head."""
    kept = get_keys_to_not_convert(model)
    return [
        layer
        for name, layer in model.named_modules()
        if type(layer) is torch.nn.Linear and should_convert_module(name, kept)
    ]


def load_processor(folder: Path, *, name: str) -> Any:
    """The processor beside a model; raises `ModelError` with the reason."""
    quiet()
    what = f"{name}: its processor (tokenizer, picture settings, chat template) does not load"
    with model_errors(f"{what}; restore its files from where the model came from"):
        processor = AutoProcessor.from_pretrained(folder)
        if processor.chat_template is None:  # a few classes leave it to their tokenizer
            processor.chat_template = getattr(processor.tokenizer, "chat_template", None)
        return processor


def quiet() -> None:
    """transformers says nothing: what matters of it is an error here."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _refuse_other_folders(folder: Path, name: str) -> None:
    adapter = (folder / "adapter_config.json").is_file()
    if adapter and not (folder / "config.json").is_file():
        raise ModelError(f"{name}: is an adapter and no model; name its base model by --model and it by --adapter")
    if adapter:
        # transformers would put the adapter into the model and report on its weights alone
        raise ModelError(
            f"{name}: holds an adapter beside the model; move adapter_config.json and adapter_model.safetensors to a "
            "folder of their own and name that by --adapter"
        )
    if not weight_files(folder):
        raise ModelError(f"{name}: {without_weights(folder)}")
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file() and index.is_file() and whole.name not in index.read_text(encoding="utf-8", errors="replace"):
        # transformers would take the single file and pass over the shards, whichever was saved later
        raise ModelError(
            f"{name}: holds {whole.name} and {index.name} of other files; remove whichever is not the model"
        )


def _refuse_larger(auto: Any, config: Any, folder: Path, name: str) -> None:
    """Raise `ModelError` where config.json describes more weights than the files have bytes, before memory is taken for
    them: without its text_config a model is one of seven thousand million weights."""
    with torch.device("meta"):
        described = auto.from_config(copy.deepcopy(config)).num_parameters()
    size = weights_size(folder)
    if described > size and getattr(config, "quantization_config", None) is None:
        raise ModelError(
            f"{name}: does not load, weights and config.json do not belong together: {described:,} weights by the "
            f"config, which is more than {size:,} bytes of files can hold; restore config.json, its text_config and "
            "vision_config, from where the model came from"
        )


def _forget_scaling_back(model: Any) -> None:
    """Save a model that was scaled back as what it is now: transformers would quantise it again and leave the
    quantization_config out, and nothing could load that."""
    if getattr(model, "hf_quantizer", None) is None:
        conversions = getattr(model, "_weight_conversions", None) or ()
        model._weight_conversions = [each for each in conversions if not _scales_back(each)]


def _scales_back(conversion: Any) -> bool:
    return any("Dequantize" in type(each).__name__ for each in getattr(conversion, "operations", None) or ())


def _refuse_unknown_quantisation(config: Any, folder: Path, name: str) -> None:
    """Raise `ModelError` for quantised weights that nobody would scale back: whole numbers taken for the weights
    themselves answer at random."""
    settings = getattr(config, "quantization_config", None)
    method = settings.get("quant_method") if isinstance(settings, dict) else None
    if settings and AutoHfQuantizer.supports_quant_method(settings):
        return
    whole = next(filter(None, map(_whole_numbers, weight_files(folder))), None)
    if settings or whole:
        what = f"quantised by the method '{method}'" if settings else f"whole numbers, such as {whole}"
        raise ModelError(
            f"{name}: its weights are {what}, and config.json names no quantization_config that transformers knows; "
            "take the model that is not quantised"
        )


def _whole_numbers(file: Path) -> str | None:
    """The first weight in a file that is stored as integers, and how; None where none is."""
    with safe_open(file, framework="pt") as stored:
        for key in stored.keys():  # noqa: SIM118 (the file is no mapping)
            if key.endswith((".weight", ".bias")) and (dtype := stored.get_slice(key).get_dtype())[0] in "IU":
                return f"{key} ({dtype})"
    return None


def _refuse_gaps(model: Any, report: Mapping[str, Any], name: str) -> None:
    """Raise `ModelError` with how many weights are missing, left over or of another shape, and the first of each."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    missing = sorted(key for key in report["missing_keys"] if tied.get(key) not in report["missing_keys"])
    unknown = sorted(report["unexpected_keys"])
    shapes = sorted((key, tuple(stored), tuple(expected)) for key, stored, expected in report["mismatched_keys"])
    faults = []
    if missing:
        weights = counted(len(missing), "weight of the model is", "weights of the model are")
        faults.append(f"{weights} not in its files, such as {missing[0]}")
    if unknown:
        wrapper = _wrapper(unknown, missing)
        weights = counted(len(unknown), "weight in its files is", "weights in its files are")
        detail = f" (saved within a wrapper: all begin with {wrapper})" if wrapper else ""
        faults.append(f"{weights} not of the model, such as {unknown[0]}{detail}")
    if shapes:
        key, stored, expected = shapes[0]
        weights = counted(len(shapes), "weight has", "weights have")
        faults.append(
            f"{weights} another shape than config.json says, such as {key}: {stored} in the file, {expected} by the "
            "config"
        )
    if faults:
        raise ModelError(
            f"{name}: does not load, weights and config.json do not belong together: {'; '.join(faults)}; restore them "
            "from where the model came from, or save it whole again"
        )


def _wrapper(unknown: list[str], missing: list[str]) -> str:
    """What stands before every name of a save that was made of a wrapper's weights, such as ``module.``; or nothing."""
    prefix = "".join(f"{segment}." for segment, *others in zip(*(key.split(".") for key in unknown), strict=False)
                     if set(others) <= {segment})  # fmt: skip
    alike = missing and prefix and all(key.startswith(prefix) for key in unknown)
    return prefix if alike and not any(key.startswith(prefix) for key in missing) else ""
