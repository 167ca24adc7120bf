"""What a disk refuses is one line before the work where that can be known, and never half a file under its name."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.disks import refuse_unwritable_file, refuse_unwritable_folder, trouble
from harness.errors import DataError
from harness.files import read_json, read_jsonl, write_bytes, write_json
from harness.results import read_results
from tests.support.served import served
from tests.support.shell import Strop
from tests.support.sites import make_site, small_run
from tests.support.worlds import write_folder, yes_no

pytestmark = pytest.mark.slow

COMMANDS = {
    "eval": ("eval", "--model", "x", "--tasks", "pictos_pope", "--out"),
    "run": ("run", "judge_free", "--out"),
    "a shared folder": ("run", "judge_free", "--out", "o", "--shared"),
    "grid": ("grid", "pictos", "--out"),
    "board": ("board", "mine", "--out"),
    "site": ("board", "mine", "--site"),
    "export": ("export", "mine", "--to", "csv", "--out"),
    "score": ("score", "pope", "--answers", "a.jsonl", "--out"),
    "rescore": ("rescore", "mine", "--out"),
    "rerun": ("rerun", "mine", "--out"),
    "reported": ("reported", "--out"),
    "build pope": ("data", "build", "pope", "--coco", "c", "--out"),
    "build ic": ("data", "build", "ic", "--coco", "c", "--out"),
    "build chair": ("data", "build", "chair", "--from", "s", "--out"),
}
FILES = {
    "answers": ("run", "judge_free", "--out", "o", "--answers"),
    "disagreements": ("score", "pope", "--answers", "a.jsonl", "--disagreements"),
    "build grounding": ("data", "build", "grounding", "--coco", "c", "--out"),
}

PLACES = {
    "file": "file is a file; name a folder",
    "file/below": "file/below cannot be written (Not a directory); move what is in the way, or name another place",
    "a" * 260: f"{'a' * 260} cannot be written (File name too long); name a shorter one",
    "link": "link cannot be written (a link that leads nowhere is there); move it away, or name another place",
    "/proc/strop": "/proc/strop cannot be written (No such file or directory); mend it, or name another place",
}


@pytest.fixture
def places(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("gone")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.reported("disks")
@pytest.mark.parametrize("text", PLACES)
def test_a_folder_that_cannot_be_written_is_told_and_why(places: Path, strop: Strop, text: str) -> None:
    assert strop(*COMMANDS["board"], text).error() == PLACES[text]


@pytest.mark.reported("disks")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_asks_for_its_folder_before_it_works(places: Path, strop: Strop, command: str) -> None:
    assert strop(*COMMANDS[command], "file").error() == PLACES["file"]
    assert strop(*COMMANDS[command], "link").error() == PLACES["link"]
    assert sorted(path.name for path in places.iterdir()) == ["file", "folder", "link"]


@pytest.mark.reported("disks")
@pytest.mark.parametrize("command", FILES)
def test_every_command_asks_for_its_file_before_it_works(places: Path, strop: Strop, command: str) -> None:
    assert strop(*FILES[command], "folder").error() == "folder cannot be written (Is a directory); name a file"
    assert strop(*FILES[command], "file/below").error() == PLACES["file"]


REFUSALS = {
    errno.EACCES: "Permission denied); have its permissions changed, or name another place",
    errno.ENOSPC: "No space left on device); make room, or name another place",
    errno.EDQUOT: "Disk quota exceeded); make room, or name another place",
    errno.EROFS: "Read-only file system); name a place on a disk that can be written",
    errno.EIO: "Input/output error); mend it, or name another place",
    errno.ESTALE: "Stale file handle); mend it, or name another place",
}


@pytest.mark.reported("disks")
@pytest.mark.parametrize("number", REFUSALS)
def test_what_a_disk_says_is_told_with_a_remedy_and_nothing_is_left(
    tmp_path: Path, strop: Strop, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number), f"{options['dir']}/.strop.1")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)
    error = strop("eval", "--model", "x", "--tasks", "pictos_pope", "--out", "new/out").error()
    assert error == f"new/out cannot be written ({REFUSALS[number]}"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refuse_unwritable_folder(tmp_path / "a/b")
    refuse_unwritable_file(tmp_path / "a/b.jsonl")
    refuse_unwritable_file(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


# In the middle --------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the disk full where a file of some name is to be written."""
    mkstemp, write = tempfile.mkstemp, Path.write_bytes

    def fill(name: str) -> None:
        def make(*arguments: Any, **options: Any) -> tuple[int, str]:
            if name in options.get("prefix", ""):
                raise OSError(errno.ENOSPC, "No space left on device", f"{options['dir']}/{options['prefix']}x1")
            return mkstemp(*arguments, **options)

        def put(path: Path, content: bytes) -> int:
            if path.name == name:
                write(path, content[:10])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(path, content)

        monkeypatch.setattr(tempfile, "mkstemp", make)
        monkeypatch.setattr(Path, "write_bytes", put)

    return fill


