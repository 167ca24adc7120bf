"""A vision-language model out of two pretrained parts and captioned photographs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.files import write_json
from harness.models.prompts import prompt_reader
from harness.models.stopping import stop_tokens
from harness.stats.resample import interval, resamples, stack
from loops.build_vlm.features import tower_features
from loops.build_vlm.join import fit, join
from loops.build_vlm.lessons import Lesson, Tutor
from loops.build_vlm.parts import Part
from loops.build_vlm.train import Material, Report, Schedule, batch_loss, compute_dtype, train

RECORD = "build.json"
"""What a built model was made of."""

FITTED = 200
"""Photographs by whose features the projector is started."""

DRAWS = 10_000
"""Bootstrap draws over the photographs that were held out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to build: the parts, what is learnt and what is kept for measuring, and how.

    `prompts` are what captions answer; `side` is the pixels of a picture's sides, None for those of the tower.
    """

    tower: Part
    language_model: Part
    lessons: Sequence[Lesson]
    held_out: Sequence[Lesson]
    prompts: Sequence[str]
    schedule: Schedule
    side: int | None = None
    device: str = "cpu"


Begin = Callable[[str, int], Callable[[int], None]]
"""Starts a progress bar and gives what moves it on (`strop.progress.progress_bars`)."""


def build_vlm(order: Order, out: Path, *, begin: Begin, report: Report) -> Mapping[str, Any]:
    """Build the model into the folder `out`, and say what was measured.

    `out/training` keeps the tower's features and the last checkpoint: stopped at any time, the same order goes on.
    """
    joined = join(order.tower.folder, order.language_model.folder, side=order.side, seed=order.schedule.seed)
    model, processor = joined.model.to(order.device), joined.processor
    reader = prompt_reader(model.config, processor)
    lessons = [*order.lessons, *order.held_out]
    features = tower_features(
        *(model, processor, reader.frame, [lesson.picture for lesson in lessons]),
        kept=out / "training" / "features",
        tower=order.tower.digest,
        device=order.device,
        advance=begin("what the tower sees", len(lessons)),
    )
    seen, held = features[: len(order.lessons)], features[len(order.lessons) :]
    fit(model, seen[:FITTED].flatten(0, 1).float().to(order.device))
    end = reader.end_token(stop_tokens(model, processor.tokenizer))
    tutor = Tutor(reader, end=end, prompts=order.prompts)
    material = Material(lessons=order.lessons, features=seen, tutor=tutor)
    model = train(model, material, order.schedule, work=out / "training", report=report)
    measured = held_out_losses(model, Material(lessons=order.held_out, features=held, tutor=tutor))
    model.save_pretrained(out)
    processor.save_pretrained(out)
    record = {
        "parts": {"tower": order.tower.record, "language_model": order.language_model.record},
        "photographs": len(order.lessons),
        "captions": sum(len(lesson.captions) for lesson in order.lessons),
        "questions": sum(len(lesson.questions) for lesson in order.lessons),
        "picture_tokens": features.shape[1],
        "schedule": asdict(order.schedule),
        "computed_in": str(compute_dtype(order.device)).removeprefix("torch."),
        "held_out": measured,
    }
    write_json(out / RECORD, record)
    return record


@torch.inference_mode()
def held_out_losses(model: Any, material: Material) -> Mapping[str, Any]:
    """Nats a token of captions of photographs that were not learnt from, one of each: with its own photograph, with
    another's, and how much the former is better (`gain`, with the 95 % interval of a bootstrap over photographs), which
    tells whether the model looks at all."""
    if not material.lessons:
        return {}
    rng = random.Random(0)
    losses = []
    for index, lesson in enumerate(material.lessons):
        batch = material.tutor.batch([index], [[(material.tutor.prompts[0], rng.choice(lesson.captions))]])
        shown = (index, (index + 1) % len(material.lessons))
        losses.append([float(batch_loss(model, batch, material.features[place : place + 1])) for place in shown])
    own, another = np.array(losses).T
    drawn = stack(weights @ (another - own) for weights in resamples(len(own), DRAWS, seed=0))
    low, high = interval(drawn / len(own))
    gain = {"value": float((another - own).mean()), "low": low, "high": high}
    return {"photographs": len(own), "own": float(own.mean()), "another": float(another.mean()), "gain": gain}
