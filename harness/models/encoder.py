"""Contrastive image-text encoders (CLIP, SigLIP): the only module that imports open_clip.

An encoder is named as open_clip names it: a folder with `open_clip_config.json` and `open_clip_model.safetensors`, or
an architecture with the tag of its weights, ``ViT-B-32::laion2b_s34b_b79k``. A folder may also hold two pretrained
halves with a linear map each (`harness.models.joined_encoder`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image
from safetensors import safe_open

from harness.errors import ModelError
from harness.models.flops import ESTIMATED_FLOPS, LayerFlops
from harness.models.joined_encoder import is_joined, joined_outline, load_joined
from harness.models.loading import model_errors, usable_device

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"

PICTURES, TEXTS = 64, 512
"""So many are encoded together."""

COSTS = ("verifier_passes", "verifier_pictures", "verifier_texts", "verifier_seconds", ESTIMATED_FLOPS)
"""What `Encoder.costs` counts: passes through one of its two towers, the pictures and texts that went through, the
seconds that matching took, preparing the pictures included, and operations (`harness.models.flops`)."""


class Encoder:
    """Scores how well a text fits a picture.

    `costs` counts what was done since it was loaded (`COSTS`). `match` gives log-odds that
    a text is true of a picture where the encoder was trained with a sigmoid loss (it has a bias: SigLIP, Zhai et al.
    2023), else the scaled cosine of CLIP.
    """

    def __init__(self, model: torch.nn.Module, preprocess: Any, tokenizer: Any, *, device: str) -> None:
        self.model: Any = model.eval().to(device)
        self.preprocess, self.tokenizer = preprocess, tokenizer
        self.device = device
        self.costs: dict[str, float] = dict.fromkeys(COSTS, 0)
        self._layers = LayerFlops(model)

    @property
    def calibrated(self) -> bool:
        """Whether it has a bias, so that its scores are log-odds; where its zero lies is another matter
        (`loops.verify.zero`)."""
        return getattr(self.model, "logit_bias", None) is not None

    @property
    def computed(self) -> Mapping[str, str]:
        """Where its scores are computed, and how precisely."""
        return {"device": self.device, "dtype": str(next(self.model.parameters()).dtype).removeprefix("torch.")}

    @torch.inference_mode()
    def match(
        self, pictures: Sequence[Image.Image], texts: Sequence[Sequence[str]], batch: int = PICTURES
    ) -> list[list[float]]:
        """`texts[i]` against `pictures[i]`; `batch` pictures at a time, each encoded once, however many texts it has,
        and so is each text that several of them have."""
        began = time.monotonic()
        scores: list[list[float]] = []
        for start in range(0, len(pictures), batch):
            shown, captions = pictures[start : start + batch], texts[start : start + batch]
            places = {
                text: position
                for position, text in enumerate(dict.fromkeys(text for group in captions for text in group))
            }
            if not places:
                scores += [[] for _ in captions]
                continue
            images, words = self.encode_pictures(shown), self.encode_texts(list(places))
            owner = torch.tensor([index for index, group in enumerate(captions) for _ in group], device=self.device)
            text = torch.tensor([places[text] for group in captions for text in group], device=self.device)
            values = (images[owner] * words[text]).sum(-1) * self.model.logit_scale.exp()
            if self.calibrated:
                values = values + self.model.logit_bias
            numbers = iter(values.float().cpu().tolist())
            scores += [[next(numbers) for _ in group] for group in captions]
        self._count(verifier_seconds=time.monotonic() - began)
        return scores

    def encode_pictures(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """Unit vectors, (len(pictures), d)."""
        pixels = torch.stack([self.preprocess(picture) for picture in pictures]).to(self.device)
        self._count(verifier_passes=1, verifier_pictures=len(pictures))
        vectors = torch.nn.functional.normalize(self.model.encode_image(pixels), dim=-1)
        self._count_layers()
        return vectors

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors, (len(texts), d)."""
        vectors = []
        for start in range(0, len(texts), TEXTS):
            tokens = self.tokenizer(list(texts[start : start + TEXTS])).to(self.device)
            self._count(verifier_passes=1, verifier_texts=len(tokens))
            vectors.append(torch.nn.functional.normalize(self.model.encode_text(tokens), dim=-1))
            self._count_layers()
        return torch.cat(vectors)

    def _count_layers(self) -> None:
        self._count(**{ESTIMATED_FLOPS: self._layers.flops})
        self._layers.flops = 0

    def _count(self, **spent: float) -> None:
        for name, amount in spent.items():
            self.costs[name] = round(self.costs[name] + amount, 3)


