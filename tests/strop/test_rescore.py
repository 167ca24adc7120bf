"""One pass of a model is a figure under every profile: `strop rescore` marks what `strop eval` stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.engine import evaluate
from harness.errors import DataError, UsageError
from harness.files import read_jsonl
from harness.marking import remark
from harness.results import Results, TaskResult, read_results, write_results
from harness.stats import as_plain, estimate
from strop.app import app
from strop.notes import notes_of
from tasks.registry import find_task
from tests.support.quiz import Quiz
from tests.support.scripted import Scripted

SAID = {"0?": "Yes", "1?": "no", "2?": "Certainly", "3?": "I know not"}


@pytest.fixture
def results_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A results folder of the quiz, as `strop eval` leaves it."""
    monkeypatch.setattr("tasks.registry.TASKS", {"quiz": Quiz})
    monkeypatch.setenv("STROP_DATA", str(tmp_path / "data"))
    result = evaluate(Scripted(lambda item: SAID[item.prompt]), [Quiz()], split="test")
    results = Results(model="toy", digest="d" * 64, parent=None, tasks=tuple(result), provenance={"commit": "c0ffee"})
    write_results(
        tmp_path / "asked", results, {entry.task: as_plain(estimate(entry.rows, entry.metrics)) for entry in result}
    )
    return tmp_path / "asked"


def _run(*words: object) -> Result:
    return CliRunner().invoke(app, ["rescore", *map(str, words)])


def _task(folder: Path) -> TaskResult:
    return read_results(folder).task("quiz")


def test_the_headline_profile_marks_and_the_others_are_told(results_folder: Path) -> None:
    task = _task(results_folder)
    assert task.profile == "lenient"
    assert task.info["unread_by_profile"] == {"lenient": 0, "strict": 2}
    assert task.info["read_differently"] == 2
    assert [row.value for row in task.rows] == [1, 1, 1, 1]


def test_all_profiles_are_figures_of_the_same_answers(results_folder: Path) -> None:
    lenient, strict = json.loads(_run(results_folder, "--json").stdout)
    assert (lenient["profile"], strict["profile"]) == ("lenient", "strict")
    assert (lenient["metrics"]["accuracy"]["value"], strict["metrics"]["accuracy"]["value"]) == (1.0, 0.5)
    assert strict["metrics"]["unread"]["value"] == 0.5
    table = _run(results_folder).stdout
    assert all(word in table for word in ("quiz, 4 answers", "lenient", "strict", "2 answers are not read alike"))


def test_what_the_profiles_read_differently_is_listed_with_what_was_right(results_folder: Path, tmp_path: Path) -> None:
    listed = [
        {"id": "q2", "answer": "Certainly", "gold": "yes", "read": {"lenient": "yes", "strict": None}},
        {"id": "q3", "answer": "I know not", "gold": "no", "read": {"lenient": "no", "strict": None}},
    ]
    assert _task(results_folder).info["disagreements"] == listed
    printed = _run(results_folder, "--disagreements", tmp_path / "differ.jsonl").stdout
    assert "  q2: Certainly\n    lenient: yes; strict: unread; gold: yes\n" in printed
    assert list(read_jsonl(tmp_path / "differ.jsonl")) == [{"task": "quiz", **row} for row in listed]


def test_strict_is_told_beside_another_headline_wherever_they_part(results_folder: Path) -> None:
    line = "accuracy is 100.00 by lenient and 50.00 by strict: the same answers"
    assert _task(results_folder).info["headline_by_profile"] == {"lenient": 1.0, "strict": 0.5}
    assert notes_of([_task(results_folder)])[-1] == line
    assert line in _run(results_folder, "--profile", "lenient").stdout.splitlines()
    assert "unread of 4 answers: 50.0 % by strict" in _run(results_folder).stdout.splitlines()


def test_one_profile_is_a_results_folder_of_its_own(results_folder: Path, tmp_path: Path) -> None:
    assert _run(results_folder, "--profile", "strict", "--out", tmp_path / "strict").exit_code == 0
    results = read_results(tmp_path / "strict")
    assert (results.model, results.digest, results.provenance["rescored"]) == ("toy", "d" * 64, "profile strict")
    assert [(row.answer, row.parsed) for row in results.task("quiz").rows] == [
        ("Yes", "yes"), ("no", "no"), ("Certainly", None), ("I know not", None)
    ]  # fmt: skip
    assert "lm_eval" not in results.task("quiz").info
    assert "already" in str(_run(results_folder, "--profile", "strict", "--out", tmp_path / "strict").exception)
    assert "holds one profile" in str(_run(results_folder, "--out", tmp_path / "both").exception)
    assert not (tmp_path / "both").exists()


def test_marking_again_by_the_same_profile_changes_nothing(results_folder: Path) -> None:
    task = _task(results_folder)
    assert remark(task, Quiz(), Quiz().samples("test"), "lenient").rows == task.rows


def test_what_cannot_be_marked_again_is_said(results_folder: Path) -> None:
    task, samples = _task(results_folder), Quiz().samples("test")
    with pytest.raises(UsageError, match="quiz has no profile 'official'; it has lenient, strict"):
        remark(task, Quiz(), samples, "official")
    with pytest.raises(DataError, match="quiz was asked as version 1 and is version 2 now; ask again"):
        remark(task, Quiz(version=2), samples, "strict")
    with pytest.raises(DataError, match="1 answer is to questions that the data of quiz here do not hold, such as q3"):
        remark(task, Quiz(count=3), Quiz(count=3).samples("test"), "strict")
    with pytest.raises(DataError, match="hold no task 'other'"):
        read_results(results_folder).task("other")


def test_a_task_with_one_profile_has_one_figure() -> None:
    task = find_task("pictos_pope")
    (result,) = evaluate(Scripted(lambda _: "Yes"), [task], split="test", limit=2)
    assert result.profile == "strict"
    assert result.info == {}
    assert remark(result, task, task.samples("test"), "strict").rows == result.rows
