"""A model as its configuration describes it, without weights: how many it has, and questions to it of the right shape.

Nothing is loaded but JSON files: config.json, and the processor's files where they lie beside it. Without these, what a
picture becomes follows from config.json for two layouts: one size for all pictures (`image_seq_length`: LLaVA), and
pictures of their own size in patches (`spatial_merge_size`: Qwen-VL).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

from harness.errors import ModelError
from harness.models.heads import picture_tokens
from harness.models.loading import load_processor, model_class, model_errors, quiet
from harness.models.options import AttnImplementation, ModelOptions
from harness.models.prompts import prompt_reader
from harness.models.shadow import Shadow
from harness.types import Sample

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")

TEXT_TOKENS = 64
"""Of a question without its picture, where no tokenizer says how many: as short ones with a chat template have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A model's configuration, the class of transformers that makes it, its processor where its files are there, and
    how many weights it has, in all and by part; `name` is what people call it, and `checkpoints` says whether its code
    can compute activations twice instead of keeping them; `attention` is what computes its attention."""

    name: str
    config: Any
    kind: Any
    processor: Any
    weights: int
    parts: Mapping[str, int]
    checkpoints: bool
    attention: AttnImplementation | None = None

    def model(self, shadow: Shadow, dtype: torch.dtype, prepare: Callable[[Any], Any] = lambda model: model) -> Any:
        """The model of hollow weights, in evaluation mode; `prepare` changes it before."""
        model = prepare(_on_meta(self.kind, self.config, dtype, self.attention))
        shadow.adopt(model)
        return model.eval()

    @property
    def stored_bytes(self) -> int:
        """Of its weights as files hold them, in the precision that config.json names."""
        dtype = getattr(self.config, "dtype", None) or getattr(self.config.get_text_config(), "dtype", None)
        return self.weights * (dtype.itemsize if isinstance(dtype, torch.dtype) else 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question about a picture, by its shape: `heads(n)` are the model's inputs for n of its heads
    (`harness.models.heads.Head`), each of `head` tokens, behind which `tail` follow; `picture` tokens of the head stand
    for the picture, and `blind` are those of the whole question without it."""

    heads: Callable[[int], Mapping[str, torch.Tensor]]
    head: int
    tail: int
    picture: int
    blind: int


def outline_of(folder: Path, name: str, attention: AttnImplementation | None = None) -> Outline:
    """The model that config.json in a folder describes; raises `ModelError` where it is none that can be asked.

    Kernels of a GPU's own (FlashAttention) are reckoned as sdpa, which keeps as much.
    """
    quiet()
    if not (folder / "config.json").is_file():
        raise ModelError(f"{name}: no config.json in it; name a folder with one, or a hub id")
    what = f"{name}: its config.json describes no image-text-to-text model"
    with model_errors(f"{what}; restore it from where the model came from"):
        config = AutoConfig.from_pretrained(folder)
        kind = model_class(config, what)
        shape = _on_meta(kind, config, torch.float32)
    reads = (folder / "tokenizer_config.json").is_file() and any((folder / file).is_file() for file in PROCESSOR_FILES)
    return Outline(
        name=name,
        config=config,
        kind=kind,
        processor=load_processor(folder, name=name) if reads else None,
        weights=shape.num_parameters(),
        parts=_parts(shape),
        checkpoints=bool(shape.supports_gradient_checkpointing),
        attention=attention if attention == "eager" else None,
    )


def question_of(
    outline: Outline, prompt: str, size: tuple[int, int], options: ModelOptions = ModelOptions()
) -> Question:
    """A question with this prompt about a picture of this width and height, in pixels, as the model is asked it.

    Raises `ModelError` where config.json alone does not say what the model makes of a picture.
    """
    picture = Image.new("RGB", size, (128, 128, 128))
    if outline.processor is None:
        return _by_config(outline, picture)
    reader = prompt_reader(
        outline.config, outline.processor, options.pictures, system=options.system, thinking=options.thinking
    )
    sample = Sample(id=outline.name, prompt=prompt, images=(partial(_itself, picture),), target=None, cluster="")
    head = reader.heads([sample]).heads[0]
    tokens = reader.prompt(sample)

    def heads(count: int) -> Mapping[str, torch.Tensor]:
        made = reader.heads([sample] * count, shared=False)
        return {**reader.batch([reader.row(each, each.ids) for each in made.heads]), **made.batches[0].pixels}

    blind = len(head.blind) + len(tokens) - len(head.ids)
    return Question(
        heads=heads, head=len(head.ids), tail=len(tokens) - len(head.ids), picture=head.pictures, blind=blind
    )


def _by_config(outline: Outline, picture: Image.Image) -> Question:
    config: Any = outline.config
    vision: Any = getattr(config, "vision_config", None)
    numbers = picture_tokens(config, None)
    merge, fixed = getattr(vision, "spatial_merge_size", None), getattr(config, "image_seq_length", None)
    if len(numbers) == 1 and merge:
        processor = IMAGE_PROCESSOR_MAPPING[type(config)]["torchvision"](
            patch_size=vision.patch_size, temporal_patch_size=vision.temporal_patch_size, merge_size=merge
        )
        pixels = dict(processor(images=[picture], return_tensors="pt"))
        length = int(pixels["image_grid_thw"].prod()) // merge**2
    elif len(numbers) == 1 and fixed and isinstance(side := getattr(vision, "image_size", None), int):
        pixels, length = {"pixel_values": torch.zeros(1, 3, side, side)}, fixed
    else:
        raise ModelError(
            f"{outline.name}: config.json alone does not say what it makes of a picture; put the files of its "
            f"processor and tokenizer ({PROCESSOR_FILES[0]}, tokenizer_config.json and what they name) beside it"
        )
    (token,) = numbers
    filler = 0 if token else 1
    ids = torch.tensor([[filler] * (TEXT_TOKENS // 2) + [token] * length])

    def heads(count: int) -> Mapping[str, torch.Tensor]:
        rows = ids.repeat(count, 1)
        marks = {"mm_token_type_ids": (rows == token).int()} if merge else {}
        shown = {name: torch.cat([values] * count) for name, values in pixels.items()}
        return {"input_ids": rows, "attention_mask": torch.ones_like(rows), **marks, **shown}

    half = TEXT_TOKENS // 2
    return Question(heads=heads, head=half + length, tail=half, picture=length, blind=TEXT_TOKENS)


def _on_meta(kind: Any, config: Any, dtype: torch.dtype, attention: AttnImplementation | None = None) -> Any:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.from_config(copy.deepcopy(config), dtype=dtype, attn_implementation=attention)


def _parts(model: Any) -> Mapping[str, int]:
    """How many weights the picture encoder, the embeddings and the head have, each counted once, and all others."""
    encoder = model.get_encoder(modality="image")
    modules = {
        "picture encoder": None if encoder in (model, model.base_model) else encoder,
        "embeddings": model.get_input_embeddings(),
        "head": model.get_output_embeddings(),
    }
    seen: set[int] = set()
    parts: dict[str, int] = {}
    for part, module in {**modules, "layers and the rest": model}.items():
        weights = {id(each): each.numel() for each in (module.parameters() if module is not None else ())}
        parts[part] = sum(size for key, size in weights.items() if key not in seen)
        seen |= weights.keys()
    return {part: count for part, count in parts.items() if count}


def _itself(picture: Image.Image) -> Image.Image:
    return picture
