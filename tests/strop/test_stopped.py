"""A command that is stopped in any way has kept what was answered, says how much, and goes on from there."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from strop.app import main
from tests.support.served import Served, prompt_of, served
from tests.support.tiny import save_tiny

pytestmark = pytest.mark.slow

QUESTIONS, STOP_AT, PARALLEL = 120, 40, 4

FORKS = multiprocessing.get_context("forkserver")
"""Processes of their own, whose libraries are loaded once."""
PRELOADED = [
    "harness.engine",
    "harness.models.endpoint",
    "tasks.registry",
    "tests.support.quiz",
    "tests.support.sites",
]
FORKS.set_forkserver_preload(PRELOADED)


@dataclass
class Started:
    """A command at work; `told` is what it has said on stderr."""

    process: BaseProcess
    errors: Path

    def send(self, number: int) -> None:
        """A signal; one that has already ended does not hear it."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def ended(self, seconds: float = 30) -> int | None:
        self.process.join(seconds)
        assert self.process.exitcode is not None, "it should have ended"
        return self.process.exitcode

    @property
    def output(self) -> str:
        return self.errors.read_text()


def _main(words: Sequence[str], errors: Path, deaf_to: Sequence[int]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):  # whoever runs the tests in the background has made them deaf
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for number in deaf_to:
        signal.signal(number, signal.SIG_IGN)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["strop", *words]
    main()


def _start(words: Sequence[object], errors: Path, deaf_to: Sequence[int] = ()) -> Started:
    process = FORKS.Process(target=_main, args=([str(word) for word in words], errors, deaf_to))
    process.start()
    return Started(process, errors)


def _eval(url: str, out: Path, deaf_to: Sequence[int] = ()) -> Started:
    words = [
        "eval",
        "--model",
        "m",
        "--endpoint",
        url,
        "--tasks",
        "quiz",
        *_tasks(out, "support.quiz", QUESTIONS),
    ]
    return _start([*words, "--out", out, "--parallel", PARALLEL], out / "errors.txt", deaf_to)


def _tasks(folder: Path, module: str, count: int) -> list[object]:
    """The option of a folder with a quiz of so many questions, no two of them alike."""
    return _plugin(
        folder,
        f"""
        from dataclasses import replace
        from tests.{module} import Quiz

        class Long(Quiz):
            def samples(self, split):
                return [replace(one, prompt=one.id) for one in Quiz.samples(self, split)]

        TASKS = {{"quiz": lambda: Long(count={count})}}
        """,
    )


def _plugin(folder: Path, text: str) -> list[object]:
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks/quiz.py").write_text(textwrap.dedent(text))
    return ["--plugin-path", folder / "tasks"]


@contextmanager
def _answering() -> Iterator[tuple[Served, Callable[[], int]]]:
    """A server that answers slowly enough to be stopped in between, and how many answers it has sent."""
    sent: list[str] = []

    def says(request: dict[str, Any]) -> str:
        time.sleep(0.01)
        sent.append(prompt_of(request))
        return "Yes"

    with served(says) as server:
        yield server, lambda: len(sent)


def _wait(command: Started, ready: Callable[[], bool]) -> None:
    while not ready():
        assert command.process.is_alive(), command.output
        time.sleep(0.002)


def _lines(out: Path) -> int:
    path = out / "answers.jsonl"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


STOPS = {
    "Ctrl-C": [signal.SIGINT],
    "Ctrl-C twice": [signal.SIGINT, signal.SIGINT],
    "a scheduler's end": [signal.SIGTERM],
    "a terminal that is closed": [signal.SIGHUP],
    "Ctrl-C, then a closed terminal": [signal.SIGINT, signal.SIGHUP, signal.SIGTERM],
    "a kill": [signal.SIGKILL],
}


