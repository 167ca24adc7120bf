"""`strop score` from the shell: figures as JSON or a table, results on disk, and mistakes told in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from harness.errors import DataError, StropError, UsageError
from harness.files import read_jsonl
from harness.results import read_results
from harness.stats import estimate
from strop.commands.score import score_app, words
from strop.commands.score.report import print_marked
from tasks.reading import text
from tests.support.annotated import annotate
from tests.support.pages import read_page
from tests.support.pope import ANSWERS, LABELS, QUESTIONS, write_answers, write_data
from tests.support.pope import write_lines as _lines
from tests.support.worlds import captions


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(score_app, [str(argument) for argument in arguments])


def _error(*arguments: object) -> StropError:
    """The error that `main` prints as one line; nothing may have been printed before it."""
    result = _run(*arguments)
    assert result.output == ""
    assert isinstance(result.exception, StropError)
    return result.exception


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of three POPE questions."""
    return write_data(tmp_path / "data")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return write_answers(tmp_path / "model.jsonl")


def test_pope_prints_the_published_figures_as_one_json_object(conformance: Path, expected: dict[str, Any]) -> None:
    pope = conformance / "pope"
    result = _run(
        *("pope", "--answers", pope / "answers/llava-v1.5-13b.jsonl", "--questions", pope / "llava_pope_test.jsonl"),
        *("--truth", pope / "labels_2910", "--profile", "official", "--json"),
    )
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert (printed["task"], printed["profile"]) == ("pope", "official")
    figures = expected["pope/llava-1.5-13b"]["recomputed"]
    for split in ("adversarial", "popular", "random", "macro", "pooled"):
        output = printed["metrics"][f"{split}/f1"]
        assert output["value"] == pytest.approx(figures[split]["f1"], abs=1e-9)
        assert output["low"] < output["value"] < output["high"]
    assert printed["metrics"]["random/f1"]["n"] == 2910


def test_the_docs_quote_what_the_commands_print(conformance: Path) -> None:
    page = read_page("docs/scoring.md")
    quoted = re.findall(r"^# (.+)\nstrop score (.+)$", page, re.MULTILINE)
    files = {path.name: path for path in conformance.rglob("*")}
    assert [command.split()[0] for _, command in quoted] == ["pope", "scienceqa", "mathvista", "chair"]
    for line, command in quoted:
        benchmark, *words = command.split()
        assert line in _run(benchmark, *(files.get(word, word) for word in words)).stdout.splitlines()


def test_chair_needs_no_setting_to_find_nltks_data(conformance: Path, expected: dict[str, Any]) -> None:
    chair = conformance / "chair"
    command = "from strop.commands.score import score_app; score_app()"
    arguments = ["chair", "--answers", chair / "opera/llava-1.5/greedy.jsonl"]
    arguments += ["--truth", chair / "ground_truth_maxlinn.json.gz", "--profile", "official", "--json"]
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", command, *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if name not in ("NLTK_DATA", "STROP_DATA")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    figures = expected["chair/opera/llava-1.5/greedy"]["recomputed"]["maxlinn"]
    assert printed["task"] == "chair"
    for ours, theirs in {"CHAIRs": "CHAIRs", "CHAIRi": "CHAIRi", "recall": "Recall", "length": "Len"}.items():
        assert printed["metrics"][ours]["value"] == pytest.approx(figures[theirs], abs=1e-9)
    assert printed["metrics"]["CHAIRs"]["n"] == 500
    assert printed["info"]["truth"] == "ground_truth_maxlinn.json.gz"


@pytest.fixture
def kittens(tmp_path: Path) -> list[object]:
    """Arguments that score one caption of one image, with no data of NLTK's near it."""
    (tmp_path / "truth.json").write_text('{"categories": ["cat"], "images": {"1": [0]}}')
    _tables(tmp_path)
    answers = _lines(tmp_path / "answers.jsonl", [{"image_id": 1, "caption": "Two cats. A bus."}])
    return ["chair", "--answers", answers, "--truth", tmp_path / "truth.json", "--data", tmp_path]


