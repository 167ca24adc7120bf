"""Nobody is asked the same thing twice, nobody gets another's answer, and what was answered is kept, whatever ends."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.errors import DataError, OutageError
from harness.store import Store, ask
from harness.types import AnswerStream, Sample, Sampling
from tests.support.parrot import CAT, DOG, Parrot, grey, grey_1, grey_2, numbered


def test_the_second_time_nobody_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first = ask(Parrot(), [CAT, DOG], Sampling(n=2), Store(path))
    silent = Parrot()
    assert (
        ask(silent, [CAT, DOG], Sampling(n=2), Store(path))
        == first
        == [["A cat? 0", "A cat? 1"], ["A dog? 0", "A dog? 1"]]
    )
    assert silent.calls == 0


CHANGES = {
    "weights": (Parrot(digest="d2"), CAT, Sampling()),
    "settings": (Parrot(settings="s2"), CAT, Sampling()),
    "prompt": (Parrot(), dataclasses.replace(CAT, prompt="A cat!"), Sampling()),
    "picture": (Parrot(), dataclasses.replace(CAT, images=(grey_2,)), Sampling()),
    "pictures": (Parrot(), dataclasses.replace(CAT, images=(grey_1, grey_1)), Sampling()),
    "temperature": (Parrot(), CAT, Sampling(temperature=0.5)),
    "length": (Parrot(), CAT, Sampling(max_tokens=65)),
    "number": (Parrot(), CAT, Sampling(n=2)),
    "seed": (Parrot(), CAT, Sampling(seed=1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_an_answer_asks_again(tmp_path: Path, change: str) -> None:
    path = tmp_path / "answers.jsonl"
    ask(Parrot(), [CAT], Sampling(), Store(path))
    model, sample, sampling = CHANGES[change]
    model = dataclasses.replace(model, ids=[])
    ask(model, [sample], sampling, Store(path))
    assert model.ids == ["cat"]


def test_what_decides_nothing_does_not_ask_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    ask(Parrot(), [CAT], Sampling(), Store(path))
    silent = Parrot()
    twin = Sample(id="twin", prompt="A cat?", images=(lambda: grey(1).convert("RGB"),), target="yes", cluster="9")
    ask(silent, [twin], Sampling(), Store(path))
    assert silent.ids == []


def test_equal_questions_are_asked_once() -> None:
    model = Parrot()
    twin = dataclasses.replace(CAT, id="twin")
    assert ask(model, [CAT, DOG, twin], Sampling()) == [["A cat? 0"], ["A dog? 0"], ["A cat? 0"]]
    assert model.ids == ["cat", "dog"]


def test_equal_questions_are_drawn_for_each_where_chance_decides() -> None:
    model = Parrot()
    ask(model, [CAT, dataclasses.replace(CAT, id="twin")], Sampling(temperature=1.0))
    assert model.ids == ["cat", "twin"]


def test_every_sample_is_heard_of_stored_or_not(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "answers.jsonl"), list[int]()
    ask(Parrot(), [CAT], Sampling(), store)
    ask(Parrot(), [CAT, DOG, dataclasses.replace(DOG, id="twin")], Sampling(), store, heard.append)
    assert sum(heard) == 3


@pytest.mark.parametrize("cut", [1, 10])
def test_a_last_line_that_was_cut_is_dropped_and_asked_again(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "answers.jsonl"
    ask(Parrot(), [CAT, DOG], Sampling(), Store(path))
    path.write_bytes(path.read_bytes()[:-cut])
    model = Parrot()
    assert ask(model, [CAT, DOG], Sampling(), Store(path)) == [["A cat? 0"], ["A dog? 0"]]
    assert model.ids == ["dog"]
    assert [json.loads(line)["answers"] for line in path.read_text().splitlines()] == [["A cat? 0"], ["A dog? 0"]]


@pytest.mark.reported("lost")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line[:-9] + b"\n", "not valid JSON"),
        (lambda line: b"\0" * len(line[:-1]) + b"\n", "not valid JSON"),
        (lambda line: b"\xff" + line[1:], "the line is not as it was written"),
        (lambda line: line.replace(b"A dog?", b"A fog?"), "the line is not as it was written"),
        (lambda line: line.replace(b'"key"', b'"kez"'), "the line is not as it was written"),
        (lambda line: b"[1]\n", "expected an object, found list"),
        (lambda line: b'{"key": "a", "answers": "Yes"}\n', "its answers are no list"),
    ],
)
def test_a_damaged_line_is_told_set_aside_and_asked_again_and_the_others_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes], reason: str
) -> None:
    path, bird = tmp_path / "answers.jsonl", dataclasses.replace(CAT, id="bird", prompt="A bird?")
    ask(Parrot(), [CAT, DOG, bird], Sampling(), Store(path))
    cat, dog, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(cat + damage(dog) + last)
    model = Parrot()
    assert ask(model, [CAT, DOG, bird], Sampling(), Store(path)) == [["A cat? 0"], ["A dog? 0"], ["A bird? 0"]]
    assert model.ids == ["dog"]
    (told,) = caplog.messages
    assert told == f"{path}:2: {reason}; the line is in {path}.damaged, what it held is done again"
    assert (tmp_path / "answers.jsonl.damaged").read_bytes() == damage(dog)
    assert path.read_bytes() == cat + b" " * (len(damage(dog)) - 1) + b"\n" + last + dog
    assert len(Store(path).answers) == 3
    assert len(caplog.messages) == 1, "a line is told once"


def test_a_store_of_before_lines_had_checks_counts_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "a", "answers": ["1"]}\n')
    Store(path).add({"b": ["2"]})
    assert Store(path).answers == {"a": ["1"], "b": ["2"]}


def test_a_file_without_a_stored_answer_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "a"}\nnot JSON\n')
    with pytest.raises(DataError, match=r"mine\.jsonl:1: no stored answer \(the line has no key\); remove it, or the"):
        Store(path)
    assert path.read_text() == '{"id": "a"}\nnot JSON\n'


@pytest.mark.reported("disks")
def test_a_damaged_line_on_a_disk_that_refuses_stays_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "a", "answers": []}\nnot JSON\n')
    monkeypatch.setattr("os.pwrite", refused)
    assert Store(path).answers == {"a": []}
    assert caplog.messages == [
        f"{path}: damaged lines stay where they are (Read-only file system)",
        f"{path}:2: not valid JSON; the line is in {path}, what it held is done again",
    ]


# What ends before the end -------------------------------------------------------------------------------------------


@pytest.mark.reported("lost")
@pytest.mark.parametrize("end", [KeyboardInterrupt(), OutageError("down"), RuntimeError("CUDA error"), MemoryError()])
def test_whatever_ends_the_asking_every_answer_is_kept_and_the_rest_is_asked(
    tmp_path: Path, end: BaseException
) -> None:
    path = tmp_path / "answers.jsonl"
    with pytest.raises(type(end)) as caught:
        ask(Parrot(dies_at=5, end=end), numbered(8), Sampling(), Store(path))
    assert caught.value.__notes__ == [f"5 answers are kept in {path}, the same command goes on from there"]
    assert len(path.read_text().splitlines()) == 5
    model = Parrot()
    assert ask(model, numbered(8), Sampling(), Store(path)) == [[f"{number}? 0"] for number in range(8)]
    assert model.ids == ["5", "6", "7"]


@pytest.mark.reported("lost")
def test_an_answer_is_in_the_file_before_the_next_question_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"

    class Watcher(Parrot):
        def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
            for position, texts in super().stream(samples, sampling):
                assert position == 0 or len(path.read_text().splitlines()) == position
                yield position, texts

    assert len(ask(Watcher(), numbered(4), Sampling(), Store(path))) == 4


@pytest.mark.reported("lost")
def test_two_processes_on_one_store_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first, other = Store(path), Store(path)
    for number in range(3):
        first.add({f"one {number}": ["a"]})
        other.add({f"other {number}": ["b"]})
    assert len(Store(path).answers) == 6


@pytest.mark.reported("lost")
def test_half_a_line_of_a_process_that_was_killed_is_not_written_on(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    store = Store(path)
    store.add({"a": ["1"]})
    with path.open("a") as stream:
        stream.write('{"key": "other whole", "answers": []}\n{"key": "b", "ans')
    store.add({"c": ["3"]})
    assert list(Store(path).answers) == ["a", "other whole", "c"]


@pytest.mark.reported("lost")
@pytest.mark.parametrize("taken", ["file", "folder"])
def test_a_store_that_is_taken_away_meanwhile_is_written_anew_with_all_answers(tmp_path: Path, taken: str) -> None:
    path = tmp_path / "out" / "answers.jsonl"

    class Thief(Parrot):
        def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
            for position, texts in super().stream(samples, sampling):
                if position == 2:
                    path.unlink() if taken == "file" else shutil.rmtree(path.parent)
                yield position, texts

    ask(Thief(), numbered(4), Sampling(), Store(path))
    assert sorted(Store(path).answers.values()) == [[f"{number}? 0"] for number in range(4)]


# Disks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.reported("disks")
@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("folder", "folder cannot be written (Is a directory); name a file"),
        ("file/answers.jsonl", "file is a file; name a folder"),
        ("a" * 260, "cannot be read (File name too long); name a shorter one"),
        ("nowhere", "nowhere cannot be written (No such file or directory); mend it, or name another place"),
        ("ring", "ring cannot be written (Too many levels of symbolic links); mend the links, or name another place"),
    ],
)
def test_a_store_that_cannot_be_is_told_before_anybody_is_asked(tmp_path: Path, text: str, messages: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone/answers.jsonl")
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    model = Parrot()
    with pytest.raises(DataError) as caught:
        ask(model, [CAT], Sampling(), Store(tmp_path / text))
    assert messages in str(caught.value)
    assert model.ids == []


@pytest.mark.reported("disks")
def test_a_disk_that_is_full_in_the_middle_leaves_a_store_that_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    code = (
        "import resource, sys; from pathlib import Path; from harness.store import Store, ask;"
        "from harness.types import Sampling; from tests.support.parrot import Parrot, numbered;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "ask(Parrot(), numbered(99), Sampling(), Store(Path(sys.argv[1])))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert f"DataError: {path} cannot be written (File too large); raise the limit on file sizes" in ended.stderr
    kept = len(path.read_text().splitlines())
    assert f"{kept} answers are kept in {path}, the same command goes on from there" in ended.stderr
    assert path.read_bytes().endswith(b"\n")
    assert 4900 < path.stat().st_size <= 5000
    model = Parrot()
    ask(model, numbered(99), Sampling(), Store(path))
    assert len(model.ids) == 99 - kept


@pytest.mark.reported("disks")
def test_a_device_that_is_full_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^/dev/full cannot be written \(No space left on device\); make room, or name"
    ):
        ask(Parrot(), [CAT], Sampling(), Store(Path("/dev/full")))


# Characters -----------------------------------------------------------------------------------------------------------


@pytest.mark.reported("encoding")
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Yes \ud83d", "Yes \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\udcff\udc80.jpg", "\ufffd\ufffd.jpg"),
        ("a\0b\x1b[2J\u2028\u202e\x85\r\n", "a\0b\x1b[2J\u2028\u202e\x85\r\n"),
        ("A" * 1_000_000, "A" * 1_000_000),
    ],
)
def test_every_text_goes_into_the_store_and_comes_back_as_text(tmp_path: Path, text: str, kept: str) -> None:
    path = tmp_path / "answers.jsonl"
    Store(path).add({"a": [text], "b": ["next"]})
    assert Store(path).answers == {"a": [kept], "b": ["next"]}


@pytest.mark.reported("encoding")
def test_half_a_letter_in_a_store_of_another_hand_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "a", "answers": ["Yes \\uD83D", "\\ud83d\\ude00", "\\\\ud83d"]}\n')
    assert Store(path).answers == {"a": ["Yes \ufffd", "\U0001f600", "\\ud83d"]}


@pytest.mark.reported("encoding")
def test_a_question_that_is_no_text_has_a_key(tmp_path: Path) -> None:
    sample = dataclasses.replace(CAT, prompt="A cat\ud83d?", id="\udcff")
    store = Store(tmp_path / "answers.jsonl")
    assert ask(Parrot(), [sample], Sampling(temperature=1.0), store) == [["A cat\ud83d? 0"]]
    silent = Parrot()
    ask(silent, [sample], Sampling(temperature=1.0), Store(tmp_path / "answers.jsonl"))
    assert silent.ids == []
