"""A vision-language model out of two pretrained parts and captioned photographs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from harness.files import write_json
from harness.models.prompts import prompt_reader
from harness.models.stopping import stop_tokens
from loops.build_vlm.features import tower_features
from loops.build_vlm.join import fit, join
from loops.build_vlm.lessons import Lesson, Tutor
from loops.build_vlm.parts import Part
from loops.build_vlm.train import Material, Report, Schedule, batch_loss, train

RECORD = "build.json"
"""What a built model was made of."""

FITTED = 200
"""Photographs by whose features the projector is started."""


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
        "held_out": measured,
    }
    write_json(out / RECORD, record)
    return record


@torch.inference_mode()
def held_out_losses(model: Any, material: Material) -> Mapping[str, float]:
    """Nats a token of the captions of photographs that were not learnt from: of each with its own photograph, and with
    another's, which tells whether the model looks at all."""
    if not material.lessons:
        return {}
    own, other, count = 0.0, 0.0, 0
    rng = random.Random(0)
    for index, lesson in enumerate(material.lessons):
        prompt = material.tutor.prompts[0]
        turns = [(prompt, caption) for caption in lesson.captions]
        rng.shuffle(turns)
        stranger = (index + 1) % len(material.lessons)
        for turn in turns[:1]:
            batch = material.tutor.batch([index], [[turn]])
            own += float(batch_loss(model, batch, material.features[index : index + 1]))
            other += float(batch_loss(model, batch, material.features[stranger : stranger + 1]))
            count += 1
    return {"photographs": count, "own": round(own / count, 4), "another": round(other / count, 4)}
