"""Claims about `strop compare`: a fair verdict, nothing dropped in silence, and folders found by any of their names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.board import board
from harness.cli.compare import compare, compare_results, find_results
from harness.errors import DataError, UsageError
from harness.results import read_results
from harness.stats import difference
from tests.worlds import YES_NO, captions, write_folder, write_run, yes_no

BEFORE = [1, 0] * 30
AFTER = [1, 1, 1, 0] * 15


def ask(*words: object) -> str:
    app = typer.Typer()
    app.command("board")(board)
    app.command("compare")(compare)
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def ask_json(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask("compare", *words, "--json"))
    return found


def test_a_folder_compared_with_itself_shows_exactly_no_difference(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", yes_no(BEFORE), captions("cat !dog", "cup"))
    found = ask_json(folder, folder)
    assert found["verdict"] == "no difference seen"
    assert [metric["value"] for task in found["tasks"] for metric in task["metrics"].values()] == [0.0] * 7
    assert [metric["low"] for metric in found["tasks"][0]["metrics"].values()] == [0.0, 0.0]
    assert "quiz: no difference seen (accuracy 0.0 [0.0, 0.0], p 1.00)" in ask("compare", folder, folder)


def test_the_figures_are_those_of_the_paired_bootstrap(tmp_path: Path) -> None:
    a, b = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", AFTER)))
    found = ask_json(a, b)["tasks"][0]["metrics"]["accuracy"]
    wanted = difference(yes_no(BEFORE).rows, yes_no(AFTER).rows, YES_NO)["accuracy"]
    assert (found["a"], found["b"], found["value"], found["n"]) == (0.5, 0.75, 0.25, 60)
    assert (found["low"], found["high"], found["p"]) == (wanted.low, wanted.high, wanted.p)


def test_better_and_worse_follow_the_direction_of_the_metric(tmp_path: Path) -> None:
    low, high = (write_folder(tmp_path / name, yes_no(marks)) for name, marks in (("a", BEFORE), ("b", AFTER)))
    assert (ask_json(low, high)["verdict"], ask_json(high, low)["verdict"]) == ("better", "worse")
    clean = write_folder(tmp_path / "clean", captions(*["cat dog"] * 30))
    wrong = write_folder(tmp_path / "wrong", captions(*["cat !dog", "cat dog"] * 15))
    assert (ask_json(wrong, clean)["verdict"], ask_json(clean, wrong)["verdict"]) == ("better", "worse")
    assert "chair: B is better (CHAIRi −25.0" in ask("compare", wrong, clean)


def test_a_gain_that_saying_less_explains_is_said_to_be_one(tmp_path: Path) -> None:
    long = write_folder(tmp_path / "long", captions(*["cat dog cup !car", "cat dog bus !bed"] * 20))
    short = write_folder(tmp_path / "short", captions(*["cat dog"] * 40))
    sentence = ask_json(long, short)["sentence"]
    assert "chair: B is better (CHAIRi −25.0" in sentence
    assert "at equal recall 0.0 [0.0, 0.0]: saying less may explain it" in sentence


def test_opposite_verdicts_of_two_tasks_are_mixed_and_both_are_said(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", yes_no(BEFORE), yes_no(AFTER, task="other"))
    b = write_folder(tmp_path / "b", yes_no(AFTER), yes_no(BEFORE, task="other"))
    found = ask_json(a, b)
    assert found["verdict"] == "mixed"
    assert "quiz: B is better" in found["sentence"] and "other: B is worse" in found["sentence"]


def test_holm_corrects_headlines_apart_from_the_rest(tmp_path: Path) -> None:
    names = ("x", "y", "z")
    a, b = (write_folder(tmp_path / side, *(yes_no(marks, task=name) for name in names))
            for side, marks in (("a", BEFORE), ("b", AFTER)))  # fmt: skip
    metrics = ask_json(a, b)["tasks"][0]["metrics"]
    assert metrics["accuracy"]["p_holm"] == pytest.approx(3 * metrics["accuracy"]["p"])
    assert metrics["unread"]["p_holm"] == 1.0


def test_ids_that_only_one_side_answered_are_listed(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", yes_no(BEFORE))
    b = write_folder(tmp_path / "b", yes_no(AFTER, first=2))
    task = ask_json(a, b)["tasks"][0]
    assert (task["only_a"], task["only_b"]) == (["q0", "q1"], ["q60", "q61"])
    assert task["metrics"]["accuracy"]["n"] == 58
    text = ask("compare", a, b)
    assert "only A answered 2: q0, q1" in text and "only B answered 2: q60, q61" in text


def test_a_task_that_one_side_lacks_is_named(tmp_path: Path) -> None:
    a = write_folder(tmp_path / "a", yes_no(BEFORE), yes_no(BEFORE, task="other"))
    b = write_folder(tmp_path / "b", yes_no(AFTER))
    assert ask_json(a, b)["tasks_only_a"] == ["other"]
    assert "not compared, as B lacks them: other" in ask("compare", a, b)


def test_results_that_do_not_belong_side_by_side_are_refused(tmp_path: Path) -> None:
    a = read_results(write_folder(tmp_path / "a", yes_no(BEFORE)))
    for changed, reason in (
        ({"profile": "lmms-eval"}, "profile official on one side, lmms-eval on the other"),
        ({"version": 2}, "version 1 on one side, 2"),
        ({"split": "dev"}, "split test on one side, dev"),
        ({"info": {"built": "built by Strop"}}, "one side answered questions that were built here"),
        ({"first": 100}, "no sample that both sides answered"),
    ):
        with pytest.raises(DataError, match=reason):
            compare_results(a, read_results(write_folder(tmp_path / "b", yes_no(BEFORE, **changed))))
    with pytest.raises(DataError, match="A holds quiz, B holds other"):
        compare_results(a, read_results(write_folder(tmp_path / "c", yes_no(BEFORE, task="other"))))


def test_a_run_is_found_by_folder_round_and_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "runs" / "honed", [[yes_no(BEFORE)], [yes_no(AFTER)]])
    monkeypatch.chdir(tmp_path)
    first, last = (Path("runs/honed") / f"round-{number}" / "eval" for number in (0, 1))
    assert find_results("runs/honed") == last
    assert find_results("runs/honed:0") == find_results("runs/honed/round-0") == find_results(str(first)) == first
    assert find_results("10abc") == last
    shutil.copytree(run, tmp_path / "runs" / "again")  # another run of the same seed with the same answers
    assert find_results("00abc").name == "eval"
    write_folder(tmp_path / "elsewhere", yes_no(AFTER), digest="00abc")
    with pytest.raises(UsageError, match=r"00abc fits several results that differ: .*elsewhere"):
        find_results("00abc")


def test_what_is_not_found_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no finished results"):
        find_results("empty")
    with pytest.raises(UsageError, match="no folder and no weights digest"):
        find_results("nowhere")
    with pytest.raises(UsageError, match=r"no results of weights abcd\.\.\. under \./runs or here"):
        find_results("abcd")
    write_run(tmp_path / "run", [[yes_no(BEFORE)]])
    with pytest.raises(DataError, match="run has no finished evaluation of round 3"):
        find_results("run:3")


def test_the_board_command_says_what_it_wrote(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[yes_no(BEFORE)]])
    found = json.loads(ask("board", run, "--out", tmp_path / "out", "--json"))
    assert [Path(name).is_file() for name in found["files"]] == [True] * 4
    assert f"written {tmp_path / 'out' / 'board.html'}" in ask("board", run, "--out", tmp_path / "out")
