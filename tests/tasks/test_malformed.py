"""Every task on people's data, one fault at a time: the picture that the authors' loaders give, or one line."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.check import check
from harness.errors import DataError, PictureError
from harness.pictures import LARGEST_SIDE, open_picture
from tasks.chair.task import Chair
from tasks.data.root import DataRoot
from tasks.pope.task import Pope
from tasks.registry import TASKS, find_task
from tests.support.peoples import PICTURES, expect_one, replace_tasks, write_all

SIZE = (64, 48)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_all(folder)
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which all is well, without the pictures, for a test to spoil."""
    expect_one(monkeypatch)
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_these_are_all_tasks_on_peoples_data() -> None:
    others = {"physics_figures"}  # a part of the file of physics
    assert set(PICTURES) | others == {name for name in TASKS if not name.startswith("pictos_")}


# Pictures -------------------------------------------------------------------------------------------------------------


def _noise(seed: int = 0) -> Image.Image:
    """Noise that survives no turn and no scaling unnoticed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def _on_its_side(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: the camera was turned
    _noise().save(path, "JPEG", exif=exif)


def _animated(path: Path) -> None:
    _noise().save(path, "GIF", save_all=True, append_images=[_noise(1), _noise(2)])


def _sixteen_bit(path: Path) -> None:
    grey = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[1], SIZE[0])
    Image.fromarray(grey).save(path, "PNG")


GOOD: dict[str, Callable[[Path], None]] = {
    "RGB": lambda path: _noise().save(path, "PNG"),
    "CMYK": lambda path: _noise().convert("CMYK").save(path, "JPEG"),
    "16-bit": _sixteen_bit,
    "animated": _animated,
    "EXIF-rotated": _on_its_side,
    "grey": lambda path: _noise().convert("L").save(path, "JPEG"),
    "transparent": lambda path: _noise().convert("RGBA").save(path, "PNG"),
    "transparent palette": lambda path: _noise().convert("P").save(path, "PNG", transparency=b"\x00\x80"),
}
"""Kind -> writes a picture of it. What a file is called does not matter: all are written under the task's own name."""


@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")  # the direct way, see _opened
@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("name", PICTURES)
def test_a_model_is_shown_what_the_authors_loaders_show(data: Path, name: str, kind: str) -> None:
    path = data / PICTURES[name]
    GOOD[kind](path)
    task = find_task(name, DataRoot(folder=data))
    samples = task.samples("test")
    assert check(task, samples).failures == ()
    assert {sample.images for sample in samples} == {(path,)}
    with Image.open(path) as theirs:
        assert open_picture(path).tobytes() == theirs.convert("RGB").tobytes()
        assert theirs.size == SIZE


def test_the_kinds_are_what_they_are_called(tmp_path: Path) -> None:
    result = {}
    for kind, write in GOOD.items():
        write(tmp_path / kind)
        with Image.open(tmp_path / kind) as opened:
            result[kind] = (opened.mode, getattr(opened, "n_frames", 1), opened.getexif().get(0x0112))
    assert (result["CMYK"][0], result["16-bit"][0], result["grey"][0]) == ("CMYK", "I;16", "L")
    assert (result["animated"][1], result["EXIF-rotated"][2]) == (3, 6)
    grey = np.asarray(open_picture(tmp_path / "16-bit"))[..., 0].ravel()
    assert list(grey[[0, 200, 255, 256, 3000]]) == [0, 200, 255, 255, 255], "cut off, not scaled"


def _truncated(path: Path) -> None:
    _noise().save(path, "PNG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _cut_in_its_header(path: Path) -> None:
    _noise().save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[11] = 5  # the length of the first chunk, which holds the size
    path.write_bytes(content)


def _bomb(path: Path) -> None:
    """A small file that says it is large."""
    _noise().save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">2I", LARGEST_SIDE, LARGEST_SIDE)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "no such picture"),
    "truncated": (_truncated, r"does not open as a picture \(image file is truncated"),
    "a short header": (_cut_in_its_header, r"does not open as a picture \("),
    "words": (lambda path: path.write_text("404 not found"), r"does not open as a picture \("),
    "empty": (lambda path: path.write_bytes(b""), r"does not open as a picture \("),
    "30,000 pixels wide": (
        lambda path: Image.new("1", (30_000, 2)).save(path, "PNG"),
        rf"30000x2 pixels; at most {LARGEST_SIDE} a side",
    ),
    "a bomb": (
        _bomb,
        r"does not open as a picture \(Image size .* decompression bomb",
    ),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_does_not_open_is_one_line_with_its_file(data: Path, name: str, kind: str) -> None:
    write, reason = BAD[kind]
    path = data / PICTURES[name]
    write(path)
    task = find_task(name, DataRoot(folder=data))
    samples = task.samples("test")
    (failure,) = check(task, samples).failures
    assert (failure.claim, failure.sample) == ("pictures", samples[0].id)
    with pytest.raises(PictureError, match=reason) as error:
        open_picture(path)
    assert str(error.value) == failure.reason
    assert failure.reason.startswith(f"{path}: ")
    assert "\n" not in failure.reason


