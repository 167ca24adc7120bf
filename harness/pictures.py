"""Opening pictures: one place that decodes them, and says which one is bad and why.

A picture is what `PIL.Image.open(path).convert("RGB")` gives, since that is what the loaders of LLaVA and of most
evaluations show a model, and boxes and sizes in COCO are of pictures as they are stored. So an animation is its first
frame; a camera's note that the picture lies on its side (EXIF orientation) is not heeded; transparency is dropped,
what lies under it shown; 16-bit grey is not scaled but cut off at 255, nearly white. Results tell it: `SHOWN_AS`.

The rule is one for files, for bytes that a table of the hub holds (tables are read undecoded, since `datasets` turns
what it decodes) and for pictures that a task hands over opened. One that `datasets` decoded is turned already, and
nothing in it says so: a task of one's own takes the column undecoded, and `decode_picture`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from harness.errors import PictureError
from harness.files import digest_of_bytes
from harness.types import Picture

SHOWN_AS = "as stored: first frame, not turned by EXIF, transparency dropped, 16-bit grey cut at 255"
"""What results say of how pictures are opened."""

LARGEST_SIDE = 16_384
"""Pixels; a larger picture is refused before it is decoded, and so is one of more than twice Pillow's own limit."""

_DECODERS_RAISE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, EOFError, MemoryError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""Each met, or a sibling of one met, where bytes of whole pictures of 14 formats were changed at random."""


def open_picture(picture: Picture) -> Image.Image:
    """The picture as RGB; raises `PictureError` naming a file that is missing, broken, no picture or too large, or the
    function that draws none."""
    if not callable(picture):
        return _opened(picture, str(picture))
    drawn: Image.Image | None = None
    try:
        drawn = picture()
        return _as_shown(drawn)
    except (*_DECODERS_RAISE, AttributeError) as error:
        if isinstance(drawn, Image.Image):
            raise _unopened(f"a picture of {drawn.width}x{drawn.height} pixels", error) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{picture!r:.120}: draws no picture ({reason})") from error


def decode_picture(content: bytes, name: str) -> Image.Image:
    """A picture held in memory as RGB; raises `PictureError` under `name` as `open_picture` does."""
    return _opened(io.BytesIO(content), name)


def _opened(source: Path | io.BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(source) as image:
            if max(image.size) > LARGEST_SIDE:
                raise PictureError(f"{name}: {image.width}x{image.height} pixels; at most {LARGEST_SIDE} a side")
            return _as_shown(image)
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such picture") from error
    except _DECODERS_RAISE as error:
        raise _unopened(name, error) from error


def _as_shown(image: Image.Image) -> Image.Image:
    if 0 in image.size:
        raise ValueError("it has no pixels")
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
    # a palette's transparency is dropped as any other's, by way of RGBA: Pillow warns on the direct way
    return (image.convert("RGBA") if "transparency" in image.info else image).convert("RGB")


def _unopened(name: str, error: BaseException) -> PictureError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return PictureError(f"{name}: does not open as a picture ({reason})")


def picture_digest(images: Sequence[Image.Image]) -> str:
    """SHA-256 of the pixels, whatever file format they came in."""
    return digest_of_bytes(*(chunk for image in images for chunk in (repr(image.size).encode(), image.tobytes())))
