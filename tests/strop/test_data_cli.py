"""`strop data list` and `strop data fetch`: whose files, where they lie, and how they come."""

from __future__ import annotations

import json
import re
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.errors import DataError, StropError, UsageError
from harness.files import digest_of_file
from strop.commands.data import data_app
from strop.commands.score import score_app
from strop.places import data_root
from tasks.data.root import DataRoot
from tasks.data.sources import Source, stored_file
from tasks.registry import all_sources
from tests.support.annotated import annotate

HOME = Path(__file__).resolve().parents[2]

QUESTIONS, LABELS = b"questions", b"labels"


def _source(file: str, content: bytes | None = None, **more: Any) -> Source:
    digest = None if content is None else sha256(content).hexdigest()
    return Source(task="quiz", file=file, about="things", origin="owner/quiz", licence="MIT", sha256=digest, **more)


@pytest.fixture
def quiz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A task of four files, and a mirror that has some of them."""
    sources = (
        _source("questions.json", QUESTIONS, needed=True),
        _source("labels.json", LABELS, needed=True),
        _source("old/labels.json", instead_of="labels.json"),
        _source("pictures.zip", unpacked="pictures/*.png"),
    )
    monkeypatch.setattr("tasks.registry.all_sources", lambda: sources)
    monkeypatch.setenv("STROP_DATA", str(tmp_path / "data"))
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/questions.json").write_bytes(QUESTIONS)
    (tmp_path / "mirror/labels.json").write_bytes(LABELS)
    return tmp_path / "mirror"


def _run(*words: object) -> Result:
    return CliRunner().invoke(data_app, [str(word) for word in words])


def _error(*words: object) -> StropError:
    error = _run(*words).exception
    assert isinstance(error, StropError)
    assert "\n" not in str(error)
    return error


def _states(data: Path) -> dict[str, str]:
    listed = json.loads(_run("list", "--data", data, "--json").stdout)
    return {row["file"]: row["state"] for row in listed["tasks"]["quiz"]}


# The list -------------------------------------------------------------------------------------------------------------


def test_every_task_of_others_data_says_what_it_needs_and_whose_it_is(tmp_path: Path) -> None:
    listed = json.loads(_run("list", "--data", tmp_path, "--json").stdout)
    assert list(listed["tasks"]) == ["pope", "chair", "scienceqa", "mathvista", "physics", "ic", "grounding"]
    for rows in listed["tasks"].values():
        assert any(row["needed"] for row in rows)
        for row in rows:
            assert row["licence"]
            assert row["origin"]
            assert (row["state"], row["path"], row["sha256"]) == ("missing", None, None)
            assert row["expected_sha256"] is None or re.fullmatch("[0-9a-f]{64}", row["expected_sha256"])
            assert row["instead_of"] is None or row["instead_of"] in [
                other["file"] for other in rows if other["needed"]
            ]


def test_the_known_digests_are_those_of_the_published_files(conformance: Path) -> None:
    published = {source.file: source for source in all_sources() if source.sha256 and "coco_pope" not in source.file}
    published |= {
        f"{source.task}/{source.file}": source for source in all_sources() if source.file.startswith("labels_")
    }
    assert len(published) == 12
    captions = published.pop("greedy.jsonl")
    assert digest_of_file(conformance / "chair/opera/llava-1.5/greedy.jsonl") == captions.sha256
    assert {stored_file(conformance, source).state for source in published.values()} == {"as published"}
    assert stored_file(conformance, _of("chair", "synonyms.json")).state == "here"


def _of(task: str, file: str) -> Source:
    return next(source for source in all_sources() if (source.task, source.file) == (task, file))


def test_nothing_of_others_is_in_the_repository() -> None:
    names = {Path(source.file).name for source in all_sources()}
    folders = [HOME / folder for folder in ("harness", "tasks", "loops", "leaderboards", "tests")]
    assert [path for folder in folders for path in folder.rglob("*") if path.name in names] == []


def test_the_list_tells_what_is_here_from_what_is_another_version(quiz: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "quiz/old").mkdir(parents=True)
    (data / "quiz/questions.json").write_bytes(b"other questions")
    (data / "quiz/old/labels.json").write_bytes(LABELS)
    assert _states(data) == {
        "questions.json": "another version",
        "labels.json": "missing",
        "old/labels.json": "here",
        "pictures.zip": "missing",
    }
    output = _run("list").stdout
    assert f"SHA-256 {sha256(b'other questions').hexdigest()}" in output
    assert f"SHA-256 as published {sha256(QUESTIONS).hexdigest()}" in output
    assert "quiz/labels.json: missing, but there is old/labels.json" in output
    assert "from owner/quiz\n    licence: MIT" in output
    (data / "quiz/old/labels.json").unlink()
    assert "quiz/labels.json: MISSING, and needed" in _run("list").stdout


def test_data_nobody_named_lie_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STROP_DATA", str(tmp_path))
    assert data_root().folder == tmp_path
    assert data_root("named").folder == Path("named")
    monkeypatch.delenv("STROP_DATA")
    assert data_root().folder == Path.home() / ".cache/strop/data"


@pytest.mark.parametrize(("value", "hub"), [("", False), ("0", False), ("1", True), ("copies", Path("copies"))])
def test_the_hub_is_read_where_the_environment_says(value: str, hub: Path | bool) -> None:
    assert DataRoot.from_environment({"STROP_HUB": value}).hub == hub
    assert DataRoot.from_environment({}).hub is False


def test_what_another_task_has_need_not_be_had_twice(tmp_path: Path) -> None:
    annotate(tmp_path / "chair/annotations", {1: ["cat"]}, name="val2014")
    (tmp_path / "chair/synonyms.json").write_text("{}")
    listed = json.loads(_run("list", "--data", tmp_path, "--json").stdout)["tasks"]
    states = {(task, row["file"]): row["state"] for task, rows in listed.items() for row in rows}
    assert states["grounding", "annotations_trainval2014.zip"] == "unpacked"
    assert states["ic", "synonyms.json"] == "here"
    assert states["ic", "truth.json"] == states["ic", "double_words.json"] == "missing"
    output = _run("list", "--data", tmp_path).stdout
    assert f"ic/synonyms.json: here in {tmp_path}/chair\n" in output
    assert f"grounding/annotations_trainval2014.zip: unpacked in {tmp_path}/chair\n" in output
    assert "ic/truth.json: MISSING, and needed" in output
    assert "by `strop data build ic --coco ANNOTATIONS --out DATA/ic`" in output


# The fetch ------------------------------------------------------------------------------------------------------------


def test_what_is_needed_is_fetched_verified_and_kept_the_second_time(quiz: Path, tmp_path: Path) -> None:
    first = _run("fetch", "quiz", "--from", quiz).stdout.splitlines()
    folder = tmp_path / "data/quiz"
    assert first[0] == f"{folder / 'questions.json'}: fetched, SHA-256 {sha256(QUESTIONS).hexdigest()} as expected"
    assert sorted(path.name for path in folder.iterdir()) == ["labels.json", "questions.json"]
    assert set(_states(tmp_path / "data").values()) == {"as published", "missing"}
    assert _run("fetch", "quiz", "--from", quiz).stdout.splitlines() == [
        f"{folder / name}: already there" for name in ("questions.json", "labels.json")
    ]


def test_two_mirrors_with_half_of_it_make_a_whole(quiz: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (quiz / "labels.json").rename(tmp_path / "other/labels.json")
    error = _error("fetch", "quiz", "--from", quiz)
    assert str(error) == f"{quiz / 'labels.json'}: no such file; name another --from for labels.json"
    assert (tmp_path / "data/quiz/questions.json").read_bytes() == QUESTIONS
    assert _run("fetch", "quiz", "--from", tmp_path / "other").exit_code == 0
    assert (tmp_path / "data/quiz/labels.json").read_bytes() == LABELS


def test_what_may_stand_in_is_taken_where_the_mirror_has_no_better(quiz: Path, tmp_path: Path) -> None:
    (quiz / "old").mkdir()
    (quiz / "labels.json").rename(quiz / "old/labels.json")
    result = _run("fetch", "quiz", "--from", quiz)
    assert "old/labels.json: fetched" in result.stdout
    assert result.stdout.rstrip().endswith("(none is known to compare with)")
    assert not (tmp_path / "data/quiz/labels.json").exists()
    assert "old/labels.json: already there" in _run("fetch", "quiz", "--from", quiz).stdout


def test_a_file_of_another_digest_is_refused_unless_it_is_asked_for(quiz: Path, tmp_path: Path) -> None:
    (quiz / "labels.json").write_bytes(b"newer labels")
    newer = sha256(b"newer labels").hexdigest()
    assert "it was not kept" in str(_error("fetch", "quiz", "--from", quiz))
    assert sorted(path.name for path in (tmp_path / "data/quiz").iterdir()) == ["questions.json"]
    words = ("fetch", "quiz", "--from", quiz)
    assert _run(*words, "--sha256", f"labels.json={newer.upper()}").exit_code == 0
    assert (tmp_path / "data/quiz/labels.json").read_bytes() == b"newer labels"
    error = _error(*words)
    assert "labels.json is there with the SHA-256" in str(error)
    assert (tmp_path / "data/quiz/labels.json").read_bytes() == b"newer labels"


def test_an_archive_is_unpacked_and_its_contents_count_without_it(quiz: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(quiz / "pictures.zip", "w") as pack:
        pack.writestr("pictures/1.png", b"one")
    words = ("fetch", "quiz", "--from", quiz, "--file", "pictures.zip")
    assert _run(*words).stdout.rstrip().endswith("1 file unpacked")
    folder = tmp_path / "data/quiz"
    assert (folder / "pictures/1.png").read_bytes() == b"one"
    (folder / "pictures/1.png").unlink()
    assert _run(*words).stdout == f"{folder / 'pictures.zip'}: already there, 1 file unpacked\n"
    (folder / "pictures.zip").unlink()
    assert _states(tmp_path / "data")["pictures.zip"] == "unpacked"
    assert _run(*words).stdout == f"{folder / 'pictures.zip'}: already there\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--file", "absent.json"), "quiz has no file 'absent.json'; its files are questions.json, labels.json"),
        (("--sha256", "labels.json=12"), "expected FILE=DIGEST with the 64 hex digits"),
        (("--sha256", f"absent={'0' * 64}"), "quiz has no file 'absent'"),
    ],
)
def test_an_option_that_names_nothing_is_told(quiz: Path, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    error = _error("fetch", "quiz", "--from", quiz, *words)
    assert isinstance(error, UsageError)
    assert message in str(error)
    assert not (tmp_path / "data").exists()


def test_a_task_without_data_of_others_is_told_which_have_some(tmp_path: Path) -> None:
    error = _error("fetch", "pictos_pope", "--from", tmp_path)
    assert str(error).endswith(
        "'pictos_pope'; these need some: pope, chair, scienceqa, mathvista, physics, ic, grounding"
    )


# Beside `strop score` -------------------------------------------------------------------------------------------------


def test_score_says_where_missing_data_come_from(tmp_path: Path) -> None:
    words = ["scienceqa", "--answers", "x", "--data", str(tmp_path)]
    error = CliRunner().invoke(score_app, words).exception
    assert isinstance(error, DataError)
    assert str(error).endswith("`strop data list` says where it comes from")


def test_fetched_files_are_where_score_looks_for_them(conformance: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for task in ("pope", "scienceqa"):
        assert _run("fetch", task, "--from", conformance / task, "--data", data).exit_code == 0
    for task, answers in (
        ("pope", "pope/answers/llava-v1.5-13b.jsonl"),
        ("scienceqa", "scienceqa/outputs/llava-v1.5-13b_result.json"),
    ):
        words = [task, "--answers", str(conformance / answers), "--data", str(data), "--json"]
        assert json.loads(CliRunner().invoke(score_app, words).stdout)["task"] == task


def test_cocos_archive_unpacked_is_where_score_looks_for_a_truth(tmp_path: Path) -> None:
    mirror, data = tmp_path / "mirror", tmp_path / "data"
    annotate(mirror / "annotations", {1: ["cat"]}, {1: ["A bus."]}, "val2014")
    with zipfile.ZipFile(mirror / "annotations_trainval2014.zip", "w") as pack:
        for path in (mirror / "annotations").iterdir():
            pack.write(path, f"annotations/{path.name}")
    (mirror / "synonyms.json").write_text('{"cat": ["cat"], "bus": ["bus"]}')
    (mirror / "double_words.json").write_text("{}")
    assert "annotations_trainval2014.zip: fetched" in _run("fetch", "chair", "--from", mirror, "--data", data).stdout
    (tmp_path / "answers.jsonl").write_text('{"image_id": 1, "caption": "A cat and a bus."}')
    words = ["chair", "--answers", str(tmp_path / "answers.jsonl"), "--data", str(data), "--profile", "lemminflect"]
    report = json.loads(CliRunner().invoke(score_app, [*words, "--json"]).stdout)
    assert (report["info"]["truth"], report["metrics"]["recall"]["value"]) == ("annotations", 1.0)
