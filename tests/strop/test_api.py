"""The Python API: names that load when they are used, and docstrings whose examples run."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import strop
from harness.errors import StropError
from harness.profiles import profiles_of
from strop.commands.score import score_app
from tests.support.pope import write_answers, write_data

ROOT = Path(__file__).resolve().parents[2]

EXAMPLES = (
    "strop", "strop.comparison", "strop.evaluation", "strop.models", "strop.running", "strop.task_answers",
    "harness.tables",
    "harness.types", "harness.wording",
)  # fmt: skip
"""Modules whose docstrings hold examples of the API."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    ended = doctest.testmod(importlib.import_module(name))
    assert ended.attempted > 0
    assert ended.failed == 0


def test_every_name_of_the_api_is_there_and_documented() -> None:
    assert dir(strop) == strop.__all__ == sorted(strop.__all__)
    for name in strop.__all__:
        assert getattr(strop, name).__doc__, name


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'strop' has no attribute 'evalute'"):
        strop.evalute  # noqa: B018


def test_commands_do_not_hide_the_functions() -> None:
    importlib.import_module("strop.app")
    assert all(callable(getattr(strop, name)) for name in ("compare", "evaluate", "run", "score"))


@pytest.fixture(scope="module")
def task() -> strop.Task:
    (pope,) = strop.find_tasks("pictos_pope")
    return pope


def test_answers_are_scored_as_those_that_a_model_is_asked_for(task: strop.Task, tmp_path: Path) -> None:
    results = strop.evaluate("pictos-seed", task, limit=36)
    answers = dict(zip(results.answers()["id"], results.answers()["answer"], strict=True))
    assert strop.score(task, answers, partial=True).figures() == results.figures()
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(json.dumps({"question_id": id, "text": text}) for id, text in answers.items()))
    assert strop.score("pictos_pope", file, partial=True).figures() == results.figures()


def test_a_file_of_answers_to_a_benchmark_is_scored_as_by_the_command(tmp_path: Path) -> None:
    data, answers = write_data(tmp_path / "data"), write_answers(tmp_path / "model.jsonl")
    printed = CliRunner().invoke(score_app, ["pope", "--answers", str(answers), "--data", str(data), "--json"])
    evaluation = strop.score("pope", answers, data=data)
    assert evaluation.figures()["pope"] == json.loads(printed.stdout)["metrics"]
    assert evaluation.results.model == "model"


def test_a_score_of_all_profiles_has_rows_of_each() -> None:
    (chair,) = strop.find_tasks("pictos_chair")
    answers = {sample.id: "A cat." for sample in chair.samples("test")[:3]}
    frame = strop.score(chair, answers, partial=True, profile="all").frame()
    assert set(frame["profile"]) == set(profiles_of(chair))


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"nobody": "yes"}, "pictos_pope has no sample 'nobody' in the split test"),
        ({}, "pictos_pope: 9000 samples have no answer"),
        (["yes"], "pictos_pope has 9000 samples and 1 answer came; give one for each"),
    ],
)
def test_answers_that_do_not_fit_the_samples_are_named(task: strop.Task, answers: Any, message: str) -> None:
    with pytest.raises(StropError) as raised:
        strop.score(task, answers)
    assert str(raised.value).startswith(message)


def test_import_strop_loads_nothing_heavy() -> None:
    heavy = "torch transformers lm_eval numpy pandas openai typer rich pydantic harness tasks loops leaderboards"
    code = f"import sys, strop; print([name for name in {heavy.split()} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "[]"


def test_evaluating_in_python_needs_no_command_line() -> None:
    code = (
        "import sys, strop; strop.evaluate, strop.compare, strop.run, strop.load_model; "
        "strop.find_tasks('pictos_pope'); print('typer' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip() == "False"
