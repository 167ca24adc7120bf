"""Contrastive image-text encoders (CLIP, SigLIP): the only module that imports open_clip.

An encoder is named as open_clip names it: a folder with `open_clip_config.json` and `open_clip_model.safetensors`, or
an architecture with the tag of its weights, ``ViT-B-32::laion2b_s34b_b79k``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL.Image import Image

from harness.errors import ModelError
from harness.files import digest_of_file, digest_of_json

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


class Encoder:
    """Scores how well a text fits a picture.

    `digest` names the weights. `match` gives log-odds that a text is true of a picture where the encoder was trained
    with a sigmoid loss (it has a bias: SigLIP, Zhai et al. 2023), else the scaled cosine of CLIP.
    """

    def __init__(self, model: torch.nn.Module, preprocess: Any, tokenizer: Any, *, digest: str, device: str) -> None:
        self.model: Any = model.eval().to(device)
        self.preprocess, self.tokenizer = preprocess, tokenizer
        self.digest, self.device = digest, device

    @property
    def calibrated(self) -> bool:
        """Whether 0 means "as likely true as false"."""
        return getattr(self.model, "logit_bias", None) is not None

    @torch.inference_mode()
    def match(self, pictures: Sequence[Image], texts: Sequence[Sequence[str]], batch: int = 64) -> list[list[float]]:
        """`texts[i]` against `pictures[i]`; each picture is encoded once, however many texts it has."""
        scores: list[list[float]] = []
        for start in range(0, len(pictures), batch):
            some, said = pictures[start : start + batch], texts[start : start + batch]
            flat = [text for group in said for text in group]
            if not flat:
                scores += [[] for _ in said]
                continue
            images = self.encode_pictures(some)
            words = torch.nn.functional.normalize(self.model.encode_text(self.tokenizer(flat).to(self.device)), dim=-1)
            owner = torch.tensor([index for index, group in enumerate(said) for _ in group], device=self.device)
            values = (images[owner] * words).sum(-1) * self.model.logit_scale.exp()
            if self.calibrated:
                values = values + self.model.logit_bias
            numbers = iter(values.float().cpu().tolist())
            scores += [[next(numbers) for _ in group] for group in said]
        return scores

    def encode_pictures(self, pictures: Sequence[Image]) -> torch.Tensor:
        """Unit vectors, (len(pictures), d)."""
        pixels = torch.stack([self.preprocess(picture) for picture in pictures]).to(self.device)
        return torch.nn.functional.normalize(self.model.encode_image(pixels), dim=-1)


def load_encoder(name: str, device: str = "cpu") -> Encoder:
    """An encoder from a local folder or from open_clip's own list; raises `ModelError` with the reason."""
    folder = Path(name)
    if folder.is_dir():
        for needed in (CONFIG, WEIGHTS):
            if not (folder / needed).is_file():
                raise ModelError(f"encoder {name}: no {needed} in it; a folder saved by open_clip has one")
        source = f"local-dir:{folder.resolve()}"
        model, preprocess = open_clip.create_model_from_pretrained(source)
        digest = digest_of_file(folder / WEIGHTS)
        return Encoder(model.float(), preprocess, open_clip.get_tokenizer(source), digest=digest, device=device)
    architecture, _, tag = name.partition("::")
    if (architecture, tag) not in open_clip.list_pretrained():
        raise ModelError(f"encoder {name}: no such folder, and not an open_clip ARCHITECTURE::TAG")
    model, _, preprocess = open_clip.create_model_and_transforms(architecture, pretrained=tag)
    return Encoder(model, preprocess, open_clip.get_tokenizer(architecture), digest=digest_of_json(name), device=device)


def new_encoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """An untrained model of an open_clip model config."""
    model: torch.nn.Module = open_clip.CLIP(**config)
    return model
