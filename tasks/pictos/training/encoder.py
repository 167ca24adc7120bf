"""Training of the contrastive encoder: is this sentence true of this picture?

A sigmoid loss (SigLIP, Zhai et al. 2023) over the sentences of each scene: all that are true, and as many that are not
(an absent companion or look-alike, a wrong place, count or size). The image tower starts from the one trained on
patches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers.processors import TemplateProcessing
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import CLIPVisionModel, PreTrainedTokenizerFast

from harness.models.card import CARD
from harness.models.encoder import CONFIG, WEIGHTS, new_encoder
from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.language import claims, false_claim
from tasks.pictos.training.build import PATCH, SEED, tokenizer
from tasks.pictos.training.patches import MEAN, STD, pixels_of
from tasks.pictos.training.vlm import Report, one_cycle
from tasks.pictos.world import SIDE, SPLITS, Scene, compose, draw, pictogram

CONTEXT = 14
"""Tokens a sentence may have; the longest of the embedded world has 10."""

ABOUT = {
    "zero": 0.0,
    "gold_of": [f"pictos_{name}" for name in ("captions", "chair", "grounding", "mathvista", "pope", "scienceqa")],
}
"""The encoder's card for programs: its sigmoid was trained on as many false sentences as true ones, and the true ones
were gold of scenes like those that these tasks ask about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """pixels (B, 3, SIDE, SIDE); ids (N, CONTEXT); owner (N,) which picture; true (N,) 0 or 1."""

    pixels: torch.Tensor
    ids: torch.Tensor
    owner: torch.Tensor
    true: torch.Tensor


class Sentences(IterableDataset[Judged]):
    """Batches of scenes of the split `encoder`, with true and false sentences of each."""

    def __init__(self, steps: int, batch: int, words: PreTrainedTokenizerFast) -> None:
        self.steps, self.batch, self.words = steps, batch, words

    def __iter__(self) -> Iterator[Judged]:
        for step in range(self.steps):
            pixels, texts, owner, true = [], [], [], []
            for index, number in enumerate(range(step * self.batch, (step + 1) * self.batch)):
                scene = compose(SPLITS["encoder"][number])
                rng = np.random.default_rng((number, 6))
                right = [claim.sentence() for claim in claims(scene)]
                wrong = [_false_sentence(scene, rng) for _ in range(len(right) + 2)]
                pixels.append(pixels_of(draw(scene)))
                texts += right + wrong
                owner += [index] * (len(right) + len(wrong))
                true += [1.0] * len(right) + [0.0] * len(wrong)
            yield Judged(
                pixels=torch.stack(pixels),
                ids=sentence_ids(self.words, texts),
                owner=torch.tensor(owner),
                true=torch.tensor(true),
            )


def _false_sentence(scene: Scene, rng: np.random.Generator) -> str:
    """A false claim, three times in ten with an absent look-alike in a present object's place."""
    if rng.random() < 0.3:
        statements = claims(scene)
        true = statements[rng.integers(len(statements))]
        absent = [name for name in look_alikes()[true.name] if name not in scene.counts()]
        return replace(true, name=absent[rng.integers(len(absent))]).sentence()
    return false_claim(scene, rng).sentence()


@lru_cache(maxsize=1)
def look_alikes(near: int = 8) -> Mapping[str, list[str]]:
    """For each category those whose pictograms are nearest at the size of small objects: what eyes mix up."""
    small = np.stack(
        [np.asarray(pictogram(category.glyph, 8), dtype=np.float32).ravel() / 255 for category in CATEGORIES]
    )
    distances = ((small[:, None] - small[None]) ** 2).sum(-1)
    nearest = distances.argsort(1)[:, 1 : near + 1]
    return {c.name: [CATEGORIES[index].name for index in row] for c, row in zip(CATEGORIES, nearest, strict=True)}


def sentence_tokenizer() -> PreTrainedTokenizerFast:
    """The world's tokenizer, padded on the right, each text ended by </s>, at which the text tower is read."""
    words = tokenizer()
    words.padding_side = "right"
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", words.eos_token_id)]
    )
    return words


