"""Contrastive image-text encoders (CLIP, SigLIP): the only module that imports open_clip.

An encoder is named as open_clip names it: a folder with `open_clip_config.json` and `open_clip_model.safetensors`, or
an architecture with the tag of its weights, ``ViT-B-32::laion2b_s34b_b79k``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL.Image import Image

from harness.errors import ModelError
from harness.models.loading import model_errors
from harness.wording import one_line

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"

TEXTS = 512
"""Texts that are encoded together."""

COSTS = ("verifier_passes", "verifier_pictures", "verifier_texts", "verifier_seconds")
"""What `Encoder.costs` counts: passes through one of its two towers, the pictures and texts that went through, and the
seconds that matching took, preparing the pictures included."""


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

    @property
    def calibrated(self) -> bool:
        """Whether it has a bias, so that its scores are log-odds; where its zero lies is another matter
        (`loops.verify.zero`)."""
        return getattr(self.model, "logit_bias", None) is not None

    @torch.inference_mode()
    def match(self, pictures: Sequence[Image], texts: Sequence[Sequence[str]], batch: int = 64) -> list[list[float]]:
        """`texts[i]` against `pictures[i]`; `batch` pictures at a time, each encoded once, however many texts it has,
        and so is each text that several of them have."""
        began = time.monotonic()
        scores: list[list[float]] = []
        for start in range(0, len(pictures), batch):
            some, said = pictures[start : start + batch], texts[start : start + batch]
            places = {text: place for place, text in enumerate(dict.fromkeys(text for group in said for text in group))}
            if not places:
                scores += [[] for _ in said]
                continue
            images, words = self.encode_pictures(some), self.encode_texts(list(places))
            owner = torch.tensor([index for index, group in enumerate(said) for _ in group], device=self.device)
            text = torch.tensor([places[text] for group in said for text in group], device=self.device)
            values = (images[owner] * words[text]).sum(-1) * self.model.logit_scale.exp()
            if self.calibrated:
                values = values + self.model.logit_bias
            numbers = iter(values.float().cpu().tolist())
            scores += [[next(numbers) for _ in group] for group in said]
        self._count(verifier_seconds=time.monotonic() - began)
        return scores

    def encode_pictures(self, pictures: Sequence[Image]) -> torch.Tensor:
        """Unit vectors, (len(pictures), d)."""
        pixels = torch.stack([self.preprocess(picture) for picture in pictures]).to(self.device)
        self._count(verifier_passes=1, verifier_pictures=len(pictures))
        return torch.nn.functional.normalize(self.model.encode_image(pixels), dim=-1)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors, (len(texts), d)."""
        vectors = []
        for start in range(0, len(texts), TEXTS):
            some = self.tokenizer(list(texts[start : start + TEXTS])).to(self.device)
            self._count(verifier_passes=1, verifier_texts=len(some))
            vectors.append(torch.nn.functional.normalize(self.model.encode_text(some), dim=-1))
        return torch.cat(vectors)

    def _count(self, **spent: float) -> None:
        for name, amount in spent.items():
            self.costs[name] = round(self.costs[name] + amount, 3)


def load_encoder(name: str, device: str | None = None) -> Encoder:
    """An encoder from a local folder or from open_clip's own list; raises `ModelError` with the reason.

    `device`: by default a GPU where there is one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = Path(name)
    if folder.is_dir():
        for needed in (CONFIG, WEIGHTS):
            if not (folder / needed).is_file():
                raise ModelError(f"encoder {name}: no {needed} in it; a folder saved by open_clip has one")
        source = f"local-dir:{folder.resolve()}"
        with _encoder_errors(f"encoder {name}: does not load; restore it from where it came from"):
            model, preprocess = open_clip.create_model_from_pretrained(source)
            return Encoder(model.float(), preprocess, open_clip.get_tokenizer(source), device=device)
    architecture, _, tag = name.partition("::")
    if (architecture, tag) not in open_clip.list_pretrained():
        raise ModelError(f"encoder {name}: no such folder, and not an open_clip ARCHITECTURE::TAG")
    with _encoder_errors(f"encoder {name}: cannot be had; name a folder, or let it be downloaded once"):
        model, _, preprocess = open_clip.create_model_and_transforms(architecture, pretrained=tag)
        return Encoder(model, preprocess, open_clip.get_tokenizer(architecture), device=device)


@contextmanager
def _encoder_errors(what: str) -> Iterator[None]:
    """What open_clip raises is a `ModelError`, `what` and the reason, and nothing is logged beside it."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with model_errors(what):
            yield
    except ModelError as error:
        if isinstance(error.__cause__, RuntimeError):  # torch says in its second line which weights do not fit
            error.args = (f"{what} ({one_line(str(error.__cause__)):.400})",)
        raise
    finally:
        logging.disable(before)


def new_encoder(config: Mapping[str, Any]) -> torch.nn.Module:
    """An untrained model of an open_clip model config."""
    model: torch.nn.Module = open_clip.CLIP(**config)
    return model
