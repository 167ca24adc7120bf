"""A picture-text encoder of two pretrained halves: a vision tower, a sentence encoder, and a linear map behind each.

Its folder is flat: ``config.json`` (`MODEL_TYPE`, the configurations of both halves, the width of the shared space),
``model.safetensors``, the tower's picture settings and the sentence encoder's tokenizer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer

from harness.errors import ModelError

MODEL_TYPE = "joined_encoder"
CONFIG, WEIGHTS = "config.json", "model.safetensors"


class JoinedEncoder(torch.nn.Module):
    """The halves as `harness.models.encoder.Encoder` asks them: pictures and texts to vectors of one space.

    A picture is its tower's first token beside the mean of all (width 2 d); a text is the mean of its tokens, as
    sentence encoders are trained. `logit_scale` is the logarithm of what cosines are multiplied by, as in CLIP.
    """

    def __init__(self, tower: Any, sentences: Any, width: int) -> None:
        super().__init__()
        self.tower, self.sentences = tower, sentences
        self.picture_map = torch.nn.Linear(2 * tower.config.hidden_size, width)
        self.text_map = torch.nn.Linear(sentences.config.hidden_size, width)
        self.logit_scale = torch.nn.Parameter(torch.tensor(2.3))

    def picture_features(self, pixels: torch.Tensor) -> torch.Tensor:
        states = self.tower(pixels).last_hidden_state
        return torch.cat([states[:, 0], states.mean(1)], dim=-1)

    def text_features(self, ids: torch.Tensor) -> torch.Tensor:
        """`ids` (N, L), filled up by the padding token."""
        mask = (ids != self.sentences.config.pad_token_id).long()
        states = self.sentences(input_ids=ids, attention_mask=mask).last_hidden_state
        means: torch.Tensor = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return means

    def encode_image(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.picture_map(self.picture_features(pixels))
        return vectors

    def encode_text(self, ids: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.text_map(self.text_features(ids))
        return vectors

    def save(self, folder: Path, image_processor: Any, tokenizer: Any) -> None:
        """Write the folder that `load_joined` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        image_processor.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        save_file({name: values.contiguous() for name, values in self.state_dict().items()}, folder / WEIGHTS)
        document = {
            "model_type": MODEL_TYPE,
            "tower": self.tower.config.to_dict(),
            "sentences": self.sentences.config.to_dict(),
            "width": self.picture_map.out_features,
        }
        (folder / CONFIG).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def is_joined(folder: Path) -> bool:
    """Whether a folder holds such an encoder."""
    config = folder / CONFIG
    try:
        return config.is_file() and json.loads(config.read_text(encoding="utf-8")).get("model_type") == MODEL_TYPE
    except (ValueError, AttributeError):
        return False


def load_joined(folder: Path) -> tuple[JoinedEncoder, Any, Any]:
    """(the encoder in a folder, what makes pixels of a picture, what makes ids of texts); raises what the libraries do,
    and `ModelError` where weights are missing or left over."""
    model = _new(folder)
    report = model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
    if strangers := [*report.missing_keys, *report.unexpected_keys]:
        raise ModelError(f"encoder {folder}: weights and config.json do not belong together, such as {strangers[0]}")
    image_processor = AutoImageProcessor.from_pretrained(folder)
    return model, pixels_by(image_processor), ids_by(AutoTokenizer.from_pretrained(folder))


def joined_outline(folder: Path) -> tuple[JoinedEncoder, int, int]:
    """(the encoder in a folder without its weights, the side of its pictures in pixels, the most tokens of a text)."""
    model = _new(folder)
    return model, int(model.tower.config.image_size), int(model.sentences.config.max_position_embeddings)


def _new(folder: Path) -> JoinedEncoder:
    document = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    tower, sentences = (
        AutoModel.from_config(AutoConfig.for_model(**document[half]), dtype=torch.float32)
        for half in ("tower", "sentences")
    )
    return JoinedEncoder(tower, sentences, document["width"])


def pixels_by(image_processor: Any) -> Any:
    def pixels(picture: Image) -> torch.Tensor:
        values: torch.Tensor = image_processor(picture, return_tensors="pt")["pixel_values"][0]
        return values

    return pixels


def ids_by(tokenizer: Any) -> Any:
    def ids(texts: list[str]) -> torch.Tensor:
        # on the right: positions count from a text's own beginning
        tokens = tokenizer(texts, padding=True, padding_side="right", truncation=True, return_tensors="pt")
        numbers: torch.Tensor = tokens["input_ids"]
        return numbers

    return ids