def _tables(folder: Path) -> None:
    (folder / "synonyms.json").write_text('{"cat": ["cat"], "bus": ["bus"]}')
    (folder / "double_words.json").write_text("{}")


@pytest.fixture
def no_nltk_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """NLTK knows no place where its data might be, and what was read of them before is forgotten."""
    import nltk

    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.setattr(nltk.data, "path", [])
    caches = (text._splitter, text._tagger, text._wordnet, text._lemma)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def test_missing_nltk_data_are_named_with_the_remedy(kittens: list[object], no_nltk_data: None) -> None:
    """Whoever asks for the official profile gets it or an error, never another one."""
    error = _error(*kittens, "--profile", "official")
    assert isinstance(error, DataError)
    with pytest.raises(
        DataError, match=r"^NLTK's data package '\w+' is not there; set NLTK_DATA to a folder that holds"
    ):
        raise error


def test_without_nltks_data_another_normaliser_stands_in_and_says_so(
    kittens: list[object], no_nltk_data: None, tmp_path: Path
) -> None:
    printed = json.loads(_run(*kittens, "--json", "--out", tmp_path / "out").stdout)
    assert printed["profile"] == "lemminflect"
    assert printed["info"]["normaliser"] == f"lemminflect {version('lemminflect')}"
    assert (printed["metrics"]["CHAIRi"]["value"], printed["metrics"]["recall"]["value"]) == (0.5, 1.0)
    assert read_results(tmp_path / "out").task("chair").info["normaliser"] == printed["info"]["normaliser"]
    assert f"words of captions by lemminflect {version('lemminflect')}" in _run(*kittens).stdout


