"""A model is asked each question once, as it is, and its answers get the marks of direct scoring, on every task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.engine import evaluate
from harness.models.load import load_vlm
from harness.results import TaskResult, mark
from harness.stats import estimate
from harness.store import Store
from harness.types import Advance, Interactive, Sample, Task
from tasks.pictos.benchmarks import ChartPicture, PictosCaptions, ScenePicture
from tasks.registry import TASKS, find_task
from tests.support.scripted import Scripted
from tests.support.tiny import save_tiny

LIMIT = 37
PICTOS = [name for name in TASKS if name.startswith("pictos_") and not isinstance(find_task(name), Interactive)]

WHOLE = {"macro/accuracy", "pooled/f1", "recall", "f1", "accuracy", "accuracy@0.5", "IoU"}
"""Metrics that are 1 where all is right and 0, or nothing, where nothing is said."""


@pytest.fixture(params=PICTOS)
def task(request: pytest.FixtureRequest) -> Task:
    return find_task(request.param)


def _gold(task: Task) -> Callable[[Sample], str]:
    """The gold answer by prompt and picture, since a model is shown no target."""
    entries = {(sample.prompt, sample.images): task.gold(sample) for sample in task.samples("test")[:LIMIT]}
    return lambda request: entries[request.prompt, request.images]


def _mixed(task: Task) -> Callable[[Sample], str]:
    """Right for one picture in four, an odd caption, yes or box for two more, silent for the fourth."""
    gold = _gold(task)

    def says(sample: Sample) -> str:
        (picture,) = sample.images
        assert isinstance(picture, ScenePicture | ChartPicture)
        odd = "Yes, a cat, a cup and a cup at [20, 20, 40, 40]."
        return (gold(sample), odd, odd, "")[picture.seed % 4]

    return says


def _evaluated(model: Scripted, task: Task, store: Store | None = None) -> TaskResult:
    (result,) = evaluate(model, [task], split="test", limit=LIMIT, store=store)
    return result


def test_rows_equal_direct_scoring(task: Task) -> None:
    evaluated = _evaluated(Scripted(_mixed(task)), task)
    samples, says = task.samples("test")[:LIMIT], _mixed(task)
    assert evaluated.rows == tuple(mark(sample, says(sample), task.score(sample, says(sample))) for sample in samples)
    assert (evaluated.task, evaluated.version, evaluated.split, evaluated.headline) == (
        task.name,
        task.version,
        "test",
        task.headline,
    )
    assert evaluated.metrics == task.metrics


@pytest.mark.parametrize(("kind", "expected"), [("gold", 1.0), ("silence", 0.0)])
def test_a_perfect_model_gets_all_and_a_silent_one_nothing(task: Task, kind: str, expected: float) -> None:
    evaluated = _evaluated(Scripted(_gold(task) if kind == "gold" else lambda _: ""), task)
    figures = estimate(evaluated.rows, evaluated.metrics, draws=1)
    unread = {name: figure.value for name, figure in figures.items() if name.endswith("unread") and figure.n}
    assert set(unread.values()) == {1.0 - expected}
    whole = {name: figure.value for name, figure in figures.items() if name in WHOLE}
    assert whole and set(whole.values()) <= {expected, None}


def test_the_model_is_shown_prompt_and_picture_and_no_gold(task: Task) -> None:
    model = Scripted(lambda _: "No")
    _evaluated(model, task)
    samples = task.samples("test")[:LIMIT]
    questions = {(sample.prompt, sample.images) for sample in samples}
    assert {(sample.prompt, sample.images) for sample in model.samples} == questions
    assert all(sample.target is None and not sample.meta for sample in model.samples)
    assert len(model.samples) == len(questions), "equal questions are asked once"


def test_tasks_are_evaluated_in_order_and_progress_is_told() -> None:
    messages: dict[str, list[int]] = {}

    def progress(name: str, total: int) -> Advance:
        messages[name] = [total]
        return messages[name].append

    tasks = [find_task(name) for name in ("pictos_chair", "pictos_captions")]
    results = evaluate(Scripted(lambda _: "A cat."), tasks, split="dev", limit=5, progress=progress)
    assert [entry.task for entry in results] == ["pictos_chair", "pictos_captions"]
    assert {name: (heard[0], sum(heard[1:])) for name, heard in messages.items()} == dict.fromkeys(messages, (5, 5))
    assert list(messages) == ["pictos_chair", "pictos_captions"]


def test_a_second_evaluation_asks_nothing(tmp_path: Path) -> None:
    path, captions = tmp_path / "answers.jsonl", find_task("pictos_captions")
    first = _evaluated(Scripted(_mixed(captions)), captions, Store(path))
    silent = Scripted(lambda _: "never asked")
    assert _evaluated(silent, captions, Store(path)) == first
    assert _evaluated(silent, find_task("pictos_chair"), Store(path)).rows[0].answer == first.rows[0].answer
    assert silent.samples == []


def test_captions_of_a_loaded_model_are_ranked_once_for_all_tasks_that_mark_them(tmp_path: Path) -> None:
    model = load_vlm("tiny", path=save_tiny(tmp_path / "tiny", seed=1), device="cpu")
    tasks = [find_task(name) for name in ("pictos_chair", "pictos_captions", "pictos_pope")]
    before = model.sentence_log_likelihoods
    questions: list[int] = []
    model.sentence_log_likelihoods = lambda samples, answers: (  # type: ignore[method-assign]
        questions.append(len(samples)) or before(samples, answers)  # type: ignore[func-returns-value]
    )
    chair, words, pope = evaluate(model, tasks, split="dev", limit=6)
    assert sum(questions) <= 6
    assert (chair.frontier, words.frontier, pope.frontier) == (("CHAIRi", "recall"), ("precision", "recall"), None)
    for row in chair.rows:
        whole = {name: count for name, count in row.counts.items() if count}
        assert row.ranked["own"][-1].counts == whole, "all sentences are the whole answer"
    assert not any(row.ranked for row in pope.rows)


def test_a_model_that_gives_no_log_probabilities_is_not_ranked() -> None:
    (result,) = evaluate(Scripted(lambda sample: "A cat."), [find_task("pictos_chair")], split="dev", limit=3)
    assert result.frontier is None
    assert [row.ranked for row in result.rows] == [{}] * 3


@pytest.mark.reported("prompts")
@pytest.mark.parametrize("text", ["<image>", "<image>\nWhat do you see?", "What does <image> show?", "<image><image>"])
def test_a_picture_token_in_a_tasks_question_reaches_the_model_as_it_is(text: str) -> None:
    samples = [replace(sample, prompt=text) for sample in find_task("pictos_captions").samples("test")[:2]]

    @dataclass(frozen=True, kw_only=True)
    class Odd(PictosCaptions):
        def samples(self, split: str) -> list[Sample]:
            return samples

    model = Scripted(lambda _: "A cat.")
    evaluate(model, [Odd()], split="test")
    assert {sample.prompt for sample in model.samples} == {text}
