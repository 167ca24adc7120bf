"""Object detectors of transformers (DETR, RT-DETR, YOLOS, D-FINE, ...): which of their classes a picture shows.

A detector is a folder or a hub id, of safetensors, with its image processor beside it. What a score means is its own
processor's business (`post_process_object_detection`): softmax beside "no object" in DETR, a sigmoid in RT-DETR.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModelForObjectDetection

from harness.errors import ModelError
from harness.models.flops import ESTIMATED_FLOPS, LayerFlops
from harness.models.loading import model_errors, quiet, refuse_gaps, usable_device
from harness.models.weights import model_folder, weight_files, without_weights

PICTURES = 16
"""So many pictures of one size are computed together."""

_NO_CLASS = {"n/a", "", "no-object", "background"}
"""Names that configurations give to numbers which no thing has."""


class Detector:
    """`classes` are the names of what it detects."""

    def __init__(self, model: Any, processor: Any, *, device: str) -> None:
        self.model, self.processor, self.device = model.eval().to(device), processor, device
        self.names: Mapping[int, str] = {
            int(number): str(name).strip().lower()
            for number, name in model.config.id2label.items()
            if str(name).strip().lower() not in _NO_CLASS
        }
        self.classes = frozenset(self.names.values())
        self._layers = LayerFlops(model)
        self.forget_costs()

    @property
    def costs(self) -> Mapping[str, float]:
        """What was done since it was loaded: forward passes, pictures, seconds, operations, called as an encoder's."""
        return {
            "verifier_passes": self._passes,
            "verifier_pictures": self._pictures,
            "verifier_seconds": round(self._seconds, 3),
            ESTIMATED_FLOPS: self._layers.flops,
        }

    def forget_costs(self) -> None:
        self._seconds, self._passes, self._pictures, self._layers.flops = 0.0, 0, 0, 0

    @property
    def computed(self) -> Mapping[str, str]:
        return {"device": self.device, "dtype": str(self.model.dtype).removeprefix("torch.")}

    @torch.inference_mode()
    def scores(self, pictures: Sequence[Image.Image], batch: int = PICTURES) -> list[dict[str, float]]:
        """For each picture the best score of each class that it has a box of.

        Pictures of one size are computed together, others apart: a picture's boxes do not depend on the padding that
        its neighbours need.
        """
        began = time.monotonic()
        best_of: list[dict[str, float]] = [{} for _ in pictures]
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(picture.size, []).append(index)
        for places in by_size.values():
            for start in range(0, len(places), batch):
                chunk = places[start : start + batch]
                for index, best in zip(chunk, self._batch([pictures[index] for index in chunk]), strict=True):
                    best_of[index] = best
        self._seconds += time.monotonic() - began
        return best_of

    def _batch(self, pictures: Sequence[Image.Image]) -> list[dict[str, float]]:
        inputs = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        outputs = self.model(**inputs)
        self._passes += 1
        self._pictures += len(pictures)
        results = self.processor.post_process_object_detection(outputs, threshold=0.0)
        scores = []
        for result in results:
            best: dict[str, float] = {}
            for score, label in zip(result["scores"].tolist(), result["labels"].tolist(), strict=True):
                if (name := self.names.get(label)) is not None:
                    best[name] = max(score, best.get(name, 0.0))
            scores.append(best)
        return scores


def meta_detector(name: str, folder: Path) -> tuple[Any, Any]:
    """(the model of a folder's config.json on the meta device, its image processor); raises `ModelError`."""
    with model_errors(f"detector {name}: does not load as an object-detection model"):
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            model = AutoModelForObjectDetection.from_config(config, dtype=torch.float32)
        return model.eval(), AutoImageProcessor.from_pretrained(folder)


def load_detector(name: str, *, path: Path | None = None, device: str | None = None) -> Detector:
    """A detector by local folder or hub id; `path` is where the one called `name` lies, if that is not its name.

    Raises `ModelError` with the reason and the remedy, for weights that do not belong to their configuration and for
    classes without names too.
    """
    quiet()
    folder = path or model_folder(name)
    if not weight_files(folder):
        raise ModelError(f"detector {name}: {without_weights(folder)}")
    what = f"detector {name}: does not load as an object-detection model"
    with model_errors(f"{what}; name a folder or hub id of DETR, RT-DETR, YOLOS and their like"):
        model, report = AutoModelForObjectDetection.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
        processor = AutoImageProcessor.from_pretrained(folder)
    refuse_gaps(model, report, f"detector {name}")
    detector = Detector(model, processor, device=usable_device(device))
    if all(label.startswith("label_") for label in detector.classes):
        raise ModelError(f"detector {name}: its classes have no names; write id2label into its config.json")
    with model_errors(f"detector {name}: detects nothing; its processor and weights must be of one"):
        detector.scores([Image.new("RGB", (64, 48), (128, 128, 128))])
    detector.forget_costs()
    return detector
