"""Whatever a server does instead of answering: no answer is lost, and nothing is asked again that was answered."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import OutageError
from harness.models.endpoint import Endpoint
from harness.models.patience import GaveUpError, Pace, Patience, Trouble
from harness.models.replies import retry_after
from harness.store import Store, ask
from harness.types import Sample, Sampling
from tests.support.faults import FAULTS, faulty
from tests.support.served import prompt_of

pytestmark = pytest.mark.slow

OUTAGE = float(os.environ.get("STROP_TEST_OUTAGE", "0.5"))
"""Seconds of the outages here."""

PATIENT = Patience(deadline=0.25, first=0.01, longest=0.2, tries=4, outage=OUTAGE + 10)
QUESTIONS = [Sample(id=f"q{n}", prompt=f"q{n}", images=(), target=None, cluster="") for n in range(64)]
RIGHT = [[f"answer to q{n}"] for n in range(64)]


def _says(request: dict[str, Any]) -> str:
    return f"answer to {prompt_of(request)}"


def _two_faults_a_question(prompt: str, before: int) -> str:
    """Two faults before each answer, so that 64 questions meet each fault 16 times."""
    return FAULTS[(2 * int(prompt[1:]) + before) % len(FAULTS)] if before < 2 else ""


@pytest.mark.reported("lost")
def test_every_fault_and_an_outage_lose_no_answer_and_ask_nothing_twice(tmp_path: Path) -> None:
    with faulty(_says, _two_faults_a_question) as server:
        server.outages = [(20, OUTAGE)]
        endpoint = Endpoint("m", server.url, parallel=6, patience=PATIENT)
        answers = ask(endpoint, QUESTIONS, Sampling(), Store(tmp_path / "answers.jsonl"))
    assert answers == RIGHT, "answers lost: 0"
    assert server.again == 0, "asked again after an answer: 0"
    assert server.acknowledged == Counter(sample.prompt for sample in QUESTIONS)
    assert {fault: server.injected[fault] for fault in FAULTS} == dict.fromkeys(FAULTS, 16)
    assert server.injected[f"outage of {OUTAGE:g} s"] == 1
    assert endpoint.costs["endpoint_answers"] == 64
    assert endpoint.costs["endpoint_generated_tokens"] == 640, "tokens of what was answered, and once"


@pytest.mark.reported("lost")
def test_an_outage_longer_than_patience_ends_in_one_line_and_the_next_call_asks_the_rest(tmp_path: Path) -> None:
    hasty = Patience(first=0.01, longest=0.05, tries=3, outage=0.1)
    with faulty(_says, lambda prompt, before: "") as server:
        server.outages = [(20, 0.6)]
        endpoint = Endpoint("m", server.url, parallel=6, patience=hasty)
        with pytest.raises(OutageError, match=r"does not answer \(.*[Cc]onnect.*\); start it, or name another"):
            ask(endpoint, QUESTIONS, Sampling(), Store(tmp_path / "answers.jsonl"))
        kept = len(Store(tmp_path / "answers.jsonl").answers)
        assert 20 <= kept < 64
        again = Endpoint("m", server.url, parallel=6, patience=replace(PATIENT, tries=40))
        assert ask(again, QUESTIONS, Sampling(), Store(tmp_path / "answers.jsonl")) == RIGHT
        assert (server.again, sum(server.requests.values())) == (0, 64)


def test_a_question_at_which_a_server_breaks_does_not_keep_the_others_from_being_asked() -> None:
    with faulty(_says, lambda prompt, before: "500" if prompt == "q3" else "") as server:
        hasty = Patience(first=0.01, longest=0.02, tries=4, outage=5)
        store = Store()
        with pytest.raises(OutageError, match=r"does not answer question q3 \(500: Internal Server Error\)"):
            ask(Endpoint("m", server.url, parallel=2, patience=hasty), QUESTIONS, Sampling(), store)
    assert len(store.answers) == 63
    assert server.requests["q3"] >= 4, "four failures while others are answered"


def test_a_busy_server_is_asked_fewer_at_once() -> None:
    """It takes two at once, and turns the others away."""

    def says(request: dict[str, Any]) -> str:
        time.sleep(0.02)  # or it might answer each before the next has come
        return _says(request)

    with faulty(says, lambda prompt, before: "429 with Retry-After" if server.on_the_way > 2 else "") as server:
        endpoint = Endpoint("m", server.url, parallel=32, patience=PATIENT)
        assert ask(endpoint, QUESTIONS, Sampling(), Store()) == RIGHT
    assert endpoint.pace.limit < 32
    assert server.again == 0


# The rules ------------------------------------------------------------------------------------------------------------


def _ask(pace: Pace, *replies: float | Trouble) -> None:
    """One question after another with these replies: an answer after so many seconds, or a trouble and then one."""

    for reply in replies:
        left = [reply]

        def call(left: list[float | Trouble] = left) -> None:
            if left and isinstance(left[0], Trouble):
                raise RuntimeError(left.pop())
            time.sleep(left[0] if left else 0)

        pace.ask(call, lambda error: error.args[0])


def test_fewer_are_on_their_way_after_trouble_or_slow_answers_and_slowly_more_again() -> None:
    pace = Pace(8, Patience(deadline=0.1, first=0.001, outage=1))
    _ask(pace, Trouble(busy=True, after=0.0))
    assert pace.limit == 4.25, "half of eight, and a quarter more for the answer after it"
    _ask(pace, 0.06)
    assert pace.limit == 2.125, "more than half of the deadline"
    _ask(pace, Trouble(busy=False))
    assert pace.limit == pytest.approx(2.125 + 1 / 2.125)
    _ask(pace, *[0.0] * 60)
    assert pace.limit == 8


def test_a_wait_longer_than_patience_is_not_waited_for() -> None:
    def call() -> None:
        raise ValueError("come back tomorrow")

    with pytest.raises(GaveUpError, match="come back tomorrow"):
        Pace(1, Patience()).ask(call, lambda error: Trouble(busy=True, after=3600.0))


@pytest.mark.parametrize(
    "header", ["retry-after-ms: 20", "Retry-After: 0.02", "Retry-After: Sat, 01 Jan 2000 00:00:00 GMT"]
)
def test_a_server_says_when_to_come_back_in_seconds_or_by_a_date(header: str) -> None:
    name, _, value = header.partition(": ")
    assert retry_after({name.lower(): value}) in (0.02, 0.0)
    assert retry_after({}) is None
