"""A rule marks against gold; a format needs none."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from harness.errors import RecipeError
from harness.types import Group, Sample
from loops.check_recipe import check_recipe
from loops.judging import open_verifier
from loops.recipe import load_recipe
from strop.running import setting
from tasks.data.root import DataRoot
from tests.loops.verify.conftest import StudyOf
from tests.support.recipes import JUDGE_FREE


def sample(target: Any) -> Sample:
    return Sample(id="1", prompt="Is there a cat?", images=(), target=target, cluster="1")


def rewards(study_of: StudyOf, verify: dict[str, Any], source: str, target: Any, *answers: str) -> list[float | None]:
    (verdicts,) = open_verifier(study_of(verify, source=source), [], 0).verify(
        [Group(sample=sample(target), answers=answers)]
    )
    return [verdict.reward for verdict in verdicts]


BOX = (0.0, 0.0, 10.0, 10.0)


def test_a_rule_is_the_tasks_own_mark_or_a_bound_on_it(study_of: StudyOf) -> None:
    answers = ("[0, 0, 10, 10]", "[0, 0, 10, 5]", "[5, 5, 15, 15]", "nowhere")
    assert rewards(study_of, {"kind": "rule"}, "pictos_grounding", BOX, *answers) == [
        1.0, 0.5, pytest.approx(25 / 175), 0.0
    ]  # fmt: skip
    bound = {"kind": "rule", "threshold": 0.5}
    assert rewards(study_of, bound, "pictos_grounding", BOX, *answers) == [1.0, 1.0, 0.0, 0.0]


def test_an_exact_answer_is_the_words_of_the_right_one_and_no_others(study_of: StudyOf) -> None:
    answers = ("yes.", "<think>No cat?</think> Yes", "Yes, there is a cat.", "no")
    exact = {"kind": "rule", "mark": "exact"}
    assert rewards(study_of, exact, "pictos_pope", "yes", *answers) == [1.0, 1.0, 0.0, 0.0]
    assert rewards(study_of, {"kind": "rule"}, "pictos_pope", "yes", *answers) == [1.0, 1.0, 1.0, 0.0]


def test_a_format_is_what_the_tasks_reader_reads(study_of: StudyOf) -> None:
    answers = ("Yes, there is.", "Perhaps.", "", "<think>Yes.</think>")
    assert rewards(study_of, {"kind": "format"}, "pictos_pope", None, *answers) == [1.0, 0.0, 0.0, 0.0]
    assert rewards(study_of, {"kind": "format"}, "pictos_captions", None, "A cat.", " ") == [1.0, 0.0]


def test_a_format_is_a_pattern_of_the_whole_text_with_its_thought(study_of: StudyOf) -> None:
    pattern = {"kind": "format", "pattern": "<think>.+</think><answer>.+</answer>"}
    answers = ("<think>A\ncat.</think><answer>yes</answer>", "<answer>yes</answer>", "yes")
    assert rewards(study_of, pattern, "pictos_captions", None, *answers) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["verify.kind=format", "verify.pattern='('"], r"field 'verify\.pattern' is no regular expression"),
        (["verify.kind=rule", "verify.mark=exact", "verify.threshold=0.5"], r"an exact answer is worth 1 or 0"),
        (["verify.kind=rule", "verify.threshold=1.5"], r"verify\.threshold"),
    ],
)
def test_a_field_that_means_nothing_is_refused(changes: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(JUDGE_FREE, changes)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("rule", r"verify\.kind rule: source folder:.* has no right answers to judge by"),
        ("format", r"verify\.kind format: source folder:.* has no reader of answers without gold; set verify\.pattern"),
    ],
)
def test_pictures_of_ones_own_have_no_rule(kind: str, message: str, tmp_path: Any) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    recipe = load_recipe(JUDGE_FREE, [f"source=folder:{tmp_path}", f"verify.kind={kind}", "collect.samples=1"])
    with pytest.raises(RecipeError, match=message):
        check_recipe(recipe, setting(DataRoot(), progress=False), new=False)
