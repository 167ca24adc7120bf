"""A picture opens as RGB whatever it was, or is refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import PictureError
from harness.pictures import LARGEST_SIDE, decode_picture, open_picture, picture_digest


def _red() -> Image.Image:
    return Image.new("RGB", (8, 6), (200, 10, 10))


def test_a_picture_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"absent\.png: no such picture"):
        open_picture(tmp_path / "absent.png")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_truncated_picture_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"half.{ending}"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match=rf"half\.{ending}: does not open as a picture"):
        open_picture(path)


def _encoded(kind: str) -> bytes:
    content = io.BytesIO()
    _red().save(content, kind)
    return content.getvalue()


@given(
    st.sampled_from([_encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "PPM")]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 1_000),
)
def test_any_spoilt_picture_opens_or_is_refused(whole: bytes, spoils: list[tuple[int, int]], end: int) -> None:
    content = bytearray(whole)
    for place, byte in spoils:
        content[place % len(content)] = byte
    try:
        assert decode_picture(bytes(content[:end]), "spoilt").mode == "RGB"
    except PictureError as error:
        assert str(error).startswith("spoilt: ")
        assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"words\.png: does not open as a picture"):
        open_picture(tmp_path / "words.png")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="does not open as a picture"):
        open_picture(tmp_path)


def test_a_picture_too_large_to_be_one_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("1", (LARGEST_SIDE + 1, 1)).save(path)
    with pytest.raises(PictureError, match=rf"wide\.png: {LARGEST_SIDE + 1}x1 pixels; at most {LARGEST_SIDE} a side"):
        open_picture(path)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (LARGEST_SIDE, LARGEST_SIDE)).save(path)
    with pytest.raises(PictureError, match=r"bomb\.png"):
        open_picture(path)


@pytest.mark.parametrize(
    ("mode", "ending"), [("P", "png"), ("L", "png"), ("CMYK", "jpg"), ("RGBA", "png"), ("1", "png"), ("I;16", "png")]
)
def test_every_colour_mode_comes_out_as_rgb(tmp_path: Path, mode: str, ending: str) -> None:
    path = tmp_path / f"picture.{ending}"
    (Image.new("I;16", (8, 6)) if mode == "I;16" else _red().convert(mode)).save(path)
    opened = open_picture(path)
    assert (opened.mode, opened.size) == ("RGB", (8, 6))


def test_a_palette_with_transparency_comes_out_as_rgb(tmp_path: Path) -> None:
    _red().convert("P").save(tmp_path / "clear.png", transparency=b"\x00\x80")
    assert open_picture(tmp_path / "clear.png").mode == "RGB"


def test_a_drawn_picture_is_a_picture() -> None:
    assert open_picture(lambda: _red().convert("L")).mode == "RGB"


def test_a_digest_is_of_the_pixels_and_not_of_the_file(tmp_path: Path) -> None:
    for ending in ("png", "bmp"):
        _red().save(tmp_path / f"red.{ending}")
    opened = [open_picture(tmp_path / f"red.{ending}") for ending in ("png", "bmp")]
    assert picture_digest(opened[:1]) == picture_digest(opened[1:])
    assert picture_digest(opened[:1]) != picture_digest([opened[0].resize((6, 8))])
    assert picture_digest(opened) != picture_digest(opened[:1])