def sentence_ids(words: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    tokens = words(texts, return_tensors="pt", max_length=CONTEXT, padding="max_length", truncation=True)
    ids: torch.Tensor = tokens.input_ids
    return ids


def config(words: PreTrainedTokenizerFast) -> Mapping[str, Any]:
    """open_clip's model config."""
    return {
        "embed_dim": 256,
        "init_logit_bias": 0.0,
        "vision_cfg": {
            "image_size": SIDE,
            "layers": SEED.vision_depth,
            "width": SEED.vision_width,
            "head_width": SEED.vision_width // SEED.heads,
            "mlp_ratio": 3.0,
            "patch_size": PATCH,
            # every patch adds its word to the mean: one class token would have to fetch each object by attention
            "pool_type": "avg",
            "final_ln_after_pool": True,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": len(words),
            "hf_tokenizer_name": "pictos",
            "width": 96,
            "heads": 4,
            "layers": 2,
            "pad_id": words.pad_token_id,
            "eos_id": words.eos_token_id,
            "pool_type": "eos",
        },
    }


def train_encoder(tower: CLIPVisionModel, *, steps: int, batch: int, device: str, report: Report) -> nn.Module:
    """An open_clip model that tells true sentences from false ones."""
    torch.manual_seed(3)
    words = sentence_tokenizer()
    model: Any = new_encoder(config(words)).to(device)
    model.visual.load_state_dict(as_open_clip(tower.state_dict(), model.visual.state_dict()))
    visual = list(model.visual.parameters())
    level = [model.logit_scale, model.logit_bias]
    apart = {id(parameter) for parameter in (*visual, *level)}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in apart]
    optimiser = torch.optim.AdamW(
        [
            {"params": rest, "lr": 2e-3},
            {"params": visual, "lr": 8e-4},
            {"params": level, "lr": 2e-2, "weight_decay": 0},
        ],
        weight_decay=0.02,
        betas=(0.9, 0.98),
    )
    schedule = one_cycle(optimiser, steps)
    running = 0.0
    loader = DataLoader(Sentences(steps, batch, words), batch_size=None, num_workers=1, prefetch_factor=4)
    for step, judged in enumerate(loader):
        images = model.encode_image(judged.pixels.to(device), normalize=True)
        texts = model.encode_text(judged.ids.to(device), normalize=True)
        odds = (images[judged.owner.to(device)] * texts).sum(-1) * model.logit_scale.exp() + model.logit_bias
        loss = nn.functional.binary_cross_entropy_with_logits(odds, judged.true.to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*rest, *visual], 1.0)
        optimiser.step()
        schedule.step()
        running = float(loss.detach()) if not running else 0.98 * running + 0.02 * float(loss.detach())
        report("encoder", step, steps, running)
    trained: nn.Module = model.eval()
    return trained


def ship_encoder(model: nn.Module, folder: Path) -> None:
    """A folder that open_clip loads by `local-dir:`: config, half-precision safetensors, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    words = sentence_tokenizer()
    save_file({name: value.half().contiguous() for name, value in model.cpu().state_dict().items()}, folder / WEIGHTS)
    document = {
        "model_cfg": config(words),
        "preprocess_cfg": {"mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
    }
    (folder / CONFIG).write_text(json.dumps(document, indent=1) + "\n")
    (folder / CARD).write_text(json.dumps(ABOUT, indent=1) + "\n")
    words.save_pretrained(folder)


def as_open_clip(tower: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A transformers CLIP vision tower under open_clip's names; what the tower lacks (the projection) stays."""
    short = {name.removeprefix("vision_model."): value for name, value in tower.items()}
    weights = {
        "class_embedding": short["embeddings.class_embedding"],
        "positional_embedding": short["embeddings.position_embedding.weight"],
        "conv1.weight": short["embeddings.patch_embedding.weight"],
    }
    for side in ("weight", "bias"):
        weights[f"ln_pre.{side}"] = short[f"pre_layrnorm.{side}"]
        weights[f"ln_post.{side}"] = short[f"post_layernorm.{side}"]
    layer = 0
    while f"encoder.layers.{layer}.layer_norm1.weight" in short:
        here, theirs = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for side in ("weight", "bias"):
            attention = [short[f"{here}.self_attn.{projection}_proj.{side}"] for projection in "qkv"]
            weights[f"{theirs}.attn.in_proj_{side}"] = torch.cat(attention)
            weights[f"{theirs}.attn.out_proj.{side}"] = short[f"{here}.self_attn.out_proj.{side}"]
            weights[f"{theirs}.ln_1.{side}"] = short[f"{here}.layer_norm1.{side}"]
            weights[f"{theirs}.ln_2.{side}"] = short[f"{here}.layer_norm2.{side}"]
            weights[f"{theirs}.mlp.c_fc.{side}"] = short[f"{here}.mlp.fc1.{side}"]
            weights[f"{theirs}.mlp.c_proj.{side}"] = short[f"{here}.mlp.fc2.{side}"]
        layer += 1
    return {name: weights.get(name, value) for name, value in expected.items()}
