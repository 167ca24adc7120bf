"""Messages lead on: what a server did instead of answering, what a file is, what silence may mean."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from harness.errors import DataError, OutageError
from harness.files import write_json
from harness.models.endpoint import Endpoint
from harness.models.patience import Patience
from harness.results import read_results
from harness.types import Sample, Sampling
from strop.app import app
from strop.notes import notes_of
from tasks.reading.caption_files import read_captions
from tests.support.served import Served, served
from tests.support.worlds import yes_no

pytestmark = pytest.mark.slow

MESSAGES = pytest.mark.reported("messages")


def _message(ends: str = "stop", **message: Any) -> tuple[int, dict[str, Any]]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": ends}
    return 200, {"id": "1", "object": "chat.completion", "created": 0, "model": "served", "choices": [choice]}


def _asked(text: Any) -> tuple[list[list[str]], Any]:
    """The answers of a server that says so, and what the results say of blank ones."""
    with served(lambda _: text) as server:
        endpoint = Endpoint("m", server.url, patience=Patience(first=0.001, tries=2))
        questions = Sample(id="a", prompt="a", images=(), target=None, cluster="")
        return endpoint.generate([questions], Sampling()), endpoint.about.get("blank")


CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "No."}]}


@MESSAGES
@pytest.mark.parametrize(
    ("answer", "text", "why"),
    [
        (_message(content=None, reasoning_content="No."), "", {"reasoning": 1}),
        (_message(content="", reasoning="No."), "", {"reasoning": 1}),
        (_message("length", content=None, reasoning_content="No."), "", {"reasoning": 1}),
        (_message(content=[THINKING]), "", {"reasoning": 1}),
        (_message(content=None, refusal="I cannot."), "", {"refusal": 1}),
        (_message("content_filter", content=None), "", {"refusal": 1}),
        (_message("tool_calls", content=None, tool_calls=[CALL]), "", {"tool_calls": 1}),
        (_message("length", content=""), "", None),
        (_message(content=None), "", None),
        (_message(content="Yes", reasoning_content="No."), "Yes", None),
        (_message(content=[{"type": "text", "text": "Yes"}]), "Yes", None),
        (_message(content=[THINKING, {"type": "text", "text": " Yes"}]), "Yes", None),
    ],
)
def test_an_answer_is_its_text_and_a_blank_one_says_why(answer: Any, text: str, why: dict[str, int] | None) -> None:
    assert _asked(answer) == ([[text]], why)


@MESSAGES
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"message": "CUDA out of memory", "code": 500}}, "CUDA out of memory"),
        ({"error": "the model is being loaded"}, "the model is being loaded"),
        ({"object": "error", "message": "too long", "code": 400}, "too long"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"choices": [{"index": 0, "message": None, "error": {"message": "upstream"}}]}, "upstream"),
        ({"choices": None}, "what came back is no chat completion"),
        ({"message": {"content": "Yes"}, "done": True}, "what came back is no chat completion"),
        ({"choices": [{"index": 0, "message": {"content": 5}}]}, "what came back is no chat completion"),
    ],
)
def test_an_error_that_comes_as_an_answer_is_told_as_one(body: Any, reason: str) -> None:
    with pytest.raises(OutageError) as error:
        _asked((200, body))
    assert f" does not answer ({reason}); start it, or name another" in str(error.value)
    assert "\n" not in str(error.value)


def _eval(server: Served, out: Path) -> list[str]:
    words = ["eval", "--model", "m", "--endpoint", server.url, "--tasks", "pictos_pope", "--limit", "6"]
    done = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert done.exception is None
    return done.stdout.splitlines()


@MESSAGES
def test_a_server_that_keeps_answers_as_thoughts_is_told_with_its_remedies(tmp_path: Path) -> None:
    with served(lambda _: _message("length", content=None, reasoning_content="There is")) as server:
        text = _eval(server, tmp_path / "out")
    assert (
        "6 of 6 answers had now are blank: they held a thought that the server took out of the answer "
        "(reasoning_content), and nothing else: allow longer answers by --max-tokens, or start the server without its "
        "reasoning parser, or with another"
    ) in text
    assert any(line.startswith("all 6 answers are blank, which says nothing of the model. Likely: ") for line in text)
    assert (
        "6 of 6 answers had now ended at 4 tokens, the longest allowed: --max-tokens pictos_pope=8 allows longer ones"
    ) in text
    about = read_results(tmp_path / "out").provenance["model"]
    assert (about["blank"], about["ended_at_max_tokens"]) == ({"reasoning": 6}, 6)


@MESSAGES
def test_thoughts_that_a_server_leaves_in_the_answer_are_counted(tmp_path: Path) -> None:
    with served(lambda _: "<think>No, there is none.</think>Yes") as server:
        text = _eval(server, tmp_path / "out")
    assert "6 of 6 answers hold a thought, which is no answer" in text
    assert {row.parsed for row in read_results(tmp_path / "out").tasks[0].rows} == {"yes"}


@MESSAGES
@pytest.mark.parametrize("answer", ["", " ", "\n"])
def test_answers_that_are_all_blank_are_told_with_likely_causes(answer: str) -> None:
    task = yes_no([0, 0])
    blank = replace(task, rows=tuple(replace(row, answer=answer, parsed=None) for row in task.rows))
    assert (
        "all 2 answers are blank, which says nothing of the model. Likely: weights that are no numbers (NaN), a stop "
        "token that comes first, a chat template that does not ask for an answer, or a server that puts answers "
        "elsewhere (its reasoning parser)"
    ) in notes_of([blank])


@MESSAGES
@pytest.mark.parametrize("answer", ["图中有狗。", "I'm sorry, I can't help with that.", "!!!!!!"])
def test_answers_that_are_all_unread_are_shown(answer: str) -> None:
    task = yes_no([0, 0])
    unread = replace(task, rows=tuple(replace(row, answer=answer, parsed=None) for row in task.rows))
    assert (
        "all 2 answers are unread, which says nothing of the model. Likely: another form or language than asked for, "
        f"such as {answer!r}, or answers to other questions"
    ) in notes_of([unread])


# Files ----------------------------------------------------------------------------------------------------------------

ROWS = [{"image_id": 1, "caption": "A cat, a dog."}, {"image_id": 2, "caption": "A bus."}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def _sheet() -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(ROWS).to_excel(stream, index=False)
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("answers.jsonl", LINES)
    return stream.getvalue()


@MESSAGES
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + LINES.encode(),
        LINES.encode("utf-16"),
        LINES.encode("utf-16-le"),
        gzip.compress(LINES.encode()),
        LINES.replace("\n", "\r\n").encode(),
        ("\n\n" + LINES.replace("\n", "\n\n")).encode(),
        json.dumps(ROWS).encode(),
        json.dumps(ROWS, indent=2).encode(),
        _sheet(),
        b"image_id;caption\r\n1;A cat, a dog.\r\n2;A bus.\r\n",
        LINES.replace("1,", "1.0,").encode(),
    ],
    ids=[
        "bom",
        "utf16",
        "utf16le",
        "gzip",
        "crlf",
        "blanks",
        "list",
        "indented",
        "excel-as-csv",
        "semicolons",
        "floats",
    ],
)
def test_captions_are_read_whatever_holds_them_and_whatever_the_file_is_called(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "answers.csv").write_bytes(content)
    captions = read_captions(tmp_path / "answers.csv")
    assert [(entry.image, entry.caption) for entry in captions] == [("1", "A cat, a dog."), ("2", "A bus.")]


@MESSAGES
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_zip(), " is a zip archive; unpack it and name the file in it"),
        (
            b"[" + LINES.strip().replace("\n", ",\n").encode() + b",]",
            ":2: not valid JSON (a comma stands before the ]); one JSON value a line is expected",
        ),
        (b'{"image_id": 1, "caption": "A.",}\n', ":1: not valid JSON (a comma stands before the })"),
        (LINES.replace("\n", ",\n").encode(), ":1: not valid JSON (a comma stands behind a value: rows of JSON lines"),
        (b"// mine\n" + LINES.encode(), ":1: not valid JSON (JSON has no comments)"),
        (b"# mine\n" + LINES.encode(), ":1: not valid JSON (JSON has no comments)"),
        (b'[{"image_id": 1, /* the first */ "caption": "A."}]', ":1: not valid JSON (JSON has no comments)"),
        (
            repr(ROWS).encode(),
            ":1: not valid JSON (texts in single quotes, as Python prints them: JSON has double ones)",
        ),
        (b'{"image_id": 1, "caption": NaN}\n' + LINES.encode(), ":1: field 'caption' must be a string, found NaN"),
        (b'{"image_id": NaN, "caption": "A."}\n', ":1: field 'image_id' must be an integer or a string, found NaN"),
        (
            b'{"image_id": 1, "caption": "a", "caption": "b"}\n' + LINES.encode(),
            ": the key 'caption' is given twice in one object; keep one",
        ),
        ('{"image_id": 1, "caption": "Café"}\n'.encode("latin-1"), ": not UTF-8 text (invalid continuation byte at "),
        (
            json.dumps({"results": ROWS}).encode(),
            ' is one JSON object (results); wanted are rows like {"image_id": 1, "caption": "A cat."}; write what lies '
            "under 'results' into a file of its own",
        ),
        (
            json.dumps({"1": "A cat.", "2": "A bus."}).encode(),
            ' is one JSON object (1, 2); wanted are rows like {"image_id": 1, "caption": "A cat."}',
        ),
        (b'[{"image_id": 1, "CIDEr": 0.1, "Bleu_1": 0.2}]', " holds scores of captions; name the captions, such as "),
        (b'{"CIDEr": 1.0, "METEOR": 0.3}', " holds scores of captions; name the captions, such as COCO's captions_*"),
    ],
)
def test_a_file_that_is_none_is_told_with_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_captions(tmp_path / "a.jsonl")
    assert str(error.value).startswith(f"{tmp_path}/a.jsonl{message}")
    assert "\n" not in str(error.value)


@MESSAGES
@pytest.mark.parametrize("command", ["chair", "ic"])
def test_cocos_own_caption_results_are_scored(tmp_path: Path, command: str) -> None:
    write_json(tmp_path / "synonyms.json", {"cat": ["cat"]})
    write_json(tmp_path / "double_words.json", {})
    seen = {str(n): {"file_name": f"{n}.jpg", "objects": ["cat"], "counts": {"cat": 1}} for n in (1, 2)}
    truths: dict[str, Any] = {
        "ic": {"benchmark": "ic", "version": 1, "categories": ["cat"], "images": seen},
        "chair": {"categories": ["cat"], "images": {"1": [0], "2": [0]}},
    }
    write_json(tmp_path / "truth.json", truths[command])
    rows = [{"image_id": 1, "caption": "a cat ."}, {"image_id": 2, "caption": "a street ."}]
    results = tmp_path / "results"
    write_json(results / "captions_val2014_mymodel_results.json", rows)
    write_json(results / "captions_val2014_mymodel_evalImgs.json", [{"image_id": 1, "CIDEr": 0.1}])

    def score(answers: Path) -> Any:
        words = ["--answers", answers, "--truth", tmp_path / "truth.json"]
        return CliRunner().invoke(app, ["score", command, *map(str, words), "--profile", "lemminflect", "--json"])

    done = score(results / "captions_val2014_mymodel_results.json")
    assert json.loads(done.stdout)["metrics"]["recall"]["value"] == 0.5
    assert str(score(results).exception) == (
        f"{results} is a folder; name the file of captions in it, such as "
        f"{results}/captions_val2014_mymodel_results.json"
    )
