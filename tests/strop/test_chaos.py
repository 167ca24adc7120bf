"""Commands that are killed anywhere go on to the end that they would have come to, and the campaign sees where not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from strop.chaos.campaign import KILLS
from strop.chaos.image import image, kept_answers
from tests.support.shell import ROOT, Strop
from tests.support.tiny import save_tiny
from tests.support.worlds import write_folder, yes_no

pytestmark = pytest.mark.slow

SEED = 3


def test_eight_kills_cost_nothing(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "tiny", seed=1)
    words = ["chaos", "--out", tmp_path / "chaos", "--kills", 8, "--seed", SEED, "--model", model, "--json"]
    command = [sys.executable, "-m", "strop", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tallies = json.loads(ended.stdout)["commands"]
    assert list(tallies) == ["offline round", "on-policy round", "grid", "served evaluation"]
    assert sum(tally["faults"].get(kind, 0) for tally in tallies.values() for kind in KILLS) == 8
    assert {name: (tally["lost"], tally["twice"], tally["wrong"]) for name, tally in tallies.items()} == {
        name: (0, 0, []) for name in tallies
    }


def test_a_stop_before_the_command_is_at_work_is_a_stop(strop: Strop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the long campaign met it: SIGTERM while the command line is built."""

    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("strop.app.app", stopped)
    ran = strop("tasks")
    assert (ran.code, ran.out, ran.err) == (130, "", "stopped\n")


WRITES = """
import sys
from pathlib import Path
from harness.files import write_json
from strop.chaos.points import Fault, Shared, install

folder, kind, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
install(folder, Shared(folder.with_name("counts")), Fault(kind=kind, at=at) if at else None)
write_json(folder / "a.json", "new")
with (folder / "lines").open("ab", buffering=0) as stream:
    stream.write(b"0123456789")
(folder / "lines").rename(folder / "moved")
"""
"""A file is opened, flushed, renamed; another is opened to append, and renamed."""


@pytest.mark.parametrize(
    ("kind", "at", "left"),
    [
        ("kill", 0, {"a.json": '"new"\n', "moved": "0123456789"}),
        ("kill", 1, {"a.json": "old"}),
        ("kill", 2, {"a.json": "old", ".a.json.": '"new"\n'}),
        ("kill", 3, {"a.json": "old", ".a.json.": '"new"\n'}),
        ("kill", 4, {"a.json": '"new"\n'}),
        ("kill", 5, {"a.json": '"new"\n', "lines": "0123456789"}),
        ("torn line", 5, {"a.json": '"new"\n', "lines": "01234"}),
        ("full disk", 1, {"a.json": "old"}),
        ("full disk", 4, {"a.json": '"new"\n'}),
    ],
)
def test_a_fault_comes_before_any_operation_of_choice(tmp_path: Path, kind: str, at: int, left: dict[str, str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.json").write_text("old")
    ended = subprocess.run([sys.executable, "-c", WRITES, folder, kind, str(at)], cwd=ROOT, capture_output=True)
    assert ended.returncode == (0 if not at else 1 if kind == "full disk" else -9)
    assert {path.name[:8]: path.read_text() for path in folder.iterdir()} == left


def test_what_differs_from_the_undisturbed_command_is_named(tmp_path: Path) -> None:
    first, other = (write_folder(tmp_path / name / "out", yes_no([1, 0])) for name in ("first", "other"))
    assert image(first) == image(other)
    (other / "answers.jsonl").write_text('{"key": "a", "answers": []}\n')
    assert {name for name, digest in image(other).items() if digest != image(first)[name]} == {"answers"}


def test_an_answer_counts_when_its_line_is_whole_and_twice_when_there_are_two(tmp_path: Path) -> None:
    line = '{"key": "a", "answers": ["1"]}\n'
    (tmp_path / "answers.jsonl").write_text(line * 3 + '{"key": "b", "answers": []}\n{"key": "c", "answers": []}')
    kept = kept_answers(tmp_path)
    assert (len(kept.lines), kept.twice) == (2, 2)
