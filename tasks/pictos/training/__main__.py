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
from safetensors.torch import load_model, save_model
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from tasks.pictos.training.build import SEED, Size, processor, vision_config, vlm
from tasks.pictos.training.data import Conversations, Looks
from tasks.pictos.training.encoder import ship_encoder, train_encoder
from tasks.pictos.training.vlm import align, train_tower, train_vlm

TOWER_STEPS, TOWER_BATCH = 2_400, 48
ALIGN_STEPS, ALIGN_BATCH = 200, 64
LOOK_STEPS, LOOK_BATCH = 1_500, 16
SPEAK_STEPS, REFINE_STEPS, FINISH_STEPS, SETTLE_STEPS, PEER_STEPS, SPEAKING_BATCH = 1_500, 900, 1_000, 400, 350, 32
ENCODER_STEPS, ENCODER_BATCH = 900, 64
WEAK_STEPS = 400
PLACED, PLACED_AGAIN = 0.4, 0.25
"""The share of scenes that are asked where things are and how many, instead of being captioned: at first, and later."""
EMPHASIS = 3.0
"""Weight of the words that name objects, against the other words of a caption."""

TOWER_START = 0
ALIGN_START = 150_000
LOOK_START = 200_000
SEED_START = 300_000
REFINE_START = 400_000
FINISH_START = 450_000
SETTLE_START = 500_000
PEER_START = 550_000
WEAK_START = 600_000
"""Where in the split `models` each stage's pictures begin, in blocks of `tasks.pictos.training.patches.BLOCK` seeds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work/trained"), help="where the models go")
    parser.add_argument("--work", type=Path, default=Path("work/models"), help="where finished parts are kept")
    parser.add_argument(
        "--only",
        choices=[*STAGES, *ASIDE],
        help="this part alone; default: all but strengths, finished ones skipped. strengths: checkpoints along the "
        "seed's training, weakest first, as models of their own in OUT/strengths (for the grid floor)",
    )
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name, stage in (STAGES | ASIDE).items():
        if arguments.only == name or (arguments.only is None and name in STAGES):
            stage(arguments.work, arguments.out, device)


def tower(work: Path, out: Path, device: str) -> None:
    path = work / "tower.safetensors"
    if path.exists():
        return
    report = _reporter(work / "tower.log")
    trained = train_tower(
        SEED, start=TOWER_START, steps=TOWER_STEPS, batch=TOWER_BATCH, seed=0, device=device, report=report
    )
    save_model(trained.cpu(), path)


def seed(work: Path, out: Path, device: str) -> None:
    """The seed: the trained tower, aligned with words; then a language model that learns to look and to speak."""
    if (out / "pictos-seed" / "model.safetensors").exists():
        return
    words, report = processor().tokenizer, _reporter(work / "pictos-seed.log")
    model = vlm(SEED, words, 1)
    model.model.vision_tower.load_state_dict(load_tower(work, SEED).state_dict())
    looks = Looks(LOOK_START, LOOK_STEPS, LOOK_BATCH, words)
    speak = _conversations(words, SEED_START, SPEAK_STEPS, questions=3, placed=PLACED)
    refine = _conversations(words, REFINE_START, REFINE_STEPS, questions=2, placed=PLACED_AGAIN)
    finish = _conversations(words, FINISH_START, FINISH_STEPS, questions=2, placed=PLACED_AGAIN)
    settle = _conversations(words, SETTLE_START, SETTLE_STEPS, questions=4, pairs=2, placed=PLACED_AGAIN)
    stages: dict[str, Callable[[], object]] = {
        "align": lambda: align(
            model, words, start=ALIGN_START, steps=ALIGN_STEPS, batch=ALIGN_BATCH, device=device, report=report
        ),
        "look": lambda: train_vlm(model, looks, rate=1.5e-3, device=device, report=report),
        "speak": lambda: train_vlm(model, speak, rate=1.5e-3, device=device, report=report),
        "refine": lambda: train_vlm(model, refine, rate=1.2e-3, device=device, report=report),
        "finish": lambda: train_vlm(model, finish, rate=1.2e-3, device=device, report=report),
        "settle": lambda: train_vlm(model, settle, rate=1e-3, device=device, report=report),
    }
    for name, train in stages.items():
        path = work / f"{name}.safetensors"
        if path.exists():
            load_model(model, path)
            continue
        train()
        save_model(model, path)
    ship(model, "pictos-seed", out)


def peer(work: Path, out: Path, device: str) -> None:
    """The peer: the seed's weights, trained on with other scenes, as the larger share of its schooling."""
    if (out / "pictos-peer" / "model.safetensors").exists():
        return
    processing = processor()
    model = LlavaForConditionalGeneration.from_pretrained(out / "pictos-seed", dtype=torch.float32)
    conversations = _conversations(processing.tokenizer, PEER_START, PEER_STEPS, questions=3, placed=PLACED_AGAIN)
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


def strengths(work: Path, out: Path, device: str) -> None:
    """Checkpoints along the seed's training, weakest first: the first speaks after few steps, the last is the seed."""
    words = processor().tokenizer
    model = vlm(SEED, words, 1)
    load_model(model, work / "look.safetensors")
    few = _conversations(words, WEAK_START, WEAK_STEPS, questions=3, placed=PLACED)
    train_vlm(model, few, rate=1.5e-3, device=device, report=_reporter(work / "strengths.log"))
    ship(model, "1", out / "strengths")
    for number, name in enumerate(("speak", "refine", "finish", "settle"), start=2):
        model = vlm(SEED, words, 1)
        load_model(model, work / f"{name}.safetensors")
        ship(model, str(number), out / "strengths")


def _conversations(
    words: PreTrainedTokenizerFast, start: int, steps: int, *, questions: int, placed: float, pairs: int = 1
) -> Conversations:
    return Conversations(
        start, steps, SPEAKING_BATCH, words, questions=questions, pairs=pairs, placed=placed, emphasis=EMPHASIS
    )


def load_tower(work: Path, size: Size) -> CLIPVisionModel:
    trained = CLIPVisionModel(vision_config(size))
    load_model(trained, work / "tower.safetensors")
    return trained


def ship(model: LlavaForConditionalGeneration, name: str, out: Path) -> None:
    """Weights in half precision (a tenth of a point of loss is not lost, half of the bytes are), processor beside."""
    model.cpu().half().save_pretrained(out / name, safe_serialization=True)
    processor().save_pretrained(out / name)


def _reporter(log: Path) -> Callable[[str, int, int, float], None]:
    console, began = Console(stderr=True), time.monotonic()

    def report(what: str, step: int, steps: int, loss: float) -> None:
        if step % 50 == 0 or step == steps - 1:
            seconds = round(time.monotonic() - began, 1)
            console.print(f"{what} {step + 1}/{steps} loss {loss:.4f} {seconds:.0f} s")
            with log.open("a") as stream:
                stream.write(json.dumps({"step": step + 1, "loss": round(loss, 4), "seconds": seconds}) + "\n")

    return report


ASIDE = {"strengths": strengths}
STAGES = {"tower": tower, "seed": seed, "encoder": encoder, "peer": peer, "cards": cards}

if __name__ == "__main__":
    main()
