"""The world says what happened, and is asked for nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import DataError, RecipeError
from harness.types import Answer, Group, Happened, Sample
from loops.groups import ENDS
from loops.judging import open_verifier
from loops.kinds import Study
from loops.optimise.grpo import Grpo
from loops.recipe import load_recipe
from loops.rounds.online import VerifierAtWork
from loops.select.pairs import BestAgainstWorst
from loops.verify.environment import ByWorld
from strop.running import setting
from tasks.data.root import DataRoot
from tasks.pictos.hand import Hand
from tasks.pictos.reach import PictosReach
from tests.loops.verify.conftest import StudyOf
from tests.support.own_task import lamp
from tests.support.recipes import JUDGE_FREE

RECIPES = JUDGE_FREE.parent
STATE = Sample(id="s", prompt="?", images=(Path("kept.png"),), target=None, cluster="s")


def _study(name: str, *changes: str) -> Study:
    return load_recipe(RECIPES / f"{name}.yaml", changes).study(setting(DataRoot(), progress=False))


def test_an_answer_earns_what_its_episodes_came_to_the_shorter_the_better() -> None:
    ends = [[1], [2], [3, None], [None]]
    group = Group(sample=STATE, answers=("take", "up", "left", "down"), notes=tuple({ENDS: its} for its in ends))
    study = _study("reach_dpo")
    (verdicts,) = open_verifier(study, [], 0).verify([group])
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.9, pytest.approx(0.81 / 2), 0.0]
    assert [verdict.why for verdict in verdicts] == [
        "1 of 1 episode succeeded in 1", "1 of 1 episode succeeded in 2", "1 of 2 episodes succeeded in 3",
        "0 of 1 episode succeeded",
    ]  # fmt: skip
    (row,) = BestAgainstWorst().select([replace(group, verdicts=verdicts)], 0).rows
    assert (getattr(row, "chosen", None), getattr(row, "rejected", None)) == ("take", "down")
    even = open_verifier(_study("reach_dpo", "verify.discount=1"), [], 0).verify([group])
    assert [verdict.reward for verdict in even[0]] == [1.0, 1.0, 0.5, 0.0]


def test_a_step_earns_how_much_nearer_it_leads() -> None:
    """As GRPO draws them, from places along the way, of which the verifier is told no gold."""
    study = _study("reach_grpo", "collect.answers=5", "collect.samples=40")
    assert isinstance(study.optimise, Grpo)
    samples = study.samples(1)
    judge = VerifierAtWork(study, study.optimise.drawing(study), samples, 0)
    words = ("Left.", "right", "up", "down", "take")
    answers = [[Answer(text=word) for word in words] for _ in samples]
    blind = [sample.blind() for sample in samples]
    judge.begin(blind, [row[0] for row in answers])
    rewards = judge(blind, answers)
    for sample, row in zip(samples, rewards, strict=True):
        hand = sample.images[0]
        assert isinstance(hand, Hand)
        by_word = dict(zip(("left", "right", "up", "down", "take"), row, strict=True))
        assert by_word[hand.best] == 1.0
        assert by_word["take"] == float(hand.reached)
        back = {"left": "right", "right": "left", "up": "down", "down": "up"}.get(hand.best, "left")
        assert by_word[back] in (-1.0, 0.0), "0 at a wall"
    (unread,) = judge(blind[:1], [[Answer(text="Perhaps left or right.")]])
    assert unread == [0.0], "an unread answer is wasted, and not wrong"


def test_a_world_that_does_not_tell_how_far_it_is_says_whether_it_ended_well() -> None:
    world, start = lamp(), lamp().samples("pool")[4]

    def after(sample: Sample, answers: object) -> Happened:
        happened: Happened = world.after(sample, answers)
        return replace(happened, to_go=None)

    (verdicts,) = ByWorld(after=after, discount=0.9).verify([Group(sample=start, answers=("brighter", "darker"))])
    assert [(verdict.reward, verdict.why) for verdict in verdicts] == [(1.0, "succeeds"), (0.0, "does not succeed")]


def test_what_is_no_episode_is_refused(study_of: StudyOf) -> None:
    study = study_of({"kind": "environment"})
    with pytest.raises(RecipeError, match=r"^verify\.kind environment: source pictos_captions is no world that answe"):
        study.verify.refuse(study)
    verifier = open_verifier(study_of({"kind": "environment"}, source="pictos_reach"), [], 0)
    with pytest.raises(DataError, match=r"^sample s: its picture shows no hand, so no episode can start from it$"):
        verifier.verify([Group(sample=STATE, answers=("left",))])


def test_the_level_is_that_of_an_external_world() -> None:
    assert [load_recipe(RECIPES / f"reach_{kind}.yaml").level for kind in ("dpo", "grpo")] == ["L3", "L3"]
    assert PictosReach().name == load_recipe(RECIPES / "reach_dpo.yaml").source
