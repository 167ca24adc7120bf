"""Text of any kind is asked, answered, kept and shown: what is no text is mended and counted."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.files import json_text, parsed, read_json, read_jsonl, write_json, write_jsonl
from harness.results import read_results
from strop.terminal import harmless_streams
from tests.support.served import prompt_of, served
from tests.support.shell import Strop

pytestmark = pytest.mark.slow

SAID: Mapping[str, tuple[str, str]] = {
    "half an emoji": ("Yes \ud83d", "Yes \ufffd"),
    "the other half": ("Yes \ude00!", "Yes \ufffd!"),
    "bytes of a file's name": ("no \udcff\udc80", "no \ufffd\ufffd"),
    "both halves": ("yes \ud83d\ude00", "yes \U0001f600"),
    "NUL": ("yes\0no", "yes\0no"),
    "an escape": ("yes \x1b[2J\x9b31m", "yes \x1b[2J\x9b31m"),
    "turned around": ("yes \u202eon", "yes \u202eon"),
    "other line ends": ("yes\u2028no\u0085\x0b\x0c\r", "yes\u2028no"),
    "a byte order mark": ("\ufeffyes", "\ufeffyes"),
    "a long line": ("yes " + "A" * 300_000, "yes " + "A" * 300_000),
    "nobody's letters": ("\uffff\U0010ffff\ue000", "\uffff\U0010ffff\ue000"),
}


@pytest.fixture(autouse=True)
def own_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_PLUGIN_PATH", "")  # commands set it for their process
    (tmp_path / "my").mkdir()
    text = f'''
from dataclasses import replace
from tests.support.quiz import Quiz

class Odd(Quiz):
    """Asks \\x1b[2J\\u202e odd things."""
    def samples(self, split):
        return [replace(one, prompt=f"{{n}}?", id=f"{{n}}.jpg") for n, one in enumerate(Quiz.samples(self, split))]

class Half(Quiz):
    """Asks about files whose names are no text."""
    def samples(self, split):
        return [replace(one, prompt=f"{{n}} \\ud83d?", id=f"\\udcff{{n}}", cluster="\\udcff") for n, one in
                enumerate(Quiz.samples(self, split))]

TASKS = {{"odd": lambda: Odd(name="odd", count={len(SAID)}), "half": lambda: Half(name="half")}}
'''
    (tmp_path / "my/odd.py").write_text(text)


@pytest.mark.reported("encoding")
@pytest.mark.parametrize("kind", SAID)
def test_an_answer_of_any_characters_is_kept_and_comes_back(tmp_path: Path, strop: Strop, kind: str) -> None:
    with served(lambda _: SAID[kind][0]) as server:
        words = (
            "eval",
            "--model",
            "m",
            "--endpoint",
            server.url,
            "--tasks",
            "odd",
            "--plugin-path",
            "my",
            "--limit",
            1,
        )
        assert strop(*words, "--out", "out").code == 0
        assert strop(*words, "--out", "out").code == 0
        assert len(server.requests) == 1
    (row,) = read_results(tmp_path / "out").task("odd").rows
    assert row.answer == SAID[kind][1].strip()


@pytest.mark.reported("encoding")
def test_one_odd_answer_of_many_costs_none_and_is_counted_and_told(tmp_path: Path, strop: Strop) -> None:
    texts = [text for text, _ in SAID.values()]
    with served(lambda request: texts[int(prompt_of(request)[:-1])]) as server:
        words = ("eval", "--model", "m", "--endpoint", server.url, "--tasks", "odd", "--plugin-path", "my")
        ran = strop(*words, "--out", "out")
    assert ran.code == 0, ran.err
    assert "3 of 11 answers with U+FFFD, in the place of half a letter or no text" in ran.out
    assert read_json(tmp_path / "out/results.json")["tasks"][0]["with_replacement_sign"] == 3
    assert strop("board", "out", "--out", "board").code == 0
    assert strop("board", "out", "--site", "site").code == 0
    assert strop("export", "out", "--to", "markdown,latex,csv,parquet,lm-eval,model-card").code == 0
    assert "\x1b" not in ran.out and "\u202e" not in ran.out


@pytest.mark.reported("encoding")
def test_a_task_whose_questions_are_no_text_is_asked_and_marked(tmp_path: Path, strop: Strop) -> None:
    with served(lambda _: "yes") as server:
        words = ("eval", "--model", "m", "--endpoint", server.url, "--tasks", "half", "--plugin-path", "my")
        assert strop(*words, "--out", "out").code == 0
        assert {prompt_of(request)[1:] for request in server.requests} == {" \ufffd?"}
    assert [row.id for row in read_results(tmp_path / "out").task("half").rows] == [f"\ufffd{n}" for n in range(4)]
    assert strop("check", "half", "--plugin-path", "my").code in (0, 1)


@pytest.mark.reported("encoding")
def test_a_name_that_is_no_text_is_told(tmp_path: Path, strop: Strop) -> None:
    with served(lambda _: "yes") as server:
        words = ("eval", "--endpoint", server.url, "--tasks", "odd", "--plugin-path", "my", "--out", "o\udcff")
        ran = strop(*words, "--model", "m\udcff[/b]")
    assert ran.code == 0, ran.err
    assert read_results(tmp_path / "o\udcff").model == "m\ufffd[/b]"
    assert "written to o\\udcff" in ran.out


@pytest.mark.reported("encoding")
def test_what_is_printed_does_a_terminal_no_harm_and_json_is_the_same(strop: Strop) -> None:
    shown = strop("tasks", "--plugin-path", "my").out
    assert r"Asks \u001b[2J\u202e odd things." in shown
    listed = strop("tasks", "--plugin-path", "my", "--json").out
    assert "\u202e" not in listed
    assert json.loads(listed)["odd"]["about"] == "Asks \x1b[2J\u202e odd things."


@pytest.mark.reported("encoding")
@pytest.mark.parametrize(
    ("text", "piped", "shown"),
    [
        ("a\x1b[2J", r"a\u001b[2J", r"a\u001b[2J"),
        ("\x1b[31mred\x1b[0m", r"\u001b[31mred\u001b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\u001b]0;title\u0007", r"\u001b]0;title\u0007"),
        ("a\rb\x9bc\x7f", r"a\u000db\u009bc\u007f", r"a\u000db\u009bc\u007f"),
        ("\u2066x\u2069\u061c\u2028", r"\u2066x\u2069\u061c\u2028", r"\u2066x\u2069\u061c\u2028"),
        ("größe 猫 \U0001f469\u200d\U0001f680\n\ttwo", None, None),
        ("\ud83d", r"\ud83d", r"\ud83d"),
    ],
)
def test_stdout_shows_what_is_harmful_as_its_escape(
    monkeypatch: pytest.MonkeyPatch, text: str, piped: str | None, shown: str | None
) -> None:
    for is_terminal, expected in ((False, piped), (True, shown)):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda answer=is_terminal: answer)
        monkeypatch.setattr("sys.stdout", stream)
        with harmless_streams():
            import sys

            sys.stdout.write(text)
        assert stream.getvalue() == (text if expected is None else expected)


@pytest.mark.reported("encoding")
@pytest.mark.parametrize("text", [text for text, _ in SAID.values()], ids=list(SAID))
def test_every_text_goes_through_json_and_comes_back(tmp_path: Path, text: str) -> None:
    write_json(tmp_path / "a.json", {text: [text]})
    once = read_json(tmp_path / "a.json")
    write_jsonl(tmp_path / "a.jsonl", [once, {"next": 1}])
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [once, {"next": 1}]
    assert parsed(json.dumps({text: [text]})) == once


@pytest.mark.reported("encoding")
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), __import__("numpy").float32("nan")])
def test_numbers_that_json_has_no_word_for_are_null(number: Any) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    content = {"a": [number, 1.5], "b": {"c": number}, "d": Path("x")}
    assert json.loads(json_text(content), parse_constant=refuse) == {"a": [None, 1.5], "b": {"c": None}, "d": "x"}