@pytest.mark.reported("disks")
@pytest.mark.parametrize(
    ("words", "name", "text"),
    [
        (("board", "mine", "--out", "out"), "board.html", "out/board.html"),
        (("board", "mine", "--out", "out"), "board.md", "out/board.md"),
        (("export", "mine", "--to", "latex,csv", "--out", "out"), "board.csv", "out/board.csv"),
        (("export", "mine", "--to", "parquet", "--out", "out"), "board.parquet", "out/board.parquet"),
        (("reported", "--out", "out"), "published.html", "out/published.html"),
    ],
)
def test_a_disk_that_fills_up_is_told_and_leaves_no_half_of_a_file(
    tmp_path: Path, strop: Strop, full: Callable[[str], None], words: tuple[str, ...], name: str, text: str
) -> None:
    write_folder(tmp_path / "mine", yes_no([1, 0]))
    full(name)
    assert (
        strop(*words).error() == f"{text} cannot be written (No space left on device); make room, or name another place"
    )
    assert not list(tmp_path.glob(f"out/*{name}*"))


@pytest.mark.reported("disks")
def test_a_site_that_finds_no_room_leaves_the_old_one(tmp_path: Path, full: Callable[[str], None]) -> None:
    site = make_site(tmp_path / "site", [small_run(tmp_path / "run")])
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    full("index.html")
    with pytest.raises(DataError, match=r"site cannot be written \(No space left on device\); make room"):
        make_site(tmp_path / "site", [small_run(tmp_path / "other")])
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "run", "site"]


@pytest.mark.reported("disks")
def test_answers_are_kept_where_the_results_find_no_room(
    tmp_path: Path, strop: Strop, full: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_PLUGIN_PATH", "")  # the command sets it for its process
    (tmp_path / "my").mkdir()
    (tmp_path / "my/quiz.py").write_text('from tests.support.quiz import Quiz\nTASKS = {"quiz": Quiz}\n')
    full("quiz.jsonl")
    with served(lambda _: "Yes") as server:
        words = ("eval", "--model", "m", "--endpoint", server.url, "--tasks", "quiz", "--plugin-path", "my")
        error = strop(*words, "--out", "out").error()
        assert len(server.requests) == 4
    assert error.startswith("out/quiz.jsonl cannot be written (No space left on device)")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"answers.jsonl", "account.jsonl"}


def test_a_write_that_is_stopped_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(handle: int) -> None:
        raise KeyboardInterrupt

    write_json(tmp_path / "a.json", [1])
    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_json(tmp_path / "a.json", [2])
    assert read_json(tmp_path / "a.json") == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.reported("disks")
@pytest.mark.parametrize(
    "words",
    [
        ("board", "mine"),
        ("board", "mine", "--site", "out"),
        ("show", "mine"),
        ("compare", "mine", "mine"),
        ("diff", "mine", "mine"),
        ("export", "mine", "--to", "csv"),
        ("rescore", "mine"),
        ("rerun", "mine", "--out", "again"),
    ],
    ids=" ".join,
)
def test_results_that_may_not_be_read_are_named(
    tmp_path: Path, strop: Strop, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """As root reads all, the refusal is played."""
    write_folder(tmp_path / "mine", yes_no([1, 0]))
    opened = os.open, Path.open, Path.read_bytes, Path.read_text

    def refuse(path: Path) -> None:
        if path.name == "results.json":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def read_bytes(path: Path) -> bytes:
        refuse(path)
        return opened[2](path)

    def read_text(path: Path, *arguments: Any, **options: Any) -> str:
        refuse(path)
        return opened[3](path, *arguments, **options)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(Path, "read_text", read_text)
    error = strop(*words).error()
    assert "mine/results.json cannot be read (Permission denied); have its permissions changed" in error


@pytest.mark.reported("disks")
def test_rows_that_are_a_folder_or_gone_are_named(tmp_path: Path, strop: Strop) -> None:
    write_folder(tmp_path / "mine", yes_no([1, 0]))
    (tmp_path / "mine/quiz.jsonl").unlink()
    assert "mine/quiz.jsonl: no such file" in strop("board", "mine").error()
    (tmp_path / "mine/quiz.jsonl").mkdir()
    assert "mine/quiz.jsonl is a folder; name a file" in strop("board", "mine").error()


@pytest.mark.reported("disks")
@pytest.mark.parametrize(("name", "text"), [("", "is a folder; name a file"), ("x" * 300, "File name too long")])
def test_a_file_that_is_none_is_told(tmp_path: Path, name: str, text: str) -> None:
    for read in (read_json, lambda path: list(read_jsonl(path))):
        with pytest.raises(DataError, match=text):
            read(tmp_path / name)
    with pytest.raises(DataError):
        write_bytes(tmp_path / name, b"x")


def test_an_error_that_is_no_disks_keeps_its_words() -> None:
    assert trouble(OSError("We couldn't connect to the hub")) == "We couldn't connect to the hub"
    assert trouble(ConnectionResetError(104, "Connection reset by peer")) == "[Errno 104] Connection reset by peer"


def test_results_are_never_of_two_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "mine", yes_no([1, 0]))

    def stopped(path: Path, content: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.results.write_json", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "mine", yes_no([1, 0, 1]))
    with pytest.raises(DataError, match=r"holds no results\.json"):
        read_results(tmp_path / "mine")
    assert json.loads((tmp_path / "mine/quiz.jsonl").read_text().splitlines()[2])["value"] == 1
