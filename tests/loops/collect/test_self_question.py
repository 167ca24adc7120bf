"""The model asks its own questions, which are what the training row asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RecipeError, RunError
from harness.types import Sample, Sampling
from loops.collect.self_question import ASK, SelfQuestion
from loops.groups import read_groups, write_groups
from loops.recipe import Recipe, load_recipe
from loops.verify.clip import Clip
from loops.verify.consistency import Consistency
from loops.verify.none import NoVerifier
from loops.verify.task import reader_of, task_input
from strop.running import setting
from tasks.data.root import DataRoot
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.language import ASK_QUESTION
from tests.support.recipes import JUDGE_FREE
from tests.support.speaker import Speaker

SAMPLES = caption_samples("pool", 3)
IDS = [sample.id for sample in SAMPLES]


def _says(sample: Sample, sampling: Sampling, draw: int) -> str:
    if sample.prompt == ASK:
        return {IDS[0]: "Sure. What is this? And this?", IDS[1]: "A cat."}.get(sample.id, "Where?")
    return f"{sample.prompt} {draw}"


def test_the_seed_is_taught_the_very_prompt_of_the_collector() -> None:
    assert ASK == ASK_QUESTION


def test_a_question_of_the_models_own_is_asked_several_times() -> None:
    model = Speaker(_says)
    groups = SelfQuestion(answers=2, ending=" Be short.").ask(model, SAMPLES, seed=3)  # type: ignore[arg-type]
    assert [(group.sample.id, group.sample.prompt) for group in groups] == [
        (IDS[0], "What is this? Be short."),
        (IDS[2], "Where? Be short."),
    ], "a picture of which nothing is asked is left out"
    assert groups[0].answers == ("What is this? Be short. 0", "What is this? Be short. 1")
    assert [sampling.seed for _, sampling in model.passes] == [3, 4]


def test_a_model_that_asks_nothing_is_told_with_a_remedy() -> None:
    with pytest.raises(RunError, match=r"none of 3 replies holds a question \('A cat\.'\); set collect\.frame, or ano"):
        SelfQuestion().ask(Speaker(lambda *question: "A cat."), SAMPLES, seed=0)  # type: ignore[arg-type]


def test_a_frame_makes_a_question_of_a_reply_that_asks_nothing() -> None:
    recipe = SelfQuestion(ask_for="Describe.", frame="Is this true? {sentence}")
    model = Speaker(lambda sample, sampling, draw: "A cat. A dog." if sample.prompt == "Describe." else "Yes.")
    groups = recipe.ask(model, SAMPLES * 10, seed=0)  # type: ignore[arg-type]
    assert {group.sample.prompt for group in groups} == {"Is this true? A cat.", "Is this true? A dog."}
    asking = SelfQuestion(frame="Is this true? {sentence}").ask(Speaker(_says), SAMPLES, seed=0)  # type: ignore[arg-type]
    assert [group.sample.prompt for group in asking] == ["What is this?", "Is this true? A cat.", "Where?"]


def test_a_frame_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"collect\.frame: has no place for a sentence; write \{sentence\} in it"):
        SelfQuestion(frame="Is it true?")


def test_groups_are_read_with_the_question_that_was_answered(tmp_path: Path) -> None:
    groups = SelfQuestion().ask(Speaker(_says), SAMPLES, seed=0)  # type: ignore[arg-type]
    write_groups(tmp_path / "groups.jsonl", groups)
    assert read_groups(tmp_path / "groups.jsonl", SAMPLES) == groups


def _recipe(*changes: str) -> Recipe:
    return load_recipe(JUDGE_FREE, ["collect.kind=self_question", *changes])


def test_a_verifier_that_sees_gold_is_refused() -> None:
    study = _recipe("verify.kind=oracle").study(setting(DataRoot()))
    with pytest.raises(RecipeError, match=r"^verify\.kind oracle: nobody knows the right answers to questions that th"):
        study.collect.refuse(study)


def test_the_task_of_the_pool_reads_no_answer_to_another_question() -> None:
    world = setting(DataRoot())
    assert reader_of(_recipe("collect.kind=sampling").study(world)) is not None
    assert reader_of(_recipe().study(world)) is None
    assert task_input(_recipe().study(world)) == ["pictos_captions"]


def test_a_model_that_also_verifies_itself_is_on_level_5() -> None:
    levels = [SelfQuestion().level(verifier) for verifier in (Consistency(), Clip(), NoVerifier())]
    assert levels == ["L5", "L3", "control"]