class _Terminal:
    """Somebody at a terminal who gives this answer, and a network that is there or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: bool, online: bool = True) -> None:
        self.questions: list[str] = []
        self.fetched: list[tuple[list[str], Path]] = []
        self._answer = answer
        monkeypatch.setattr(words, "sys", SimpleNamespace(stdin=self, stderr=self))
        monkeypatch.setattr(text, "can_download", lambda: online)
        monkeypatch.setattr(text, "download", self._download)
        monkeypatch.setattr(typer, "confirm", self._confirm)

    def isatty(self) -> bool:
        return True

    def _confirm(self, question: str, **_: object) -> bool:
        self.questions.append(question)
        return self._answer

    def _download(self, names: list[str], folder: Path) -> None:
        self.fetched.append((names, folder))
        raise DataError("the line went dead")


def test_a_person_who_is_online_is_asked_before_anything_is_fetched(
    kittens: list[object], no_nltk_data: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    terminal = _Terminal(monkeypatch, answer=False)
    assert _run(*kittens).exit_code == 0
    (question,) = terminal.questions
    assert question.startswith("NLTK's data are missing (punkt_tab, averaged_perceptron_tagger_eng, wordnet). Download")
    assert terminal.fetched == []

    terminal = _Terminal(monkeypatch, answer=True)
    result = _run(*kittens)
    assert terminal.fetched == [(["punkt_tab", "averaged_perceptron_tagger_eng", "wordnet"], tmp_path / "nltk_data")]
    assert "the line went dead" in result.stderr
    assert "lemminflect" in result.stdout


def test_nobody_is_asked_who_is_offline_or_has_chosen(
    kittens: list[object], no_nltk_data: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = _Terminal(monkeypatch, answer=True, online=False)
    assert _run(*kittens).exit_code == 0
    chosen = _Terminal(monkeypatch, answer=True)
    assert _run(*kittens, "--profile", "lemminflect").exit_code == 0
    assert offline.questions == chosen.questions == []


def test_what_is_downloaded_is_used_at_once(
    kittens: list[object], no_nltk_data: None, monkeypatch: pytest.MonkeyPatch, conformance: Path, tmp_path: Path
) -> None:
    terminal = _Terminal(monkeypatch, answer=True)
    monkeypatch.setattr(text, "download", lambda names, folder: text.look_in(conformance / "nltk_data"))
    printed = json.loads(_run(*kittens, "--json").stdout)
    assert len(terminal.questions) == 1
    assert printed["profile"] == "official"
    assert printed["info"]["normaliser"] == f"nltk {version('nltk')}"


def test_chairs_truth_may_be_a_folder_of_coco_annotations(tmp_path: Path, data: Path) -> None:
    folder = annotate(tmp_path / "coco", {1: ["cat"], 2: []}, {1: ["A bus."], 2: ["Two buses."]})
    _tables(folder)
    captions = [{"image_id": 1, "caption": "A cat."}, {"image_id": 2, "caption": "A bus."}]
    answers = _lines(tmp_path / "answers.jsonl", captions)
    arguments = ["chair", "--answers", answers, "--profile", "lemminflect", "--json", "--truth", folder]
    both = json.loads(_run(*arguments, "--out", tmp_path / "out").stdout)
    alone = json.loads(_run(*arguments, "--objects", "instances").stdout)
    assert [item["metrics"]["CHAIRi"]["value"] for item in (both, alone)] == [0.0, 0.5]
    assert [item["metrics"]["recall"]["value"] for item in (both, alone)] == [2 / 3, 1.0]
    assert alone["info"]["objects"] == "annotated instances only"
    assert (both["profile"], alone["profile"]) == ("lemminflect", "lemminflect/instances")
    assert (tmp_path / "out/results.json").is_file()
    (folder / "instances_.json").rename(data / "chair.json")
    assert "instances_*.json: no such file" in str(_error(*arguments))


def test_the_data_folder_stands_in_for_truth_and_questions(data: Path, answers: Path) -> None:
    printed = json.loads(_run("pope", "--answers", answers, "--data", data, "--profile", "strict", "--json").stdout)
    assert printed["metrics"]["random/accuracy"]["value"] == 2 / 3
    assert printed["metrics"]["random/recall"]["value"] == 1 / 2
    assert printed["metrics"]["random/unread"]["value"] == 1 / 3


def test_the_data_folder_can_be_named_in_the_environment(
    data: Path, answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROP_DATA", str(data))
    assert _run("pope", "--answers", answers, "--json").exit_code == 0


def test_a_figure_that_is_nought_over_nought_is_null(data: Path, tmp_path: Path) -> None:
    silent = _lines(tmp_path / "silent.jsonl", [{"question_id": n, "text": ""} for n in (1, 2, 3)])
    printed = json.loads(_run("pope", "--answers", silent, "--data", data, "--profile", "lmms-eval", "--json").stdout)
    assert printed["metrics"]["random/precision"] == {
        "value": None, "low": None, "high": None, "n": 3, "method": "cluster bootstrap"
    }  # fmt: skip


def test_all_profiles_come_side_by_side(data: Path, answers: Path) -> None:
    printed = json.loads(_run("pope", "--answers", answers, "--data", data, "--profile", "all", "--json").stdout)
    recall = {entry["profile"]: entry["metrics"]["random/recall"]["value"] for entry in printed}
    assert recall == {"official": 1.0, "lmms-eval": 1.0, "vlmeval": 0.5, "strict": 0.5}
    # "unsure" is a yes to the official reader alone
    assert [entry["info"]["read_differently"] for entry in printed] == [1, 1, 1, 1]
    table = _run("pope", "--answers", answers, "--data", data, "--profile", "all").stdout
    assert all(name in table for name in ("official", "lmms-eval", "vlmeval", "strict", "random/f1"))


def test_both_readers_of_captions_come_side_by_side(kittens: list[object], nltk_data: Path) -> None:
    (Path(str(kittens[2]))).write_text('{"image_id": 1, "caption": "Two skiing cats."}')
    (Path(str(kittens[4])).parent / "synonyms.json").write_text('{"cat": ["cat"], "skis": ["ski"]}')
    printed = _run(*kittens, "--profile", "all").stdout.splitlines()
    assert printed[-3:] == [
        "1 answer is not read alike by all profiles",
        "  1: Two skiing cats.",
        "    official: skis, cat; lemminflect: cat; gold: cat",
    ]
    assert any(line.startswith("words of captions by nltk ") and ", lemminflect " in line for line in printed)
    assert "marks by one profile" in str(_error(*kittens, "--profile", "all", "--cut"))


def test_chairs_tables_may_lie_in_the_data_folder(kittens: list[object], tmp_path: Path, nltk_data: Path) -> None:
    for name in ("synonyms.json", "double_words.json"):
        (tmp_path / "chair").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "chair" / name)
    printed = json.loads(_run(*kittens, "--json").stdout)
    assert printed["metrics"]["CHAIRi"]["value"] == 0.5


def test_what_profiles_read_differently_is_shown_and_written_whole(data: Path, answers: Path, tmp_path: Path) -> None:
    command = ("pope", "--answers", answers, "--data", data, "--profile", "all")
    read = {"official": "yes", "lmms-eval": None, "vlmeval": None, "strict": None}
    row = {"id": "3", "answer": "unsure", "gold": "yes", "read": read}
    printed = _run(*command, "--disagreements", tmp_path / "differ.jsonl").stdout.splitlines()
    assert printed[-3:] == [
        "1 answer is not read alike by all profiles",
        "  3: unsure",
        "    official: yes; lmms-eval: unread; vlmeval: unread; strict: unread; gold: yes",
    ]
    assert list(read_jsonl(tmp_path / "differ.jsonl")) == [{"task": "pope", **row}]
    for item in json.loads(_run(*command, "--json").stdout):
        assert item["info"]["disagreements"] == [row]
        assert item["info"]["unread_by_profile"] == {"official": 0, "lmms-eval": 1, "vlmeval": 1, "strict": 1}
    alone = _error("pope", "--answers", answers, "--data", data, "--disagreements", tmp_path / "none.jsonl")
    assert str(alone) == "--disagreements compares profiles; ask for all of them (--profile all)"
    assert not (tmp_path / "none.jsonl").exists()


def test_a_hostile_answer_cannot_reach_the_terminal(data: Path, tmp_path: Path) -> None:
    answer = "\x1b]0;owned\x07 \x1b[2J[red]Maybe\nnot\u202e"
    answers = _lines(tmp_path / "hostile.jsonl", [{"question_id": n, "text": answer} for n in (1, 2, 3)])
    printed = _run("pope", "--answers", answers, "--data", data, "--profile", "all").stdout
    assert "  1: ]0;owned [2J[red]Maybe not\n" in printed
    assert not set("\x1b\x07\u202e") & set(printed)


def test_only_a_few_disagreements_are_printed(data: Path, tmp_path: Path) -> None:
    rows = [{**QUESTIONS[0], "question_id": n, "image": f"{n}.jpg"} for n in range(7)]
    _lines(data / "pope/llava_pope_test.jsonl", rows)
    _lines(data / "pope/coco_pope_random.json", [{**row, "label": "yes"} for row in rows])
    answers = _lines(tmp_path / "seven.jsonl", [{"question_id": n, "text": "unsure"} for n in range(7)])
    printed = _run("pope", "--answers", answers, "--data", data, "--profile", "all").stdout
    assert printed.count(": unsure") == 5
    assert printed.endswith("  ... and 2 more: --disagreements FILE.jsonl writes all of them\n")


def test_the_table_shows_percentages_and_what_is_not_in_them(data: Path, tmp_path: Path) -> None:
    _lines(data / "pope/coco_pope_random.json", [*LABELS, {**LABELS[0], "image": "c.jpg"}])
    two = _lines(tmp_path / "two.jsonl", ANSWERS[:2])
    table = _run("pope", "--answers", two, "--data", data, "--partial").stdout
    assert "100.00" in table
    assert "random: 1 of 4 label rows not asked" in table
    assert "1 question has no answer and is in no figure" in table


def test_out_writes_results_that_give_the_printed_figures_again(data: Path, answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = json.loads(_run("pope", "--answers", answers, "--data", data, "--out", out, "--json").stdout)
    results = read_results(out)
    assert results.model == "model"
    task = results.task("pope")
    assert (task.profile, task.headline, len(task.rows)) == ("official", "random/f1", 3)
    again = estimate(task.rows, task.metrics)
    assert {name: figure.value for name, figure in again.items()} == {
        name: figure["value"] for name, figure in printed["metrics"].items()
    }
    assert _run("pope", "--answers", answers, "--data", data, "--out", out, "--json").exit_code == 0


def test_out_never_replaces_the_results_of_other_answers(data: Path, answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _run("pope", "--answers", answers, "--data", data, "--out", out, "--json")
    before = (out / "results.json").read_bytes()
    other = _lines(tmp_path / "other.jsonl", [{**row, "text": "No"} for row in ANSWERS])
    error = _error("pope", "--answers", other, "--data", data, "--out", out, "--json")
    assert isinstance(error, UsageError)
    assert "holds the results of other answers" in str(error)
    assert (out / "results.json").read_bytes() == before
    assert "is a file; name a folder" in str(_error("pope", "--answers", answers, "--data", data, "--out", answers))


def test_an_unknown_profile_suggests_the_near_one(tmp_path: Path) -> None:
    error = _error("pope", "--answers", tmp_path / "none", "--profile", "lmmseval")
    assert isinstance(error, UsageError)
    assert str(error) == (
        "unknown profile 'lmmseval'; did you mean 'lmms-eval'? profiles: official, lmms-eval, vlmeval, strict, all"
    )
    for task in ("chair", "scienceqa", "mathvista"):
        assert "profiles: official" in str(_error(task, "--answers", tmp_path / "none", "--profile", "spacy"))


def test_absent_data_say_what_to_put_where(data: Path, answers: Path, tmp_path: Path) -> None:
    for arguments, message in [
        (("pope", "--answers", answers, "--data", tmp_path / "no"), r"--truth was not given and .*/no/pope/coco_pope"),
        (("chair", "--answers", answers, "--data", tmp_path / "no"), r"--truth was not given and .*/no/chair/ground_"),
        (("pope", "--answers", tmp_path / "no.jsonl", "--data", data), r"no\.jsonl: no such file"),
        (
            ("scienceqa", "--answers", answers, "--data", data),
            r"--questions was not given and .*/llava_test_CQM-A\.json",
        ),
        (("mathvista", "--answers", tmp_path / "no.json", "--data", data), r"no\.json: no such file; name the file of"),
    ]:
        error = _error(*arguments)
        assert isinstance(error, DataError)
        with pytest.raises(DataError, match=message):
            raise error
    (data / "pope/coco_pope_random.json").unlink()
    assert "coco_pope_adversarial.json does not exist" in str(_error("pope", "--answers", answers, "--data", data))


def test_two_truths_leave_the_choice_to_the_user(conformance: Path, answers: Path) -> None:
    assert "holds several: ground_truth_areebol.json.gz" in str(
        _error("chair", "--answers", answers, "--data", conformance)
    )


def test_a_faulty_answer_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    broken = _lines(tmp_path / "broken.jsonl", [*ANSWERS[:2], {"question_id": 3}])
    error = _error("pope", "--answers", broken, "--data", data, "--out", tmp_path / "out", "--json")
    assert str(error) == f"{broken}:3: field 'text' is missing; found question_id"
    assert not (tmp_path / "out").exists()


def test_thirty_captions_without_a_wrong_mention_are_said_to_prove_little(capsys: pytest.CaptureFixture[str]) -> None:
    result = captions(*["cat dog"] * 30)
    print_marked([result], [estimate(result.rows, result.metrics)])
    printed = capsys.readouterr().out
    assert "CHAIRi: official 0.00 [0.00, 11.35]" in printed
    assert "chair: 30 pictures. Under 50 the bootstrap's" in printed
    assert "chair: 0 events in CHAIRi (what is counted or what is not" in printed
    many = captions(*["cat !dog"] * 60)
    print_marked([many], [estimate(many.rows, many.metrics)])
    assert "Under" not in capsys.readouterr().out
