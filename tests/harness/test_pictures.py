"""A picture opens as RGB whatever it was, or is refused by name."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import PictureError
from harness.measure import measure
from harness.pictures import LARGEST_SIDE, SHOWN_AS, decode_picture, open_picture, picture_digest
from harness.results import read_results
from harness.types import AnswerStream, Sample, Sampling
from tasks.data.hub import HubSource, HubTable
from tasks.data.pools import own_pool
from tasks.registry import find_task


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
    for position, byte in spoils:
        content[position % len(content)] = byte
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


# One rule, wherever a picture comes from ------------------------------------------------------------------------------


def _noise() -> Image.Image:
    """Noise that survives no turn unnoticed."""
    return Image.effect_noise((8, 6), 90).convert("RGB")


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _saved(_noise(), "PNG", exif=exif)


def _saved(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **settings)
    return content.getvalue()


def _sixteen_bit() -> Image.Image:
    return Image.fromarray(np.arange(0, 48 * 20, 20, dtype=np.uint16).reshape(6, 8))


KINDS: dict[str, Callable[[], bytes]] = {
    **{f"EXIF orientation {n}": partial(_turned, n) for n in (3, 6, 8)},
    "16-bit grey PNG": lambda: _saved(_sixteen_bit(), "PNG"),
    "16-bit grey TIFF": lambda: _saved(_sixteen_bit(), "TIFF"),
    "transparent palette": lambda: _saved(_noise().convert("P"), "PNG", transparency=b"\x00\x80"),
    "one transparent colour": lambda: _saved(_noise(), "PNG", transparency=(0, 0, 0)),
    "alpha": lambda: _saved(_noise().convert("RGBA"), "PNG"),
    "grey with alpha": lambda: _saved(_noise().convert("LA"), "PNG"),
    "CMYK": lambda: _saved(_noise().convert("CMYK"), "JPEG"),
    "animated GIF": lambda: _saved(_noise(), "GIF", save_all=True, append_images=[_noise(), _noise()]),
    "animated PNG": lambda: _saved(_noise(), "PNG", save_all=True, append_images=[_noise()]),
    "animated WebP": lambda: _saved(_noise(), "WEBP", lossless=True, save_all=True, append_images=[_noise()]),
}


@pytest.mark.reported("pictures")
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_the_same_from_a_folder_a_hub_table_and_an_opened_object(tmp_path: Path, kind: str) -> None:
    content = KINDS[kind]()
    (tmp_path / "picture.png").write_bytes(content)
    from_folder = open_picture(tmp_path / "picture.png")
    rows = {"image": [str(tmp_path / "picture.png")], "answer": ["yes"]}
    datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image()).to_parquet(tmp_path / "test.parquet")
    stored = datasets.Dataset.from_parquet(str(tmp_path / "test.parquet"), cache_dir=str(tmp_path / "cache"))
    hub = HubTable(
        HubSource(id="my/data", revision="0" * 40, files="*", picture="image", columns=()),
        stored.cast_column("image", datasets.Image(decode=False)),
    )
    ((_, from_hub),) = hub.rows()
    assert from_hub is not None
    shown = [from_folder, open_picture(from_hub), decode_picture(content, "bytes")]
    with Image.open(io.BytesIO(content)) as opened:
        opened.seek(getattr(opened, "n_frames", 1) - 1)
        shown.append(open_picture(lambda: opened))
    assert {picture_digest([picture]) for picture in shown} == {picture_digest([from_folder])}
    assert (from_folder.mode, from_folder.size) == ("RGB", (8, 6))


@pytest.mark.reported("pictures")
def test_sixteen_bit_grey_is_cut_and_what_lies_under_transparency_is_shown() -> None:
    grey = decode_picture(_saved(_sixteen_bit(), "PNG"), "grey")
    assert [grey.getpixel((x, 0)) for x in (0, 1)] + [grey.getpixel((0, 5))] == [(0,) * 3, (20,) * 3, (255,) * 3]
    clear = Image.new("RGBA", (8, 6), (200, 10, 10, 0))
    assert decode_picture(_saved(clear, "PNG"), "clear").getpixel((0, 0)) == (200, 10, 10)


@pytest.mark.reported("pictures")
@pytest.mark.parametrize("kind", ["EXIF orientation 6", "16-bit grey PNG", "transparent palette"])
def test_a_pool_of_the_hub_shows_what_a_folder_of_the_same_files_shows(tmp_path: Path, kind: str) -> None:
    content = KINDS[kind]()
    for position in (tmp_path / "folder", tmp_path / "hub/train"):
        position.mkdir(parents=True)
        (position / "picture.png").write_bytes(content)
    pools = [own_pool(f"{source}:{tmp_path / source}") for source in ("folder", "hub")]
    samples = [sample for pool in pools for sample in pool.samples]
    assert len(samples) == 2
    assert len({picture_digest([open_picture(*sample.images)]) for sample in samples}) == 1


class _SaysYes:
    """A model that needs no weights."""

    name = digest = settings = "yes"
    about: Mapping[str, Any] = {}

    def stream(self, samples: Sequence[Sample], _: Sampling) -> AnswerStream:
        yield from ((number, ["Yes"]) for number in range(len(samples)))


@pytest.mark.reported("pictures")
def test_results_tell_how_pictures_are_shown(tmp_path: Path) -> None:
    measure(_SaysYes(), [find_task("pictos_pope")], tmp_path / "out", split="test", limit=2)
    assert read_results(tmp_path / "out").provenance["pictures"] == SHOWN_AS
