"""Answers may be drawn from a model that is served somewhere, which the level says and no checkpoint does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import OutageError
from loops.collect.sampling import SampledAnswers
from loops.verify.clip import Clip
from loops.verify.consistency import Consistency
from loops.verify.none import NoVerifier
from loops.verify.oracle import Oracle
from tasks.pictos.benchmarks import caption_samples
from tests.support.served import prompt_of, served


def _recipe(url: str, **fields: Any) -> SampledAnswers:
    fields = {"temperature": 0.7, "answers": 2, "served": "my/llava", "max_unfinished": 1, **fields}
    return SampledAnswers(endpoint=url, **fields)


def test_a_served_model_is_asked_as_the_recipe_says() -> None:
    steps: list[int] = []
    with served(lambda request: f"A cat. {request['seed'] % 2}") as server:
        collecting = _recipe(server.url, top_p=0.9, max_tokens=9).open(SimpleNamespace(draw=4))  # type: ignore[arg-type]
        groups = collecting.collect(caption_samples("pool", 3), steps.append)
    assert [len(group.answers) for group in groups] == [2] * 3
    assert {text for group in groups for text in group.answers} <= {"A cat. 0", "A cat. 1"}
    assert sum(steps) == 3
    assert {(each["model"], each["temperature"], each["top_p"], each["max_tokens"]) for each in server.requests} == {
        ("my/llava", 0.7, 0.9, 9)
    }
    assert {prompt_of(request) for request in server.requests} == {caption_samples("pool", 1)[0].prompt}
    assert len({request["seed"] for request in server.requests}) == 6
    assert collecting.costs() == {
        "endpoint_answers": 6, "endpoint_prompt_tokens": 600, "endpoint_generated_tokens": 60
    }  # fmt: skip


def test_what_a_server_cut_is_unfinished() -> None:
    with served(lambda request: "A cat. Two do") as server:
        server.ends = "length"
        collecting = _recipe(server.url).open(SimpleNamespace(draw=4))  # type: ignore[arg-type]
        (group,) = collecting.collect(caption_samples("pool", 1), lambda count: None)
    assert group.answers == ("A cat.", "A cat.")
    assert collecting.facts([group]) == {"unfinished": 2}


def test_its_groups_depend_on_the_server_and_on_no_checkpoint() -> None:
    inputs = _recipe("http://localhost:8000/v1/", parallel=2).inputs(SimpleNamespace())  # type: ignore[arg-type]
    assert inputs == {
        "collect": {
            "kind": "sampling", "version": 1, "temperature": 0.7, "answers": 2, "max_unfinished": 1.0,
            "model": ["localhost:8000/v1", "my/llava"],
        }
    }  # fmt: skip


def test_answers_of_another_model_are_on_level_3_at_most() -> None:
    verifiers = (Consistency(), Clip(), Oracle(), NoVerifier())
    assert [SampledAnswers(temperature=1).level(each) for each in verifiers] == ["L4", "L3", "L0", "control"]
    assert [_recipe("http://localhost/v1").level(each) for each in verifiers] == ["L3", "L3", "L0", "control"]


def test_a_server_without_the_name_of_its_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"collect\.endpoint and collect\.served belong together"):
        _recipe("http://localhost/v1", served=None)


def test_a_server_is_tried_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.models.patience.Patience.wait", lambda *_: 0.0)
    with served(lambda request: "yes") as server:
        (trial,) = _recipe(server.url).trials(SimpleNamespace()).values()  # type: ignore[arg-type]
        assert trial.run() == f"my/llava at {server.url} replies"
    with pytest.raises(OutageError, match="does not answer"):
        trial.run()
