"""`python -m tasks.pictos.training`: the embedded world's models from nothing (`make models`).

They go into a folder of their own; copied over `tasks/pictos/models` they are the ones that Strop ships.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionModel, LlavaForConditionalGeneration

from tasks.pictos.training.build import SEED, Size, processor, vision_config, vlm
from tasks.pictos.training.data import Conversations, Looks
from tasks.pictos.training.encoder import ship_encoder, train_encoder
from tasks.pictos.training.vlm import align, teach_places, train_tower, train_vlm

TOWER_STEPS, TOWER_BATCH = 1_150, 64
ALIGN_STEPS = 200
LOOK_STEPS, LOOK_BATCH = 500, 16
PLACE_STEPS = 160
SPEAK_STEPS, REFINE_STEPS, LOCATE_STEPS, SEED_BATCH = 1_900, 1_200, 1_000, 32
PLACED = 0.45
"""The share of scenes that are asked where everything is, once patches know where they are."""
PEER_STEPS, PEER_BATCH = 600, 32
ENCODER_STEPS, ENCODER_BATCH = 900, 64
EMPHASIS = 3.0
"""Weight of the words that name objects, against the other words of a caption."""

ALIGN_START = 500_000
LOOK_START = 600_000
SEED_START = 1_000_000
REFINE_START = 2_000_000
PEER_START = 3_000_000
LOCATE_START = 4_000_000
PLACE_START = 5_000_000
"""Where in the split `models` each model's scenes begin: the tower's are from 0, nobody shares one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work/trained"), help="where the models go")
    parser.add_argument("--work", type=Path, default=Path("work/models"), help="where finished parts are kept")
    parser.add_argument("--only", choices=list(STAGES), help="this part alone; default: all, finished ones skipped")
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name, stage in STAGES.items():
        if arguments.only in (None, name):
            stage(arguments.work, arguments.out, device)


def tower(work: Path, out: Path, device: str) -> None:
    path = work / "tower.safetensors"
    if path.exists():
        return
    trained = train_tower(
        SEED, steps=TOWER_STEPS, batch=TOWER_BATCH, seed=0, device=device, report=_reporter(work / "tower.log")
    )
    work.mkdir(parents=True, exist_ok=True)
    save_file(trained.cpu().state_dict(), path)


def seed(work: Path, out: Path, device: str) -> None:
    """The seed: the trained tower, aligned with words; then a language model that learns to look, to speak,
    and where things are."""
    if (out / "pictos-seed" / "model.safetensors").exists():
        return
    processing = processor()
    model = vlm(SEED, processing.tokenizer, 1)
    model.model.vision_tower.load_state_dict(load_tower(work, SEED).state_dict())
    report = _reporter(work / "pictos-seed.log")
    align(
        model,
        processing.tokenizer,
        start=ALIGN_START,
        steps=ALIGN_STEPS,
        batch=TOWER_BATCH,
        device=device,
        report=report,
    )
    looks = Looks(LOOK_START, LOOK_STEPS, LOOK_BATCH, processing.tokenizer)
    train_vlm(model, looks, rate=1.5e-3, device=device, report=report)
    speak = Conversations(
        SEED_START, SPEAK_STEPS, SEED_BATCH, processing.tokenizer, questions=2, pairs=1, emphasis=EMPHASIS
    )
    train_vlm(model, speak, rate=1.5e-3, device=device, report=report)
    refine = Conversations(REFINE_START, REFINE_STEPS, SEED_BATCH, processing.tokenizer, questions=4, emphasis=EMPHASIS)
    train_vlm(model, refine, rate=1.2e-3, device=device, report=report)
    teach_places(model, start=PLACE_START, steps=PLACE_STEPS, batch=TOWER_BATCH, device=device, report=report)
    locate = Conversations(
        LOCATE_START, LOCATE_STEPS, SEED_BATCH, processing.tokenizer, questions=4, placed=PLACED, emphasis=EMPHASIS
    )
    train_vlm(model, locate, rate=1.2e-3, device=device, report=report)
    ship(model, "pictos-seed", out)


def peer(work: Path, out: Path, device: str) -> None:
    """The peer: the seed's weights, trained on with other scenes, as the larger share of its schooling."""
    if (out / "pictos-peer" / "model.safetensors").exists():
        return
    processing = processor()
    model = LlavaForConditionalGeneration.from_pretrained(out / "pictos-seed", dtype=torch.float32)
    conversations = Conversations(
        PEER_START, PEER_STEPS, PEER_BATCH, processing.tokenizer, questions=4, pairs=2, emphasis=EMPHASIS
    )
    train_vlm(model, conversations, rate=1e-3, device=device, report=_reporter(work / "pictos-peer.log"))
    ship(model, "pictos-peer", out)


def encoder(work: Path, out: Path, device: str) -> None:
    if (out / "pictos-encoder" / "open_clip_model.safetensors").exists():
        return
    model = train_encoder(
        load_tower(work, SEED),
        steps=ENCODER_STEPS,
        batch=ENCODER_BATCH,
        device=device,
        report=_reporter(work / "encoder.log"),
    )
    ship_encoder(model, out / "pictos-encoder")


def cards(work: Path, out: Path, device: str) -> None:
    from tasks.pictos.training.exam import write_cards

    write_cards(out, work, {"pictos-seed": SEED_START, "pictos-peer": PEER_START})


def load_tower(work: Path, size: Size) -> CLIPVisionModel:
    trained = CLIPVisionModel(vision_config(size))
    trained.load_state_dict(load_file(work / "tower.safetensors"))
    return trained


def ship(model: LlavaForConditionalGeneration, name: str, out: Path) -> None:
    """Weights in half precision (a tenth of a point of loss is not lost, half of the bytes are), processor beside."""
    model.cpu().half().save_pretrained(out / name, safe_serialization=True)
    processor().save_pretrained(out / name)


def _reporter(log: Path) -> Callable[[str, int, int, float], None]:
    console, began = Console(stderr=True), time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)

    def report(what: str, step: int, steps: int, loss: float) -> None:
        if step % 50 == 0 or step == steps - 1:
            seconds = round(time.monotonic() - began, 1)
            console.print(f"{what} {step + 1}/{steps} loss {loss:.4f} {seconds:.0f} s")
            with log.open("a") as stream:
                stream.write(json.dumps({"step": step + 1, "loss": round(loss, 4), "seconds": seconds}) + "\n")

    return report


STAGES = {"tower": tower, "seed": seed, "encoder": encoder, "peer": peer, "cards": cards}

if __name__ == "__main__":
    main()
