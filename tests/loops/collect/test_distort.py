"""The answer to a picture stands against the answer to the picture distorted."""

from __future__ import annotations

import pytest

from harness.pictures import open_picture
from harness.types import Sample, Sampling
from loops.collect.distort import Distort
from tasks.pictos.benchmarks import caption_samples
from tests.support.speaker import Speaker


def _is_noised(sample: Sample, sampling: Sampling, draw: int) -> str:
    (picture,) = sample.images
    plain = next(each for each in caption_samples("pool", 3) if each.id == sample.id)
    return "A cat." if open_picture(picture).tobytes() == open_picture(plain.images[0]).tobytes() else "A dog."


def test_the_first_answer_is_to_the_picture_and_the_second_to_the_distorted_one() -> None:
    model = Speaker(_is_noised)
    groups = Distort(strength=300).ask(model, caption_samples("pool", 3), seed=4)  # type: ignore[arg-type]
    assert [group.answers for group in groups] == [("A cat.", "A dog.")] * 3
    assert [group.notes for group in groups] == [({}, {"distortion": "noise", "strength": 300})] * 3
    assert Distort.ordered


def test_a_row_is_asked_about_the_picture_as_it_is() -> None:
    samples = caption_samples("pool", 3)
    groups = Distort().ask(Speaker(_is_noised), samples, seed=4)  # type: ignore[arg-type]
    assert [group.sample for group in groups] == list(samples)


def test_both_answers_are_drawn_by_the_same_numbers() -> None:
    model = Speaker(_is_noised)
    Distort(temperature=0.7).ask(model, caption_samples("pool", 3), seed=4)  # type: ignore[arg-type]
    assert [sampling.seed for _, sampling in model.passes] == [4, 4]
    first, second = ([sample.id for sample in samples] for samples, _ in model.passes)
    assert first == second


@pytest.mark.parametrize(
    ("distortion", "strength", "message"),
    [
        ("noise", 1000, r"collect\.strength 1000: of distortion noise it is a step of VCD's diffusion from 0 to 999"),
        ("masked", 1.5, r"collect\.strength 1\.5: of distortion masked it is a share of the patches from 0 to 1"),
    ],
)
def test_a_strength_that_a_distortion_has_not_is_refused(distortion: str, strength: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distort(distortion=distortion, strength=strength)  # type: ignore[arg-type]
