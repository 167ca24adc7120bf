"""A stage is done once, whole or not at all, and its line says from which inputs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import DataError
from harness.runs.reading import read_ledger
from loops.ledger import Ledger, Outcome, added, digest_of_folder, open_run


class Work:
    """Writes one file and counts how often it was asked to."""

    def __init__(self, text: str = "pairs") -> None:
        self.text, self.times = text, 0

    def __call__(self, folder: Path) -> Outcome:
        self.times += 1
        (folder / "made.txt").write_text(self.text)
        return Outcome(facts={"pairs": 3}, cost={"generated_tokens": 7})


def _lines(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / "ledger.jsonl").read_text().splitlines()]


def test_a_stage_is_done_once(tmp_path: Path) -> None:
    work = Work()
    first = Ledger(tmp_path).stage("round-1/collect", {"seed": 1}, work)
    again = Ledger(tmp_path).stage("round-1/collect", {"seed": 1}, work)
    assert work.times == 1
    assert (first.fresh, again.fresh) == (True, False)
    assert (again.folder, again.digest, again.facts) == (first.folder, first.digest, {"pairs": 3})


def test_its_line_tells_inputs_outputs_facts_cost_and_provenance(tmp_path: Path) -> None:
    done = Ledger(tmp_path).stage("round-1/collect", {"seed": 1}, Work())
    (line,) = _lines(tmp_path)
    assert line["stage"] == "round-1/collect"
    assert line["outputs"] == done.digest == digest_of_folder(tmp_path / "round-1/collect")
    assert line["facts"] == {"pairs": 3}
    cost = line["cost"]
    assert isinstance(cost, dict)
    assert sorted(cost) == ["generated_tokens", "peak_memory_mb", "seconds"]
    assert cost["generated_tokens"] == 7
    assert isinstance(line["provenance"], dict)
    assert {"commit", "dirty", "versions"} <= set(line["provenance"])


class Gpus:
    """torch.cuda of two GPUs; the peak since it was last reset."""

    def __init__(self) -> None:
        self.used, self.peaks = True, [900 * 2**20, 0]

    def is_initialized(self) -> bool:
        return self.used

    def empty_cache(self) -> None:
        """Nothing is kept."""

    def device_count(self) -> int:
        return len(self.peaks)

    def reset_peak_memory_stats(self, device: int) -> None:
        self.peaks[device] = 0

    def max_memory_allocated(self, device: int) -> int:
        return self.peaks[device]


def test_device_memory_is_that_of_the_stage_on_all_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=gpus))
    monkeypatch.setattr("loops.ledger.provenance", dict)

    def work(folder: Path) -> Outcome:
        gpus.peaks = [peak + 3 * 2**19 for peak in gpus.peaks]
        return Outcome(facts={}, cost={})

    ledger = Ledger(tmp_path)
    ledger.stage("one", {}, work)
    gpus.used = False
    ledger.stage("two", {}, work)
    monkeypatch.delitem(sys.modules, "torch")
    ledger.stage("three", {}, work)
    costs = [line["cost"] for line in _lines(tmp_path)]
    assert [cost.get("peak_device_memory_mb") for cost in costs] == [3.0, None, None]  # type: ignore[attr-defined]


def test_the_order_of_the_inputs_does_not_matter(tmp_path: Path) -> None:
    Ledger(tmp_path).stage("eval", {"a": 1, "b": 2}, Work())
    assert not Ledger(tmp_path).stage("eval", {"b": 2, "a": 1}, Work()).fresh


def test_changed_inputs_redo_it_and_leave_nothing_of_the_old(tmp_path: Path) -> None:
    def old(folder: Path) -> Outcome:
        (folder / "stale.txt").write_text("old")
        return Outcome(facts={}, cost={})

    Ledger(tmp_path).stage("collect", {"seed": 1}, old)
    done = Ledger(tmp_path).stage("collect", {"seed": 2}, Work())
    assert done.fresh
    assert [path.name for path in done.folder.iterdir()] == ["made.txt"]
    assert not Ledger(tmp_path).stage("collect", {"seed": 2}, Work()).fresh


def test_a_stage_whose_folder_was_removed_is_done_again(tmp_path: Path) -> None:
    done = Ledger(tmp_path).stage("collect", {}, Work())
    (done.folder / "made.txt").unlink()
    done.folder.rmdir()
    assert Ledger(tmp_path).stage("collect", {}, Work()).fresh


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_kill_inside_a_stage_leaves_no_folder_and_no_line(tmp_path: Path, failure: type[BaseException]) -> None:
    def killed(folder: Path) -> Outcome:
        (folder / "half.txt").write_text("half")
        raise failure

    with pytest.raises(failure):
        Ledger(tmp_path).stage("round-1/collect", {}, killed)
    assert not (tmp_path / "round-1/collect").exists()
    assert not (tmp_path / "ledger.jsonl").exists()
    done = Ledger(tmp_path).stage("round-1/collect", {}, Work())
    assert [path.name for path in done.folder.iterdir()] == ["made.txt"]
    assert [path.name for path in (tmp_path / "round-1").iterdir()] == ["collect"]


def test_a_kill_between_folder_and_line_does_the_stage_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: Path) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("loops.ledger.digest_of_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            Ledger(tmp_path).stage("collect", {}, Work("first"))
    work = Work("second")
    assert Ledger(tmp_path).stage("collect", {}, work).fresh
    assert (tmp_path / "collect/made.txt").read_text() == "second"


def test_a_half_line_is_dropped(tmp_path: Path) -> None:
    Ledger(tmp_path).stage("collect", {}, Work())
    Ledger(tmp_path).stage("verify", {}, Work())
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    ledger = Ledger(tmp_path)
    assert list(ledger.lines) == ["collect"]
    assert ledger.stage("verify", {}, Work()).fresh
    assert [line["stage"] for line in _lines(tmp_path)] == ["collect", "verify"]


def test_the_last_line_of_a_stage_counts(tmp_path: Path) -> None:
    for seed in (1, 2):
        Ledger(tmp_path).stage("collect", {"seed": seed}, Work(str(seed)))
    assert len(_lines(tmp_path)) == 2
    assert Ledger(tmp_path).stage("collect", {"seed": 1}, Work("1")).fresh


def test_two_processes_cannot_hold_a_run(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.errors import RunError; from loops.ledger import open_run\n"
        "try:\n    with open_run(Path(sys.argv[1])): print('held')\n"
        "except RunError as error: print(error)"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(tmp_path)]
        root = Path(__file__).resolve().parents[2]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout.strip()

    with open_run(tmp_path):
        assert other() == f"{tmp_path}: another process is running in it; wait for it or name another --out"
    assert other() == "held"


def test_a_run_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file is a file; name a folder"), open_run(tmp_path / "file"):
        pass


def _flip(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"x0")


def _rename(folder: Path) -> None:
    (folder / "a.bin").rename(folder / "b.bin")


def _move(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "a.bin").rename(folder / "deep/a.bin")


def _add(folder: Path) -> None:
    (folder / "empty").write_bytes(b"")


@pytest.mark.parametrize("change", [_flip, _rename, _move, _add])
def test_a_folders_digest_changes_with_a_byte_or_a_name(tmp_path: Path, change: Callable[[Path], None]) -> None:
    (tmp_path / "a.bin").write_bytes(b"xy")
    before = digest_of_folder(tmp_path)
    assert digest_of_folder(tmp_path) == before
    change(tmp_path)
    assert digest_of_folder(tmp_path) != before


# Shared between runs --------------------------------------------------------------------------------------------------


def test_a_stage_that_two_runs_need_alike_is_done_once(tmp_path: Path) -> None:
    shared, work = tmp_path / "shared", Work()
    first = Ledger(tmp_path / "a", shared).stage("round-1/collect", {"seed": 1}, work)
    second = Ledger(tmp_path / "b", shared).stage("round-1/collect", {"seed": 1}, work)
    assert work.times == 1
    assert (second.digest, second.facts) == (first.digest, {"pairs": 3})
    assert (second.folder / "made.txt").read_text() == "pairs"
    assert (tmp_path / "b/round-1/collect/made.txt").stat().st_nlink == 3, "two runs and the shared folder, one file"


def test_what_a_shared_stage_took_is_told_and_not_counted_again(tmp_path: Path) -> None:
    for run in "ab":
        Ledger(tmp_path / run, tmp_path / "shared").stage("collect", {}, Work())
    (done,), (taken,) = _lines(tmp_path / "a"), _lines(tmp_path / "b")
    assert taken["cost"] == {"seconds": 0.0}
    assert taken["shared_cost"] == done["cost"]
    assert "shared_cost" not in done
    assert all(taken[name] == done[name] for name in ("stage", "inputs", "outputs", "facts", "provenance"))


def test_other_inputs_or_another_kind_of_stage_share_nothing(tmp_path: Path) -> None:
    work = Work()
    Ledger(tmp_path / "a", tmp_path / "shared").stage("round-1/collect", {"seed": 1}, work)
    Ledger(tmp_path / "b", tmp_path / "shared").stage("round-1/collect", {"seed": 2}, work)
    Ledger(tmp_path / "b", tmp_path / "shared").stage("round-1/verify", {"seed": 1}, work)
    assert work.times == 3


def test_a_shared_stage_that_was_tampered_with_is_done_again(tmp_path: Path) -> None:
    Ledger(tmp_path / "a", tmp_path / "shared").stage("collect", {}, Work())
    (path,) = (tmp_path / "shared").glob("collect-*/files/made.txt")
    path.write_text("other")
    work = Work()
    done = Ledger(tmp_path / "b", tmp_path / "shared").stage("collect", {}, work)
    assert work.times == 1
    assert (done.folder / "made.txt").read_text() == "pairs"
    again = Ledger(tmp_path / "c", tmp_path / "shared").stage("collect", {}, work)
    assert (work.times, again.digest) == (1, done.digest)


def test_a_stage_killed_while_others_wait_for_it_is_done_by_one_of_them(tmp_path: Path) -> None:
    def killed(folder: Path) -> Outcome:
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ledger(tmp_path / "a", tmp_path / "shared").stage("collect", {}, killed)
    work = Work()
    done = Ledger(tmp_path / "b", tmp_path / "shared").stage("collect", {}, work)
    assert work.times == 1
    assert [path.name for path in done.folder.iterdir()] == ["made.txt"]


def test_processes_that_need_a_stage_at_once_do_it_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from loops.ledger import Ledger, Outcome\n"
        "def work(folder):\n"
        "    with Path(sys.argv[2]).open('a') as told: told.write('x')\n"
        "    time.sleep(0.5); (folder / 'made.txt').write_text('pairs'); return Outcome(facts={}, cost={})\n"
        "Ledger(Path(sys.argv[1]), Path(sys.argv[3])).stage('collect', {}, work)"
    )
    root = Path(__file__).resolve().parents[2]
    others = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / name, tmp_path / "told", tmp_path / "shared"], cwd=root
        )
        for name in "abc"
    ]
    assert [other.wait(60) for other in others] == [0, 0, 0]
    assert (tmp_path / "told").read_text() == "x"
    assert sum("shared_cost" in line for name in "abc" for line in _lines(tmp_path / name)) == 2


@pytest.mark.reported("lost")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: b'{"inputs": "1", "outputs": "2"}\n', "the line has no stage"),
        (lambda line: line[:40] + b"\n", "not valid JSON"),
        (lambda line: b"[1]\n", "expected an object, found list"),
        (lambda line: line.replace(b'"pairs": 3', b'"pairs": 7'), "the line is not as it was written"),
    ],
)
def test_a_damaged_line_is_set_aside_with_what_its_stage_left_and_the_stage_done_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes], reason: str
) -> None:
    for name in ("collect", "verify"):
        Ledger(tmp_path).stage(name, {}, Work())
    collect, verify = (tmp_path / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "ledger.jsonl").write_bytes(damage(collect) + verify)
    with pytest.raises(DataError, match=rf"ledger\.jsonl:1: {reason}; the command that wrote it sets the line aside"):
        read_ledger(tmp_path)
    ledger, work = Ledger(tmp_path), Work()
    assert (ledger.stage("collect", {}, work).fresh, ledger.stage("verify", {}, work).fresh) == (True, False)
    assert work.times == 1
    assert (tmp_path / "ledger.jsonl.damaged").read_bytes() == damage(collect)
    assert (tmp_path / ".collect.damaged-1/made.txt").read_text() == "pairs"
    told, aside = caplog.messages
    assert told.startswith(f"{tmp_path}/ledger.jsonl:1: {reason}; the line is in {tmp_path}/ledger.jsonl.damaged")
    assert aside.endswith(f"it is set aside as {tmp_path}/.collect.damaged-1, and the stage done again")
    assert [line["stage"] for line in read_ledger(tmp_path)] == ["verify", "collect"]
    assert not Ledger(tmp_path).stage("collect", {}, work).fresh


@pytest.mark.parametrize("change", [_flip, _rename, _move, _add])
def test_a_stage_that_is_not_as_it_was_left_is_set_aside_and_done_again(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    def work(folder: Path) -> Outcome:
        (folder / "a.bin").write_bytes(b"xy")
        return Outcome(facts={}, cost={})

    change(Ledger(tmp_path).stage("optimise", {}, work).folder)
    damaged = digest_of_folder(tmp_path / "optimise")
    done = Ledger(tmp_path).stage("optimise", {}, work)
    assert done.fresh and (done.folder / "a.bin").read_bytes() == b"xy"
    assert digest_of_folder(tmp_path / ".optimise.damaged-1") == damaged


@pytest.mark.parametrize(
    "damage", [lambda line: line[:50], lambda line: line.replace(b'"pairs": 3', b'"pairs": 7'), lambda line: b"[]"]
)
def test_the_line_of_a_shared_stage_that_is_damaged_counts_for_nobody(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    Ledger(tmp_path / "a", tmp_path / "shared").stage("collect", {}, Work())
    (path,) = (tmp_path / "shared").glob("collect-*/line.json")
    path.write_bytes(damage(path.read_bytes()))
    work = Work()
    done = Ledger(tmp_path / "b", tmp_path / "shared").stage("collect", {}, work)
    assert (work.times, done.facts) == (1, {"pairs": 3})
    assert len(list((tmp_path / "shared").glob(".collect-*.damaged-1/line.json"))) == 1


def test_the_last_line_of_a_run_that_was_killed_keeps_nobody_from_reading_the_others(tmp_path: Path) -> None:
    Ledger(tmp_path).stage("collect", {}, Work())
    with (tmp_path / "ledger.jsonl").open("a") as stream:
        stream.write('{"stage": "ver')
    assert [line["stage"] for line in read_ledger(tmp_path)] == ["collect"]


@pytest.mark.reported("lost")
def test_a_run_that_is_stopped_says_that_its_finished_stages_are_kept(tmp_path: Path) -> None:
    def stopped(folder: Path) -> Outcome:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        Ledger(tmp_path).stage("round-0/eval", {}, stopped)
    assert caught.value.__notes__ == [f"finished stages are kept in {tmp_path}, the same command goes on from there"]


@pytest.mark.reported("disks")
def test_a_line_that_finds_no_room_is_told_and_the_stage_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    outcome = Outcome(facts={"a": float("nan")}, cost={})
    with monkeypatch.context() as patch, pytest.raises(DataError, match=r"ledger\.jsonl cannot be written \(No space"):
        patch.setattr("os.fsync", full)
        Ledger(tmp_path).stage("a", {}, lambda folder: outcome)
    assert Ledger(tmp_path).stage("b", {}, lambda folder: outcome).facts == {"a": None}


def test_costs_of_one_name_count_together() -> None:
    assert added({"forward_passes": 3, "generated_tokens": 5}, {"forward_passes": 4}, {}) == {
        "forward_passes": 7,
        "generated_tokens": 5,
    }