# Rows -----------------------------------------------------------------------------------------------------------------

POPE = "pope/coco_pope_random.json"
COCO = "grounding/annotations/instances_val2014.json"
PROBLEMS = "scienceqa/problems.json"
PHYSICS = "physics/optics_dataset.jsonl"

ROWS: dict[tuple[str, str], tuple[str, str, str, str]] = {
    ("pope", "missing field"): (POPE, '"label"', '"lable"', r":1: field 'label' is missing; found question_id"),
    ("pope", "wrong type"): (POPE, '"yes"', "true", r":1: field 'label' must be a string, found true"),
    ("pope", "duplicate id"): ("", "", "", r"ask twice for the same object in the same image: random/.*cat; keep one"),
    ("chair", "missing field"): ("chair/greedy.jsonl", '"image_id"', '"id"', r":1: field 'image_id' is missing"),
    ("chair", "wrong type"): ("chair/greedy.jsonl", ": 1", ': "one"', r":1: field 'image_id' must be an integer"),
    ("chair", "duplicate id"): ("", "", "", r": image ids are given twice: 1; get"),
    ("scienceqa", "missing field"): (PROBLEMS, '"choices"', '"options"', r": 1: field 'choices' is missing"),
    ("scienceqa", "wrong type"): (PROBLEMS, '"answer": 1', '"answer": "b"', r": 1: field 'answer' must be an integer"),
    ("scienceqa", "duplicate id"): (PROBLEMS, '{\n "1"', '{\n "1": {}, "1"', r": the key '1' is given twice"),
    ("mathvista", "missing field"): ("mathvista/testmini.json", '"answer"', '"gold"', r"1: field 'answer' is missing"),
    ("mathvista", "wrong type"): ("mathvista/testmini.json", '"answer": "2"', '"answer": 2', r"'answer' must be a str"),
    ("mathvista", "duplicate id"): (
        "mathvista/testmini.json",
        '{\n "1"',
        '{\n "1": {}, "1"',
        r"key '1' is given twice",
    ),
    ("physics", "missing field"): (
        PHYSICS,
        '"final_answers"',
        '"answers"',
        r":1: field 'final_answers' is missing",
    ),
    ("physics", "wrong type"): (PHYSICS, '["5"]', '"5"', r":1: field 'final_answers' must be a list of strings"),
    ("physics", "duplicate id"): ("", "", "", r":2: id optics/1 was already given at"),
    ("ic", "missing field"): ("ic/truth.json", '"file_name"', '"file"', r": 1: field 'file_name' is missing"),
    ("ic", "wrong type"): ("ic/truth.json", '"cat": 1', '"cat": "one"', r"counts: field 'cat' must be an integer"),
    ("ic", "duplicate id"): ("ic/truth.json", '"images": {', '"images": {"1": {}, ', r": the key '1' is given twice"),
    ("grounding", "missing field"): (COCO, '"bbox"', '"box"', r": annotation 9: field 'bbox' is missing"),
    ("grounding", "wrong type"): (COCO, "8.5", '"8.5"', r": annotation 9: field 'bbox' must be four numbers: left,"),
    ("grounding", "duplicate id"): (COCO, '"categories": [', '"categories": [{"id": 3, "name": "dog"}, ', r"id 3 is g"),
}
"""(task, fault) -> file, what stands in it, what stands there instead, the complaint."""

TWICE = {"pope": POPE, "chair": "chair/greedy.jsonl", "physics": PHYSICS}
"""Files of rows, in which a row is given twice."""


@pytest.mark.parametrize(("name", "fault"), ROWS)
def test_a_malformed_row_is_one_line_with_its_file(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    file, old, new, complaint = ROWS[name, fault]
    path = data / (file or TWICE[name])
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new, 1) if file else content * 2, encoding="utf-8")
    if not file:
        _expect_two(monkeypatch)
    with pytest.raises(DataError, match=complaint) as error:
        find_task(name, DataRoot(folder=data)).samples("test")
    assert "\n" not in str(error.value)
    # questions given twice may be of two files, so that POPE names the question
    assert str(error.value).startswith(str(path)) or (name, fault) == ("pope", "duplicate id")


def _expect_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row more, so that its number is no fault."""
    replace_tasks(monkeypatch, pope=partial(Pope, rows={"random": (2,)}), chair=partial(Chair, count=2))


def test_every_task_has_every_fault() -> None:
    assert {name for name, _ in ROWS} | {"scienceqa_img"} == set(PICTURES)
    assert len(ROWS) == 3 * len({name for name, _ in ROWS})
