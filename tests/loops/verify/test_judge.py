"""A judge is asked in words: what it clearly says is a reward, what it does not is no opinion, and never guessed."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import OutageError, RecipeError, RunError
from harness.files import write_json
from harness.judge import ModelJudge
from harness.store import Store
from harness.types import AnswerStream, Checkpoint, Group, Sample, Sampling
from loops.judging import open_verifier
from loops.recipe import load_recipe
from loops.verify.judge import ByJudge
from loops.verify.judge_forms import PROMPTS, Form, asking
from tasks.pictos.benchmarks import caption_samples
from tests.loops.verify.conftest import StudyOf
from tests.support.recipes import JUDGE_FREE
from tests.support.scripted import Scripted
from tests.support.served import prompt_of, served

(SCENE,) = (sample.blind() for sample in caption_samples("pool", 1))


def judged(form: Form, says: Callable[[str], str], *answers: str, **options: Any) -> tuple[ByJudge, list[float | None]]:
    judge = ModelJudge(name="scripted", model=Scripted(lambda sample: says(sample.prompt)))
    verifier = ByJudge(
        judge=judge, asking=asking(form, None, options.pop("aggregate", "sum")), store=Store(), **options
    )
    (verdicts,) = verifier.verify([Group(sample=SCENE, answers=answers)])
    return verifier, [verdict.reward for verdict in verdicts]


# Sentences ------------------------------------------------------------------------------------------------------------


def of_cats(prompt: str) -> str:
    """Says yes to cats, no to dogs, nothing of cups, and thinks of the other first."""
    sentence = prompt.splitlines()[0]
    return "<think>No, or yes?</think>Yes." if "cat" in sentence else "No" if "dog" in sentence else "Perhaps."


def test_a_true_sentence_earns_and_a_false_one_costs() -> None:
    answers = ("A cat.", "A cat. A dog.", "A cat. A cat.", "A dog. A cup.", "A cup.", "")
    verifier, rewards = judged("sentences", of_cats, *answers)
    assert rewards == [0.5, 0.0, 0.0, -0.5, None, None]
    assert verifier.facts == {
        "judge": verifier.judge.id, "form": "sentences", "questions": 3, "judge_has_own_weights": False, "yes": 1,
        "unread": 1,
    }  # fmt: skip
    assert judged("sentences", of_cats, *answers, aggregate="mean")[1] == [1.0, 0.5, 1.0, 0.0, None, None]
    assert judged("sentences", of_cats, *answers, aggregate="min")[1] == [1.0, 0.0, 1.0, 0.0, None, None]


# Rubric ---------------------------------------------------------------------------------------------------------------


def test_a_grade_is_one_whole_number_from_1_to_10() -> None:
    replies = {"A cat.": "10", "A dog.": "Score: 1/10", "A cup.": "7 or 8", "A bus.": "0", "A tv.": "5.5"}
    grades = judged("rubric", lambda prompt: replies[prompt.split("---\n")[1].strip()], *replies, " ")[1]
    assert grades == [1.0, 0.0, None, None, None, None]


# Pairs ----------------------------------------------------------------------------------------------------------------


def longer(prompt: str) -> str:
    first, second = (part.strip() for part in prompt.split("---\n")[1::2])
    return "A" if len(first) > len(second) else "B"


def test_of_two_answers_the_one_counts_that_is_better_both_ways_round() -> None:
    verifier, rewards = judged("pairwise", longer, "A cat.", "A cat. A dog.", "A cat. A dog. A cup.", "A cat.", "")
    assert rewards == [0.0, 0.5, 1.0, 0.0, None]
    assert verifier.facts["first_preferred"] == 0.5
    assert (verifier.facts["questions"], verifier.facts["contradicted"]) == (6, 0)


def test_whoever_always_takes_the_first_prefers_nothing() -> None:
    verifier, rewards = judged("pairwise", lambda prompt: "A", "A cat.", "A dog.")
    assert rewards == [0.5, 0.5]
    assert (verifier.facts["first_preferred"], verifier.facts["contradicted"]) == (1.0, 1)


def test_a_pair_that_is_read_one_way_round_only_is_no_opinion() -> None:
    def half(prompt: str) -> str:
        return "Both A and B." if prompt.index("cat") < prompt.index("dog") else "B"

    verifier, rewards = judged("pairwise", half, "A cat.", "A dog.")
    assert rewards == [None, None]
    assert verifier.facts["unread"] == 1


# Whoever is asked -----------------------------------------------------------------------------------------------------


class Failing(Scripted):
    """Answers the first question and goes down."""

    def stream(self, samples: Sequence[Sample], sampling: Sampling) -> AnswerStream:
        yield 0, ["yes"]
        raise OutageError("it is down")


@pytest.mark.parametrize("share", [0.5, 0.4])
def test_what_has_no_reply_is_no_opinion_and_much_of_it_stops_the_run(
    share: float, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store()
    judge = ModelJudge(name="failing", model=Failing(lambda sample: ""))
    verifier = ByJudge(judge=judge, asking=asking("sentences", None, "sum"), store=store, max_unanswered=share)
    group = Group(sample=SCENE, answers=("A cat.", "A dog."))
    with caplog.at_level(logging.WARNING):
        if share < 0.5:
            with pytest.raises(RunError, match=r"1 of 2 questions have no reply; .* verify\.max_unanswered \(0\.4\)"):
                verifier.verify([group])
        else:
            (verdicts,) = verifier.verify([group])
            assert [verdict.reward for verdict in verdicts] == [0.5, None]
            assert verifier.facts["no_reply"] == 1
    assert "it is down" in caplog.text
    assert len(store.answers) == 1, "what was replied is kept, what was not is not"


def test_an_endpoint_is_asked_once_about_the_same_and_costs_what_it_counts(study_of: StudyOf, tmp_path: Path) -> None:
    with served(lambda request: "Yes" if "cat" in prompt_of(request) else "No") as server:
        fields = {"kind": "judge", "model": "m", "endpoint": server.url, "price_prompt": 2.0, "price_generated": 10.0}
        study = study_of(fields)
        study = dataclasses.replace(study, setting=dataclasses.replace(study.setting, replies=tmp_path / "r.jsonl"))
        group = Group(sample=SCENE, answers=("A cat.", "A cat. A dog."))
        first = open_verifier(study, [], 0)
        (verdicts,) = first.verify([group])
        again = open_verifier(study, [], 0)
        assert again.verify([group]) == [verdicts]
    assert [verdict.reward for verdict in verdicts] == [0.5, 0.0]
    assert len(server.requests) == 2
    assert first.costs == {
        "endpoint_answers": 2, "endpoint_prompt_tokens": 200, "endpoint_generated_tokens": 20, "judge_replies": 2,
        "price": pytest.approx((200 * 2 + 20 * 10) / 1e6),
    }  # fmt: skip
    assert (again.costs["judge_replies"], again.costs["price"]) == (0, 0)
    assert study.level == "L3"


def test_a_recipe_says_who_judges_and_what_its_weights_are(study_of: StudyOf, tiny: Path) -> None:
    def level(name: str) -> str:
        return study_of({"kind": "judge", "model": name}, model=str(tiny)).level

    assert [level(name) for name in ("self", "pictos-peer", str(tiny))] == [
        "L4", "L3", "L3, judge of the honed model's own weights"
    ]  # fmt: skip


def test_a_judge_that_learnt_from_the_pools_gold_says_so(study_of: StudyOf, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "taught")
    write_json(tmp_path / "taught/strop.json", {"gold_of": ["pictos_captions"]})
    for kind in ("judge", "likelihood"):
        level = study_of({"kind": kind, "model": str(tmp_path / "taught")}, model="pictos-seed").level
        assert level == "L3, encoder trained on this world's gold"


def test_a_model_judges_its_own_answers(study_of: StudyOf, tiny: Path) -> None:
    study = study_of({"kind": "judge", "max_tokens": 4}, model="pictos-seed")
    study = dataclasses.replace(study, policy=Checkpoint(path=tiny, digest="tiny"))
    verifier = open_verifier(study, [], 0)
    verifier.verify([Group(sample=SCENE, answers=("A cat.", "A dog."))])
    assert verifier.facts["judge_has_own_weights"] is True
    assert str(verifier.facts["judge"]).startswith("pictos-seed@"), "by the name by which `strop judges` measures it"
    assert verifier.costs["judge_replies"] == 2
    assert study.verify.inputs(study, 0)["model"] == "tiny"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["verify.endpoint=http://localhost:1/v1"], "name the model that is served at verify.endpoint"),
        (["verify.price_prompt=1"], "prices are of an endpoint"),
        (["verify.form=rubric", "verify.aggregate=min"], "'verify.aggregate' is of form=sentences"),
        (["verify.prompt=True?"], r"form=sentences has a place for {sentence}, not for 'sentence'"),
        (["verify.prompt='{sentence} {'"], r"'verify.prompt': .*; write {{ and }} for braces"),
    ],
)
def test_fields_that_do_not_fit_are_refused(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(JUDGE_FREE, ["verify.kind=judge", *changes])


def test_each_form_has_a_place_for_what_it_asks_about() -> None:
    for text, places in PROMPTS.values():
        assert all(f"{{{place}}}" in text for place in places)
