"""Several verifiers: their rewards are weighed in units that compare, or only what all say counts."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import RecipeError
from harness.types import Group, Sample
from loops.judging import judge_groups, open_verifier
from loops.recipe import load_recipe
from loops.verify.ensemble import in_spreads, unanimous, weighed
from tests.loops.verify.conftest import StudyOf
from tests.support.recipes import JUDGE_FREE

CAT = Sample(id="1", prompt="?", images=(), target=frozenset({"cat"}), cluster="1")
GROUP = Group(sample=CAT, answers=("A cat.", "A cat. A dog.", "A dog. A bus."))


def rewards(study_of: StudyOf, *members: dict[str, Any], **fields: Any) -> list[float | None]:
    study = study_of({"kind": "ensemble", "members": list(members), **fields}, source="pictos_captions")
    (judged,), _ = judge_groups(study, [GROUP], 0, lambda total: lambda count: None)
    return [verdict.reward for verdict in judged.verdicts]


def test_rewards_are_weighed_in_units_that_compare(study_of: StudyOf) -> None:
    rule, shorter = {"kind": "rule"}, {"kind": "shorter"}
    own = rewards(study_of, rule, shorter, units="own")
    assert own == [pytest.approx(1 - 2), pytest.approx(2 / 3 - 4), pytest.approx(0 - 4)]
    alone = rewards(study_of, rule, shorter, weights=[1, 0])
    mean = (1 + 2 / 3) / 3
    spread = ((1 - mean) + (2 / 3 - mean) + mean) / 3
    assert alone == [pytest.approx(value) for value in ((1 - mean) / spread, (2 / 3 - mean) / spread, -mean / spread)]


def test_a_member_that_tells_nothing_apart_is_of_no_weight() -> None:
    assert in_spreads([[1.0, 1.0], [5.0, 5.0]]) == [[0.0, 0.0], [0.0, 0.0]]
    assert in_spreads([[0.0, 4.0], [1.0, None]]) == [[-1.5, 1.5], [0.0, None]]


def test_an_answer_that_one_member_has_no_opinion_of_has_none() -> None:
    assert [verdict.reward for verdict in weighed([[1.0, None], [0.5, 2.0]], (1.0, 2.0))] == [2.0, None]
    assert [verdict.reward for verdict in unanimous([[1.0, None, 0.0], [0.5, 2.0, 0.0]])] == [0.5, None, -0.5]


def test_only_what_all_say_counts() -> None:
    agree, differ = ([1.0, 0.0], [9.0, 2.0]), ([1.0, 0.0], [2.0, 9.0])
    assert [verdict.reward for verdict in unanimous(agree)] == [1.0, -1.0]
    assert [verdict.reward for verdict in unanimous(differ)] == [0.0, 0.0]
    assert [verdict.reward for verdict in unanimous([[1.0], [2.0]])] == [None]


def test_all_must_agree_in_a_recipe(study_of: StudyOf) -> None:
    assert rewards(study_of, {"kind": "rule"}, {"kind": "shorter"}, combine="all") == [1.0, -0.5, -0.5]


def test_an_ensemble_is_as_autonomous_as_its_least_member_and_each_sees_what_it_may(study_of: StudyOf) -> None:
    def ensemble(*kinds: str) -> Any:
        return study_of({"kind": "ensemble", "members": [{"kind": kind} for kind in kinds]})

    levels = [("consistency", "rule"), ("consistency", "clip"), ("consistency", "shorter"), ("random", "shorter")]
    assert [ensemble(*kinds).level.partition(",")[0] for kinds in levels] == ["L2", "L3", "L4", "control"]
    assert ensemble("clip", "shorter").level == "L3, encoder trained on this world's gold"
    assert ensemble("rule", "shorter").verify.is_shown_gold
    assert not ensemble("format", "shorter").verify.is_shown_gold


def test_members_facts_and_costs_are_told_apart_and_summed(study_of: StudyOf) -> None:
    members = [{"kind": "consistency"}, {"kind": "consistency", "reward": "majority"}]
    study = study_of({"kind": "ensemble", "members": members})
    verifier = open_verifier(study, [], 0)
    verifier.verify([GROUP])
    assert verifier.facts == {"consistency_unread": 0, "consistency2_unread": 0, "consistency2_without_majority": 0}
    inputs = study.verify.inputs(study, 0)["members"]
    assert [member.get("reward") for member in inputs] == [None, "majority"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{kind: ensemble, members: [{kind: clip}]}", r"verify\.members"),
        ("{kind: ensemble, members: [{kind: clip}, {kind: nobody}]}", "input should be 'clip', "),
        ("{kind: ensemble, members: [{kind: clip}, {kind: none}], weights: [1]}", "1 weights for 2 members"),
        ("{kind: ensemble, members: [{kind: clip}, {kind: none}], combine: all, units: own}", "nothing is weighed"),
    ],
)
def test_members_that_do_not_fit_are_refused(fields: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(JUDGE_FREE, [f"verify={fields}"])
