"""Pictures that show less than they did: pure functions of a picture, a strength and a generator, by name.

A distorted picture has the size that it had, so that a model's processor treats it as it treats the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from harness.files import digest_of_json
from harness.pictures import open_picture
from harness.types import Picture, Sample

STEPS = 1_000
"""Of the diffusion whose noise is taken."""

SHORTER_SIDE = 336
"""Pixels of a noised picture: the size of LLaVA-1.5's, which VCD and SeVa noise. Finer noise would be averaged away
where a processor makes a photograph smaller."""

GRID = 8
"""Patches along each side, of which some are hidden."""

_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's processor, behind which VCD and SeVa add noise."""


Shares = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Distortion:
    """`apply` takes an RGB picture, a strength and a generator; `strength` is the usual one, `least` and `most` bound
    it, and `unit` says what it counts."""

    apply: Callable[[Image.Image, float, np.random.Generator], Image.Image]
    strength: float
    least: float
    most: float
    unit: str


def distorted(picture: Picture, name: str, strength: float, *seeds: int | str) -> Picture:
    """The picture, distorted when it is opened; the same seeds give the same picture."""
    return partial(_draw, picture, name, strength, seeds)


def distorted_sample(sample: Sample, name: str, strength: float, seed: int) -> Sample:
    """The sample with its pictures distorted, each sample's in its own way."""
    images = [distorted(picture, name, strength, seed, sample.id, n) for n, picture in enumerate(sample.images)]
    return replace(sample, images=tuple(images))


def _draw(picture: Picture, name: str, strength: float, seeds: tuple[int | str, ...]) -> Image.Image:
    rng = np.random.default_rng(int(digest_of_json(list(seeds))[:16], 16))
    return DISTORTIONS[name].apply(open_picture(picture), strength, rng)


def sigmoid_kept() -> Shares:
    """What is left of the signal after each step, as a share of its variance, by VCD's schedule.

    Source: Leng et al., arXiv 2311.16922, DAMO-NLP-SG/VCD, vcd_utils/vcd_add_noise.py.
    """
    rates = 1 / (1 + np.exp(-np.linspace(-6, 6, STEPS)))
    return np.cumprod(1 - (rates * (0.5e-2 - 1e-5) + 1e-5))


def linear_kept() -> Shares:
    """The same by the schedule of Ho et al., arXiv 2006.11239: rates from 1e-4 to 0.02."""
    return np.cumprod(1 - np.linspace(1e-4, 0.02, STEPS))


def _noise(kept: Shares, picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """x_t = sqrt(kept_t) x + sqrt(1 - kept_t) e, of pixels that are scaled as CLIP has them; what leaves the range of
    pixels is cut. The noise of a larger picture comes in blocks."""
    scale = min(1.0, SHORTER_SIDE / min(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    share = kept[int(strength)]
    columns, rows = (np.arange(side) * count // side for side, count in zip(picture.size, (width, height), strict=True))
    noise = rng.standard_normal((height, width, 3))[rows][:, columns]
    pixels = (np.asarray(picture) / 255 - _MEAN) / _STD
    noised = np.sqrt(share) * pixels + np.sqrt(1 - share) * noise
    return Image.fromarray(((noised * _STD + _MEAN).clip(0, 1) * 255).round().astype(np.uint8))


def _blur(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(strength * min(picture.size)))


def _crop(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """A window of that share of the area, anywhere in the picture, enlarged to all of it."""
    width, height = (max(1, round(side * strength**0.5)) for side in picture.size)
    left, top = rng.integers(picture.width - width + 1), rng.integers(picture.height - height + 1)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))


def _reduce(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Made as small as that, and enlarged again."""
    scale = min(1.0, strength / min(picture.size))
    small = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BILINEAR)
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def _recolour(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """Brightness times a factor within 1 +- strength; the hue turned by up to 0.6 of it, as STIC has 0.5 and 0.3."""
    brightness, turn = rng.uniform(1 - strength, 1 + strength), rng.uniform(-0.6 * strength, 0.6 * strength)
    hue, saturation, value = ImageEnhance.Brightness(picture).enhance(brightness).convert("HSV").split()
    turned = Image.fromarray((np.asarray(hue).astype(np.int64) + round(255 * turn)).astype(np.uint8))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _mask(picture: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    """That share of the patches in the picture's mean colour."""
    hidden = np.zeros(GRID * GRID, dtype=bool)
    hidden[rng.permutation(GRID * GRID)[: round(strength * GRID * GRID)]] = True
    columns, rows = (np.arange(side) * GRID // side for side in picture.size)
    pixels = np.asarray(picture)
    masked = hidden.reshape(GRID, GRID)[rows][:, columns, None]
    return Image.fromarray(np.where(masked, pixels.mean((0, 1)).round().astype(np.uint8), pixels))


DISTORTIONS: Mapping[str, Distortion] = MappingProxyType(
    {
        "noise": Distortion(
            apply=partial(_noise, sigmoid_kept()), strength=500, least=0, most=STEPS - 1, unit="step of VCD's diffusion"
        ),
        "noise_linear": Distortion(
            apply=partial(_noise, linear_kept()), strength=500, least=0, most=STEPS - 1, unit="step of DDPM's diffusion"
        ),
        "blur": Distortion(apply=_blur, strength=0.05, least=0, most=1, unit="radius in shorter sides"),
        "crop": Distortion(apply=_crop, strength=0.3, least=0.01, most=1, unit="share of the area that is left"),
        "low_resolution": Distortion(
            apply=_reduce, strength=20, least=1, most=SHORTER_SIDE, unit="shorter side in pixels"
        ),
        "colour": Distortion(apply=_recolour, strength=0.5, least=0, most=0.8, unit="largest change of brightness"),
        "masked": Distortion(apply=_mask, strength=0.5, least=0, most=1, unit="share of the patches"),
    }
)
"""By name. Steps 500 and 800 are SeVa's (arXiv 2404.10501), 20 pixels and the colours STIC's (arXiv 2405.19716)."""
