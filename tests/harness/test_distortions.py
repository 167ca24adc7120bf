"""A distorted picture has the size that it had, follows from its seeds, and shows what the formula says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.distortions import DISTORTIONS, distorted, distorted_sample, linear_kept, sigmoid_kept
from harness.pictures import open_picture
from tasks.pictos.benchmarks import caption_samples

DRAWN = ("noise", "noise_linear", "crop", "colour", "masked")
"""Those that chance has a part in."""


def _picture(width: int = 48, height: int = 32) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _shown(name: str, picture: Image.Image, *seeds: int | str, strength: float | None = None) -> Image.Image:
    usual = DISTORTIONS[name].strength
    return open_picture(distorted(lambda: picture, name, usual if strength is None else strength, *seeds))


@given(
    st.sampled_from(sorted(DISTORTIONS)), st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**40)
)
def test_a_distorted_picture_has_the_size_that_it_had(
    name: str, width: int, height: int, share: float, seed: int
) -> None:
    kind = DISTORTIONS[name]
    shown = _shown(name, _picture(width, height), seed, strength=kind.least + share * (kind.most - kind.least))
    assert (shown.size, shown.mode) == ((width, height), "RGB")


@pytest.mark.parametrize("name", DISTORTIONS)
def test_a_distortion_follows_from_its_seeds(name: str) -> None:
    picture = _picture()
    first, again, other = (_shown(name, picture, 7, sample).tobytes() for sample in ("a", "a", "b"))
    assert first == again != picture.tobytes()
    assert (first != other) == (name in DRAWN)


@pytest.mark.parametrize(("name", "strength"), [("blur", 0), ("crop", 1), ("low_resolution", 32), ("masked", 0)])
def test_at_its_weakest_a_distortion_changes_nothing(name: str, strength: float) -> None:
    assert _shown(name, _picture(), 0, strength=strength).tobytes() == _picture().tobytes()


def test_the_noise_is_that_of_the_published_schedules() -> None:
    """Step by step as they are written; both lose the signal and never gain it."""
    kept, expected = 1.0, []
    for step in range(1_000):
        kept *= 1 - ((0.5e-2 - 1e-5) / (1 + math.exp(6 - 12 * step / 999)) + 1e-5)
        expected.append(kept)
    assert sigmoid_kept() == pytest.approx(expected)
    assert linear_kept()[0] == pytest.approx(0.9999)
    assert linear_kept()[-1] == pytest.approx(4.04e-5, rel=1e-2), "as Ho et al. have it, nearly nothing"
    assert (np.diff(sigmoid_kept()) < 0).all()


def test_a_grey_picture_is_noised_by_as_much_as_the_step_says() -> None:
    """60 of CLIP's standard deviations from black and white at step 100, where nothing is cut."""
    grey = Image.new("RGB", (300, 300), (128, 128, 128))
    pixels = np.asarray(_shown("noise", grey, 0, strength=100)).astype(float) / 255
    share, mean, std = sigmoid_kept()[100], (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    for channel in range(3):
        middle = math.sqrt(share) * (128 / 255 - mean[channel]) + mean[channel]
        assert pixels[..., channel].mean() == pytest.approx(middle, abs=1e-3)
        assert pixels[..., channel].std() == pytest.approx(math.sqrt(1 - share) * std[channel], rel=0.02)


def test_noise_survives_where_a_processor_makes_a_photograph_smaller() -> None:
    large = Image.new("RGB", (1344, 672), (128, 128, 128))
    noised = _shown("noise", large, 0, strength=300)
    small = np.asarray(noised.resize((672, 336), Image.Resampling.BOX)).astype(float)
    assert small.std() == pytest.approx(np.asarray(noised).astype(float).std(), rel=0.01)


def test_a_masked_picture_hides_as_many_patches_as_it_says() -> None:
    black = Image.new("RGB", (64, 64))
    black.paste((255, 255, 255), (0, 0, 64, 32))
    shown = np.asarray(_shown("masked", black, 3, strength=0.25))
    assert ((shown == 128).all(-1)).mean() == 0.25
    assert {tuple(pixel) for pixel in shown.reshape(-1, 3)} == {(0,) * 3, (128,) * 3, (255,) * 3}


def test_a_crop_shows_a_window_enlarged() -> None:
    halves = Image.new("RGB", (64, 64), (255, 0, 0))
    halves.paste((0, 0, 255), (32, 0, 64, 64))
    shares = [np.asarray(_shown("crop", halves, seed, strength=0.1))[..., 0].mean() / 255 for seed in range(30)]
    assert 0 in shares and 1 in shares, "some windows show one half alone"


def test_other_colours_leave_shapes_as_they_are() -> None:
    shown = np.asarray(_shown("colour", _picture(), 1).convert("L")).astype(float)
    assert np.corrcoef(shown.ravel(), np.asarray(_picture().convert("L")).ravel())[0, 1] > 0.6


def test_each_sample_has_a_noise_of_its_own_for_each_seed() -> None:
    first, second = caption_samples("pool", 2)
    shown = {
        open_picture(distorted_sample(sample, "masked", 0.5, seed).images[0]).tobytes()
        for sample in (first, second)
        for seed in (1, 2)
    }
    assert len(shown) == 4