@pytest.mark.reported("lost")
@pytest.mark.parametrize("stop", STOPS)
def test_whatever_stops_it_answers_are_kept_told_and_not_asked_again(tmp_path: Path, stop: str) -> None:
    with _answering() as (server, sent):
        command = _eval(server.url, tmp_path)
        _wait(command, lambda: sent() >= STOP_AT)
        for number in STOPS[stop]:
            command.send(number)
            time.sleep(0.01)
        code = command.ended()
        time.sleep(0.2)  # what the server still says to nobody
        first, kept = sent(), _lines(tmp_path)
        assert STOP_AT - PARALLEL <= kept <= first < QUESTIONS
        assert first - kept <= 2 * PARALLEL, "answered before the stop, and after it"
        if stop == "a kill":
            assert code == -signal.SIGKILL
        else:
            path = tmp_path / "answers.jsonl"
            assert (
                command.output == f"stopped; {kept} answers are kept in {path}, the same command goes on from there\n"
            )
            assert code == 130
        assert _eval(server.url, tmp_path).ended() == 0
        assert sent() - first == _lines(tmp_path) - kept, "each question is asked that has no answer, and once"
    assert (tmp_path / "results.json").exists()


@pytest.mark.reported("lost")
def test_a_stop_does_not_wait_for_the_slowest_answer(tmp_path: Path) -> None:
    def says(request: dict[str, Any]) -> str:
        if len(server.requests) > STOP_AT:
            time.sleep(5)
        return "Yes"

    with served(says) as server:
        command = _eval(server.url, tmp_path)
        _wait(command, lambda: len(server.requests) >= STOP_AT + PARALLEL)
        began = time.monotonic()
        command.send(signal.SIGINT)
        assert command.ended() == 130
        assert time.monotonic() - began < 4
        assert _lines(tmp_path) == STOP_AT


@pytest.mark.reported("lost")
def test_who_was_made_deaf_to_a_closed_terminal_stays_so(tmp_path: Path) -> None:
    with _answering() as (server, sent):
        command = _eval(server.url, tmp_path, deaf_to=[signal.SIGHUP])
        _wait(command, lambda: sent() >= 5)
        command.send(signal.SIGHUP)
        assert command.ended() == 0


@pytest.mark.reported("lost")
def test_an_outage_of_one_question_loses_none_of_the_answers_on_their_way(tmp_path: Path) -> None:
    def says(request: dict[str, Any]) -> Any:
        if len(server.requests) == STOP_AT:
            return 401, {"error": {"message": "the key is over"}}
        time.sleep(0.2 if len(server.requests) > STOP_AT - PARALLEL else 0)
        return "Yes"

    with served(says) as server:
        command = _eval(server.url, tmp_path)
        assert command.ended() == 2
        assert _lines(tmp_path) == len(server.requests) - 1
    assert "(401: the key is over); put its key into" in command.output
    kept = f"; {_lines(tmp_path)} answers are kept in {tmp_path}/answers.jsonl, the same command goes on from there\n"
    assert command.output.endswith(kept)


@pytest.mark.reported("lost")
def test_a_model_that_is_loaded_keeps_each_answer_as_it_ends(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "tiny")
    words = ["eval", "--model", model, "--tasks", "quiz", *_tasks(tmp_path, "support.sites", 2000), "--device", "cpu"]
    command = _start([*words, "--out", tmp_path], tmp_path / "errors.txt")
    _wait(command, lambda: _lines(tmp_path) >= 1)
    command.send(signal.SIGTERM)
    assert command.ended() == 130
    (kept,) = re.findall(r"^stopped; (\d+) answers? (?:is|are) kept in ", command.output)
    assert 1 <= _lines(tmp_path) == int(kept) < 2000


@pytest.mark.reported("lost")
def test_a_stop_while_nothing_is_kept_says_no_more_than_that(tmp_path: Path) -> None:
    slow = _plugin(tmp_path, f"import pathlib, time; pathlib.Path('{tmp_path}/begun').touch(); time.sleep(60)")
    command = _start(["tasks", *slow], tmp_path / "errors.txt")
    _wait(command, (tmp_path / "begun").exists)
    command.send(signal.SIGINT)
    assert (command.ended(), command.output) == (130, "stopped\n")
