"""Opening pictures: one place that decodes them, and says which one is bad and why."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

from harness.errors import PictureError
from harness.files import digest_of_bytes
from harness.types import Picture

LARGEST_SIDE = 16_384
"""Pixels; a larger picture is refused before it is decoded."""


def open_picture(picture: Picture) -> Image.Image:
    """The picture as RGB; raises `PictureError` naming a file that is missing, broken, no picture or too large."""
    if callable(picture):
        return picture().convert("RGB")
    try:
        with Image.open(picture) as image:
            if max(image.size) > LARGEST_SIDE:
                raise PictureError(f"{picture}: {image.width}x{image.height} pixels; at most {LARGEST_SIDE} a side")
            # a palette's transparency is dropped as any other's, by way of RGBA: Pillow warns on the direct way
            return (image.convert("RGBA") if "transparency" in image.info else image).convert("RGB")
    except FileNotFoundError as error:
        raise PictureError(f"{picture}: no such picture") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{picture}: does not open as a picture ({error})") from error


def picture_digest(images: Sequence[Image.Image]) -> str:
    """SHA-256 of the pixels, whatever file format they came in."""
    return digest_of_bytes(*(part for image in images for part in (repr(image.size).encode(), image.tobytes())))