def load_encoder(name: str, device: str | None = None) -> Encoder:
    """An encoder from a local folder or from open_clip's own list; raises `ModelError` with the reason.

    `device`: by default a GPU where there is one.
    """
    device = usable_device(device)
    folder = Path(name).expanduser()
    if is_joined(folder):
        with model_errors(f"encoder {name}: does not load; restore it from where it came from"), _silence():
            model, preprocess, tokenizer = load_joined(folder)
    elif folder.is_dir():
        for needed in (CONFIG, WEIGHTS):
            if not (folder / needed).is_file():
                raise ModelError(f"encoder {name}: no {needed} in it; a folder saved by open_clip has one")
        source = f"local-dir:{folder.resolve()}"
        with model_errors(f"encoder {name}: does not load; restore it from where it came from"), _silence():
            with torch.device("meta"):
                expected = open_clip.create_model(source, load_weights=False, device="meta").state_dict()
            _refuse_made_up(name, expected, folder / WEIGHTS)
            model, preprocess = open_clip.create_model_from_pretrained(source)
            tokenizer = open_clip.get_tokenizer(source)
    else:
        architecture, _, tag = name.partition("::")
        if (architecture, tag) not in open_clip.list_pretrained():
            raise ModelError(f"encoder {name}: no such folder, and not an open_clip ARCHITECTURE::TAG")
        with model_errors(f"encoder {name}: cannot be had; name a folder, or let it be downloaded once"), _silence():
            model, _, preprocess = open_clip.create_model_and_transforms(architecture, pretrained=tag)
            tokenizer = open_clip.get_tokenizer(architecture)
    encoder = Encoder(model.float(), preprocess, tokenizer, device=device)
    with model_errors(f"encoder {name}: does not score a sentence; its tokenizer, settings and weights must be of one"):
        ((score,),) = encoder.match([Image.new("RGB", (48, 32), (128, 128, 128))], [["A cat."]])
    if not math.isfinite(score):
        raise ModelError(f"encoder {name}: its scores are not finite (NaN or infinite); its weights are broken")
    encoder.costs = dict.fromkeys(COSTS, 0)
    return encoder


@dataclass(frozen=True, kw_only=True, slots=True)
class MetaEncoder:
    """An encoder without weights, the shape of a picture's pixels, and how many tokens it reads of a text at most."""

    model: Any
    pixels: tuple[int, ...]
    tokens: int


def meta_encoder(name: str) -> MetaEncoder:
    """The encoder of that name on torch's meta device, from its configuration alone; raises `ModelError`, and what
    open_clip does."""
    folder = Path(name).expanduser()
    with _silence(), torch.device("meta"):
        if is_joined(folder):
            joined, side, tokens = joined_outline(folder)
            return MetaEncoder(model=joined.eval(), pixels=(3, side, side), tokens=tokens)
        if folder.is_dir():
            model = open_clip.create_model(f"local-dir:{folder.resolve()}", load_weights=False, device="meta")
        else:
            architecture, _, tag = name.partition("::")
            if (architecture, tag) not in open_clip.list_pretrained():
                raise ModelError(f"encoder {name}: no such folder, and not an open_clip ARCHITECTURE::TAG")
            model = open_clip.create_model(architecture, pretrained=None, load_weights=False, device="meta")
    size = model.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    return MetaEncoder(model=model.float().eval(), pixels=(3, height, width), tokens=int(model.context_length))


def _refuse_made_up(name: str, expected: Mapping[str, torch.Tensor], weights: Path) -> None:
    """Raise `ModelError` for weights that open_clip fits or makes up by itself: places of another picture size or text
    length are interpolated, and a bias that is missing is taken for 0."""
    with safe_open(weights, framework="pt") as stored:
        shapes = {key: tuple(stored.get_slice(key).get_shape()) for key in stored.keys()}  # noqa: SIM118 (no mapping)
    if "logit_bias" in expected and "logit_bias" not in shapes:
        raise ModelError(f"encoder {name}: does not load, 1 weight is not in its file, logit_bias; save it whole again")
    for key, values in expected.items():
        shape = shapes.get(key, tuple(values.shape))
        if math.prod(shape) != values.numel():
            raise ModelError(
                f"encoder {name}: does not load, {key} has another shape than {CONFIG} says: {shape} in the file, "
                f"{tuple(values.shape)} by the config; restore them from where the encoder came from"
            )


@contextmanager
def _silence() -> Iterator[None]:
    """open_clip logs what it also raises."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def new_encoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """An untrained model of an open_clip model config."""
    model: torch.nn.Module = open_clip.CLIP(**config)
    return model
