"""A verifier's encoder out of a vision tower, a sentence encoder and captioned photographs: two linear maps, trained so
that a photograph is nearer to its own caption than to others' (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy, dropout, normalize
from transformers import AutoTokenizer

from harness.files import digest_of_bytes, digest_of_file, write_json
from harness.models.joined_encoder import JoinedEncoder, ids_by, pixels_by
from harness.models.loading import model_errors, quiet
from harness.pictures import open_picture
from loops.build_vlm.join import load_sentences, load_tower
from loops.build_vlm.kept import kept_tensor
from loops.build_vlm.lessons import Lesson
from loops.build_vlm.parts import Part

WIDTH, STEPS, BATCH, RATE, DECAY, DROPPED = 256, 600, 256, 1e-3, 0.05, 0.3
"""Of the shared space; of the training of the two maps, which takes a minute on a CPU. Features are dropped since there
are fewer photographs than numbers in a map."""

Begin = Callable[[str, int], Callable[[int], None]]


def build_encoder(
    tower: Part,
    sentences: Part,
    lessons: Sequence[Lesson],
    held_out: Sequence[Lesson],
    out: Path,
    *,
    begin: Begin,
    seed: int = 0,
) -> Mapping[str, Any]:
    """Build the encoder into the folder `out`, and say how often, of the photographs held out, a caption's own is the
    first and among the first ten.

    `out/training` keeps what the halves make of photographs and captions.
    """
    quiet()
    eye, image_processor = load_tower(tower.folder, None)
    with model_errors(f"{sentences.folder}: does not load as a sentence encoder; name another"):
        reader, tokenizer = load_sentences(sentences.folder), AutoTokenizer.from_pretrained(sentences.folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = JoinedEncoder(eye, reader, WIDTH).eval()
        every = [*lessons, *held_out]
        pictures = _pictures(encoder, image_processor, every, out / "training", tower.digest, begin)
        texts = _texts(encoder, tokenizer, every, out / "training", sentences.digest, begin)
        count = len(lessons)
        _train(encoder, pictures[:count], texts[:count], begin("training of the two maps", STEPS))
    measured = _recall(encoder, pictures[count:], texts[count:])
    encoder.save(out, image_processor, tokenizer)
    record = {
        "parts": {"tower": tower.record, "sentences": sentences.record},
        "photographs": count,
        "captions": sum(len(captions) for captions in texts[:count]),
        "held_out": measured,
    }
    write_json(out / "build.json", record)
    return record


@torch.inference_mode()
def _pictures(
    encoder: JoinedEncoder, image_processor: Any, lessons: Sequence[Lesson], kept: Path, tower: str, begin: Begin
) -> torch.Tensor:
    """(lessons, 2 d)"""
    pixels = pixels_by(image_processor)
    settings = digest_of_bytes(tower.encode(), str(image_processor.to_dict()).encode())

    def seen(chunk: Sequence[Lesson]) -> torch.Tensor:
        shown = torch.stack([pixels(open_picture(lesson.picture)) for lesson in chunk])
        return encoder.picture_features(shown)

    def identity(chunk: Sequence[Lesson]) -> list[str]:
        return [settings, *(digest_of_file(lesson.picture) for lesson in chunk)]

    return kept_tensor(lessons, seen, identity, kept=kept, advance=begin("what the tower sees", len(lessons)))


@torch.inference_mode()
def _texts(
    encoder: JoinedEncoder, tokenizer: Any, lessons: Sequence[Lesson], kept: Path, reader: str, begin: Begin
) -> list[torch.Tensor]:
    """Of each lesson (captions, d)."""
    ids = ids_by(tokenizer)
    captions = [caption for lesson in lessons for caption in lesson.captions]

    def read(chunk: Sequence[str]) -> torch.Tensor:
        return encoder.text_features(ids(list(chunk)))

    def identity(chunk: Sequence[str]) -> list[str]:
        return [reader, *chunk]

    vectors = kept_tensor(captions, read, identity, kept=kept, advance=begin("what captions say", len(captions)))
    return list(torch.split(vectors, [len(lesson.captions) for lesson in lessons]))


def _train(
    encoder: JoinedEncoder, pictures: torch.Tensor, texts: Sequence[torch.Tensor], advance: Callable[[int], None]
) -> None:
    """Train the maps on normed features, and fold the norming into them."""
    every = torch.cat(list(texts))
    seen = (pictures - pictures.mean(0)) / pictures.std(0).clamp_min(1e-6)
    told = [(captions - every.mean(0)) / every.std(0).clamp_min(1e-6) for captions in texts]
    maps = [*encoder.picture_map.parameters(), *encoder.text_map.parameters(), encoder.logit_scale]
    optimiser = torch.optim.AdamW(maps, lr=RATE, weight_decay=DECAY)
    for _ in range(STEPS):
        chosen = torch.randperm(len(seen))[:BATCH].tolist()
        captions = torch.stack([told[index][torch.randint(len(told[index]), ())] for index in chosen])
        left = normalize(encoder.picture_map(dropout(seen[chosen], DROPPED)), dim=-1)
        right = normalize(encoder.text_map(dropout(captions, DROPPED)), dim=-1)
        scores, own = left @ right.T * encoder.logit_scale.exp(), torch.arange(len(chosen))
        loss = (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        advance(1)
    with torch.no_grad():
        for linear, features in ((encoder.picture_map, pictures), (encoder.text_map, every)):
            linear.weight.div_(features.std(0).clamp_min(1e-6))
            linear.bias.sub_(linear.weight @ features.mean(0))


@torch.inference_mode()
def _recall(encoder: JoinedEncoder, pictures: torch.Tensor, texts: Sequence[torch.Tensor]) -> Mapping[str, float]:
    """For how many captions their own photograph is the nearest, and among the ten nearest."""
    if not texts:
        return {}
    owner = torch.tensor([index for index, captions in enumerate(texts) for _ in captions])
    left = normalize(encoder.picture_map(pictures), dim=-1)
    right = normalize(encoder.text_map(torch.cat(list(texts))), dim=-1)
    scores = right @ left.T
    rank = (scores > scores.gather(1, owner[:, None])).sum(1)
    return {
        "photographs": len(texts),
        "captions": len(owner),
        "R@1": round(float((rank < 1).float().mean()), 4),
        "R@10": round(float((rank < 10).float().mean()), 4),
    }
