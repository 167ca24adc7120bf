"""Files that contradict each other, or themselves, are refused with the file and the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.errors import DataError
from harness.files import read_jsonl, write_json, write_jsonl
from harness.results import read_owner, read_results
from harness.types import Sample
from strop.app import app
from strop.notes import notes_of
from tasks.reading.row_claims import echoes_in
from tests.support.worlds import captions, write_folder, yes_no

CONTRADICTIONS = pytest.mark.reported("contradictions")
MARKS = [1, 0] * 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "seed", yes_no(MARKS), captions("cat !dog", "cup"))


def _edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / "results.json").read_text())
    change(content)
    write_json(folder / "results.json", content)


def _rows(folder: Path, change: Callable[[list[Any]], Sequence[Any]]) -> None:
    path = folder / "quiz.jsonl"
    write_jsonl(path, change(list(read_jsonl(path))))


def _fewer(folder: Path) -> None:
    _rows(folder, lambda rows: rows[:15])


def _more(folder: Path) -> None:
    _rows(folder, lambda rows: [*rows, {**rows[0], "id": "q99"}])


def _none(folder: Path) -> None:
    _rows(folder, lambda rows: [])


def _twice(folder: Path) -> None:
    _rows(folder, lambda rows: [*rows[:-1], rows[0]])


def _newer(folder: Path) -> None:
    _edit(folder, lambda content: content.update(format=2))


def _no_format(folder: Path) -> None:
    _edit(folder, lambda content: content.pop("format"))


def _another_count(folder: Path) -> None:
    _edit(folder, lambda content: content["tasks"][0].update(n=21))


WRONG_ROWS = [
    (_fewer, "{folder}/quiz.jsonl has 15 rows and results.json says 20; put the folder back as it was"),
    (_more, "{folder}/quiz.jsonl has 21 rows and results.json says 20; put the folder back as it was"),
    (_none, "{folder}/quiz.jsonl has 0 rows and results.json says 20; put the folder back as it was"),
    (_twice, "{folder}/quiz.jsonl answers sample 'q0' twice; put the folder back as it was"),
    (_newer, "{folder}/results.json is of format 2, and this Strop reads format 1; read it by the Strop that wrote it"),
    (_another_count, "{folder}/quiz.jsonl has 20 rows and results.json says 21; put the folder back as it was"),
]


@CONTRADICTIONS
@pytest.mark.parametrize(("spoil", "message"), WRONG_ROWS)
@pytest.mark.parametrize(
    "command",
    [
        ("board", "{folder}", "--out", "{out}"),
        ("board", "{folder}", "--site", "{out}"),
        ("compare", "{folder}", "{other}"),
        ("compare", "{other}", "{folder}"),
        ("show", "{folder}"),
        ("diff", "{folder}", "{other}"),
        ("export", "{folder}", "--to", "markdown", "--out", "{out}"),
    ],
)
def test_no_command_reads_results_that_contradict_their_rows(
    tmp_path: Path, folder: Path, command: Sequence[str], spoil: Callable[[Path], None], message: str
) -> None:
    other = write_folder(tmp_path / "other", yes_no(MARKS))
    spoil(folder)
    words = [word.format(folder=folder, other=other, out=tmp_path / "out") for word in command]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, DataError)
    assert str(done.exception).startswith(message.format(folder=folder))
    assert not (tmp_path / "out").exists()


def _another_figure(folder: Path) -> None:
    _edit(folder, lambda content: content["tasks"][0]["metrics"]["accuracy"].update(value=0.6))


def _no_figure(folder: Path) -> None:
    _edit(folder, lambda content: content["tasks"][0]["metrics"].pop("accuracy"))


def _right_now(folder: Path) -> None:
    _rows(folder, lambda rows: [{**row, "counts": {**row["counts"], "right": 1}} for row in rows])


def _rows_of_another_task(folder: Path) -> None:
    _edit(folder, lambda content: content["tasks"][0].update(n=2))
    (folder / "quiz.jsonl").write_bytes((folder / "chair.jsonl").read_bytes())


@CONTRADICTIONS
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_another_figure, "its rows give accuracy 0.5 where results.json says 0.6; one of the two was changed"),
        (_no_figure, "its rows give accuracy 0.5 where results.json says 0/0; one of the two was changed"),
        (_right_now, "its rows give accuracy 1 where results.json says 0.5; one of the two was changed"),
        (_rows_of_another_task, "its rows give accuracy 0/0 where results.json says 0.5; one of the two was changed"),
    ],
)
def test_figures_that_the_rows_do_not_give_are_refused(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(DataError) as error:
        read_results(folder)
    assert str(error.value).startswith(f"{folder}/quiz.jsonl: {message}")


@CONTRADICTIONS
def test_a_results_file_that_is_none_is_refused_in_one_line(folder: Path) -> None:
    _no_format(folder)
    with pytest.raises(DataError, match=r"results.json is not a results file of this version \(KeyError\('format'\)\)"):
        read_results(folder)
    for content, reason in (
        (b"[]", "is not a results file of this version"),
        (b"\xff\xfe{", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"format": 1, "tasks": 3}', "is not a results file of this version"),
    ):
        (folder / "results.json").write_bytes(content)
        with pytest.raises(DataError, match=rf"results\.json:? {reason}"):
            read_results(folder)


@CONTRADICTIONS
def test_a_folder_that_was_left_half_written_can_be_written_again(folder: Path) -> None:
    _fewer(folder)
    assert read_owner(folder).digest == read_owner(write_folder(folder, yes_no(MARKS))).digest
    assert len(read_results(folder).task("quiz").rows) == 20


# Questions for answers ------------------------------------------------------------------------------------------------


def _samples(*prompts: str) -> list[Sample]:
    return [Sample(id=text, prompt=text, images=(), target=None, cluster="") for text in prompts]


PROMPT = "Is there a dog in the image?\nAnswer the question using a single word or phrase."


@CONTRADICTIONS
@pytest.mark.parametrize(
    "text",
    [
        PROMPT,
        "Is there a dog in the image?",
        "<image>\nIs there a dog  in the IMAGE? Answer the question using a single word or phrase.",
        f"USER: <image>\n{PROMPT} ASSISTANT:",
        f"### Human: {PROMPT}\n### Assistant:",
        f"[INST] {PROMPT} [/INST]",
        "Is there a dog in the image?\nAnswer the question using",
    ],
)
def test_a_file_of_questions_is_no_file_of_answers(text: str) -> None:
    with pytest.raises(DataError) as error:
        echoes_in(Path("a.jsonl"), _samples(PROMPT, PROMPT, PROMPT), [text, text, "Yes"])
    assert str(error.value) == (
        "a.jsonl holds questions and no answers: 2 of 3 texts only repeat what is asked; name the answers"
    )


@CONTRADICTIONS
@pytest.mark.parametrize("text", ["Yes", "", "dog", f"{PROMPT} Yes", "Is there a dog in the image? Yes, there is."])
def test_answers_are_no_questions(text: str) -> None:
    assert echoes_in(Path("a.jsonl"), _samples(PROMPT), [text]) == {}


@CONTRADICTIONS
def test_some_echoes_among_answers_are_counted(tmp_path: Path) -> None:
    assert echoes_in(Path("a.jsonl"), _samples(PROMPT, PROMPT), [PROMPT, "Yes"]) == {"echoes": 1}
    assert "2 answers only repeat the question" in notes_of([yes_no(MARKS, info={"echoes": 2})])
    assert not any("repeat" in note for note in notes_of([yes_no(MARKS, info={"echoes": 1})]))


@CONTRADICTIONS
def test_pictures_are_not_scored_by_what_asks_for_them(tmp_path: Path) -> None:
    write_json(tmp_path / "truth.json", {"categories": ["cat"], "images": {"1": [0], "2": [0]}})
    write_json(tmp_path / "synonyms.json", {"cat": ["cat"]})
    write_json(tmp_path / "double_words.json", {})
    rows = [{"image_id": n, "text": "Please describe this image in detail."} for n in (1, 2)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    done = CliRunner().invoke(
        app, ["score", "chair", "--answers", str(tmp_path / "a.jsonl"), "--truth", str(tmp_path / "truth.json")]
    )
    assert isinstance(done.exception, DataError)
    assert "holds questions and no answers: 2 of 2 texts only repeat what is asked" in str(done.exception)


@CONTRADICTIONS
@pytest.mark.parametrize("command", ["pope", "scienceqa", "mathvista"])
def test_the_published_questions_are_no_answers(conformance: Path, tmp_path: Path, command: str) -> None:
    questions = {"pope": "llava_pope_test.jsonl", "scienceqa": "llava_test_CQM-A.json", "mathvista": "testmini.json"}
    samples = conformance / command / questions[command]
    if command == "pope":
        rows: list[dict[str, Any]] = [
            {"question_id": row["question_id"], "text": row["text"]} for row in read_jsonl(samples)
        ]
    elif command == "scienceqa":
        rows = [
            {"question_id": row["id"], "text": row["conversations"][0]["value"]}
            for row in json.loads(samples.read_text())
        ]
    else:
        rows = [{"pid": pid, "response": row["question"]} for pid, row in json.loads(samples.read_text()).items()]
    write_jsonl(tmp_path / "a.jsonl", rows)
    truth = ["--truth", str(conformance / "pope/labels_2910")] if command == "pope" else []
    words = ["score", command, "--answers", str(tmp_path / "a.jsonl"), "--questions", str(samples), *truth]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, DataError)
    assert "holds questions and no answers" in str(done.exception)


@CONTRADICTIONS
def test_swapped_labels_and_answers_all_alike_are_told(conformance: Path, tmp_path: Path) -> None:
    def notes(swap: Callable[[str], str]) -> list[str]:
        rows = read_jsonl(conformance / "pope/answers/llava-v1.5-13b.jsonl")
        write_jsonl(tmp_path / "a.jsonl", [{"question_id": r["question_id"], "text": swap(r["text"])} for r in rows])
        words = ["--questions", conformance / "pope/llava_pope_test.jsonl", "--truth", conformance / "pope/labels_2910"]
        inputs = ["score", "pope", "--answers", tmp_path / "a.jsonl", *words, "--json"]
        done = CliRunner().invoke(app, [str(word) for word in inputs])
        texts: list[str] = json.loads(done.stdout)["notes"]
        return texts

    assert any(
        "only 13.0 % of 8,910 answers read are right, fewer than a coin would have" in note
        for note in notes(lambda text: "No" if text.startswith("Yes") else "Yes")
    )
    assert "all 8,910 answers are the same text, 'Yes', whatever was shown" in notes(lambda _: "Yes")
