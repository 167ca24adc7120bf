"""A file of somebody else's arrives whole and verified, or not at all; an archive stays in its folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import DataError, MissingError, UsageError
from tasks.data.fetch import fetch, unpack

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Mirror:
    """A server of one file; tests turn its knobs and read what it was asked for."""

    url: str = ""
    content: bytes = CONTENT
    version: str | None = '"1"'
    knows_ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.endswith("/a%20file.json"):
                    self.send_error(503 if "busy" in self.path else 404)
                    return
                Range = self.headers["Range"]
                mirror.ranges.append(Range)
                start = int(re.findall(r"\d+", Range)[0]) if Range and mirror.knows_ranges else 0
                if start and start >= len(mirror.content):
                    self.send_error(416)
                    return
                body = mirror.content[start:]
                self.send_response(206 if start else 200)
                if start:
                    last, size = len(mirror.content) - 1, len(mirror.content)
                    self.send_header("Content-Range", f"bytes {start}-{last}/{size}")
                if mirror.version:
                    self.send_header("ETag", mirror.version)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: mirror.cuts.pop(0)] if mirror.cuts else body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Mirror], Mirror]]:
    servers = []

    def start(mirror: Mirror) -> Mirror:
        server = ThreadingHTTPServer(("127.0.0.1", 0), mirror.handler())
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        mirror.url = f"http://127.0.0.1:{server.server_address[1]}/base"
        return mirror

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mirror(serve: Callable[[Mirror], Mirror]) -> Mirror:
    return serve(Mirror())


def _fetch(mirror: Mirror, folder: Path, sha256: str | None = None) -> str:
    return fetch(mirror.url, "a file.json", folder / "file.json", sha256=sha256, begin=_silent)


def _silent(name: str, total: int | None) -> Callable[[int], None]:
    return lambda count: None


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


# Downloads ------------------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_with_its_digest_and_its_bytes_are_told(mirror: Mirror, tmp_path: Path) -> None:
    messages: list[object] = []

    def begin(name: str, total: int | None) -> Callable[[int], None]:
        messages.append((name, total))
        return messages.append

    target = tmp_path / "new" / "file.json"
    assert fetch(mirror.url + "/", "a file.json", target, sha256=DIGEST, begin=begin) == DIGEST
    assert target.read_bytes() == CONTENT
    assert _names(tmp_path) == ["file.json", "new"]
    assert messages[0] == ("a%20file.json", len(CONTENT))
    assert sum(count for count in messages[1:] if isinstance(count, int)) == len(CONTENT)


def test_a_cut_connection_leaves_a_part_that_the_next_call_finishes(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cuts = [4000, 100]
    for kept in (4000, 4100):
        with pytest.raises(DataError, match=f"{kept} bytes are kept, and the same command goes on from there") as cut:
            _fetch(mirror, tmp_path, DIGEST)
        assert "\n" not in str(cut.value)
        assert _names(tmp_path) == ["file.json.part", "file.json.part.tag"]
        assert (tmp_path / "file.json.part").read_bytes() == CONTENT[:kept]
    assert _fetch(mirror, tmp_path, DIGEST) == DIGEST
    assert mirror.ranges == [None, "bytes=4000-", "bytes=4100-"]
    assert _names(tmp_path) == ["file.json"]


@pytest.mark.parametrize("change", ["no ranges", "another version", "no version", "shorter"])
def test_what_cannot_be_gone_on_with_is_begun_anew(mirror: Mirror, tmp_path: Path, change: str) -> None:
    mirror.cuts = [4000]
    mirror.version = None if change == "no version" else mirror.version
    with pytest.raises(DataError):
        _fetch(mirror, tmp_path)
    if change == "no ranges":
        mirror.knows_ranges = False
    elif change == "another version":
        mirror.content, mirror.version = CONTENT[::-1], '"2"'
    elif change == "shorter":
        mirror.content, mirror.version = CONTENT[:4000], '"2"'
    _fetch(mirror, tmp_path)
    assert (tmp_path / "file.json").read_bytes() == mirror.content
    assert _names(tmp_path) == ["file.json"]


def test_a_part_that_was_all_there_is_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file.json.part").write_bytes(CONTENT)
    (tmp_path / "file.json.part.tag").write_text('"1"')
    assert _fetch(mirror, tmp_path) == DIGEST
    assert mirror.ranges == [f"bytes={len(CONTENT)}-", None]


@settings(max_examples=25)
@given(st.binary(min_size=1, max_size=2000), st.lists(st.integers(1, 300), max_size=6))
def test_wherever_it_breaks_the_bytes_are_the_same(
    serve: Callable[[Mirror], Mirror], content: bytes, cuts: list[int]
) -> None:
    mirror = serve(Mirror(content=content, cuts=list(cuts)))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(len(cuts) + 1):
            try:
                _fetch(mirror, Path(folder))
            except DataError:
                continue
            break
        assert (Path(folder) / "file.json").read_bytes() == content


def test_a_wrong_digest_is_refused_and_nothing_is_left(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"a file.json of .* has the SHA-256 {DIGEST} and not {'0' * 64}"):
        _fetch(mirror, tmp_path, "0" * 64)
    assert _names(tmp_path) == []


def test_what_a_mirror_lacks_or_refuses_is_one_line(mirror: Mirror, tmp_path: Path) -> None:
    for name, kind, text in (("absent", MissingError, "404 Not Found"), ("busy", DataError, "503 Service Unavailable")):
        with pytest.raises(kind) as refused:
            fetch(mirror.url, name, tmp_path / name, sha256=None, begin=_silent)
        assert str(refused.value).startswith(f"{mirror.url}/{name}: {text}")
    with pytest.raises(MissingError, match="absent: no such file"):
        fetch(str(tmp_path), "absent", tmp_path / "file", sha256=None, begin=_silent)
    assert _names(tmp_path) == []


def test_no_server_no_address_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    for origin in ("http://127.0.0.1:9", "http://127.0.0.1:99999"):
        with pytest.raises(DataError, match=re.escape(f"{origin}/x: ") + ".*; is the address right"):
            fetch(origin, "x", tmp_path / "x", sha256=None, begin=_silent)
    for origin in ("ftp://127.0.0.1", "file:///etc", str(tmp_path / "absent")):
        with pytest.raises(UsageError, match="neither a folder nor an http"):
            fetch(origin, "x", tmp_path / "x", sha256=None, begin=_silent)
    assert _names(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("mine")
    with pytest.raises(DataError, match=r"occupied cannot be written \(a file is there\); move it away"):
        _fetch(mirror, tmp_path / "occupied")


# Archives -------------------------------------------------------------------------------------------------------------


def _zip(path: Path, entries: dict[str, bytes], link: str | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in entries.items():
            pack.writestr(zipfile.ZipInfo(name), content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            pack.writestr(info, "/etc/passwd")
    return path


def _tar(path: Path, entries: dict[str, bytes], kind: bytes | None = None) -> Path:
    with tarfile.open(path, "w:gz") as pack:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            pack.addfile(member, io.BytesIO(content))
        if kind:
            member = tarfile.TarInfo("way")
            member.type, member.linkname = kind, "../../outside"
            pack.addfile(member)
    return path


GOOD = {"images/1.png": b"one", "images/2.png": b"second"}

EVIL = ["../outside", "images/../../outside", "/outside", "\\outside", "C:\\outside", "images\\..\\..\\outside"]


@pytest.mark.parametrize("make", [_zip, _tar])
def test_an_archive_is_unpacked_and_its_second_time_writes_nothing(
    make: Callable[[Path, dict[str, bytes]], Path], tmp_path: Path
) -> None:
    archive = make(tmp_path / f"pack.{'zip' if make is _zip else 'tar.gz'}", GOOD)
    assert unpack(archive, _silent) == 2
    assert {name: (tmp_path / name).read_bytes() for name in GOOD} == GOOD
    assert unpack(archive, _silent) == 0
    (tmp_path / "images/2.png").unlink()
    assert unpack(archive, _silent) == 1
    assert _names(tmp_path) == sorted(["1.png", "2.png", "images", archive.name])


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("make", [_zip, _tar])
def test_an_entry_that_leaves_the_folder_is_refused_before_anything_is_written(
    make: Callable[[Path, dict[str, bytes]], Path], name: str, tmp_path: Path
) -> None:
    _refused(
        make(tmp_path / f"pack.{'zip' if make is _zip else 'tar.gz'}", {**GOOD, name: b"evil"}), "leaves the folder"
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_an_entry_that_is_a_link_or_a_device_is_refused(kind: bytes, tmp_path: Path) -> None:
    _refused(_tar(tmp_path / "pack.tgz", GOOD, kind), "'way' is a link or a device")
    _refused(_zip(tmp_path / "pack.zip", GOOD, "way"), "'way' is a link or a device")


def _refused(archive: Path, reason: str) -> None:
    """Neither unpacking it nor fetching it leaves anything behind."""
    folder = archive.parent
    with pytest.raises(DataError, match=reason):
        unpack(archive, _silent)
    with pytest.raises(DataError, match=reason):
        fetch(str(folder), archive.name, folder / "data" / archive.name, sha256=None, begin=_silent)
    assert list((folder / "data").iterdir()) == []
    (folder / "data").rmdir()
    assert not any(path.is_dir() for path in folder.iterdir())
    assert not (folder.parent / "outside").exists()


def test_a_link_that_lay_there_before_leads_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"'images/1.png' leaves the folder"):
        unpack(_zip(tmp_path / "data/pack.zip", GOOD), _silent)
    assert _names(tmp_path / "elsewhere") == []


@settings(max_examples=100)
@given(st.lists(st.text(alphabet="./\\:aC\0 é", min_size=1, max_size=8), min_size=1, max_size=3, unique=True))
def test_no_name_leads_out_of_the_folder(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as caught:
        folder = Path(caught) / "deep" / "data"
        folder.mkdir(parents=True)
        archive = _tar(folder / "pack.tar.gz", dict.fromkeys(names, b"content"))
        with contextlib.suppress(DataError):
            unpack(archive, _silent)
        assert [path.name for path in Path(caught).iterdir()] == ["deep"]
        assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_file_in_the_way_is_kept_and_nothing_is_written(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "pack.zip", {**GOOD, "testmini.json": b"other"})
    (tmp_path / "testmini.json").write_text("my own")
    with pytest.raises(DataError, match=r"testmini.json is in the way of an archive's file of 5 bytes"):
        unpack(archive, _silent)
    assert _names(tmp_path) == ["pack.zip", "testmini.json"]
    assert (tmp_path / "testmini.json").read_text() == "my own"


@pytest.mark.parametrize("name", ["pack.zip", "pack.tar.gz"])
def test_an_archive_that_is_broken_is_named(name: str, tmp_path: Path) -> None:
    whole = (_zip if name.endswith("zip") else _tar)(tmp_path / name, {"a": bytes(100_000)}).read_bytes()
    for content in (b"no archive", whole[: len(whole) // 2], b""):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} does not open as an archive"):
            unpack(tmp_path / name, _silent)
        assert _names(tmp_path) == [name]
