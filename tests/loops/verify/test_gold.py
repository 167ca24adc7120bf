"""A verifier that may not see gold cannot: every kind is made to look for it wherever its `open` could find any."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from harness.errors import RunError
from harness.types import Group, Sample, Verdict
from loops.judging import judge_groups
from loops.kinds import Each, Study, Verifier
from loops.slots import VERIFY, name_of
from tasks.pictos.benchmarks import caption_samples
from tests.loops.verify.conftest import StudyOf

FIELDS: dict[str, dict[str, Any]] = {"ensemble": {"members": [{"kind": "format"}, {"kind": "shorter"}]}}
"""The fields that a kind cannot do without."""

SEE_GOLD = {"oracle", "rule"}


def places_of_gold(study: Study, groups: Sequence[Group], shown: Sequence[Sample]) -> dict[str, Any]:
    """What each place gives: a target, or the error that there is none to be had."""
    task = study.setting.tasks[study.source]
    places = {
        "the groups to calibrate on": lambda: groups[0].sample.target,
        "the groups to judge": lambda: shown[0].target,
        "the pool": lambda: study.pool.of_round(seed=0, number=1, count=1)[0].target,
        "the study's samples": lambda: study.samples(1)[0].target,
        "the setting's pool": lambda: study.setting.pool(study.source).of_round(seed=0, number=1, count=1)[0].target,
        "the task's samples": lambda: (
            "slow to compose" if study.verify.is_shown_gold else task.samples("dev")[0].target
        ),
        "the task's gold": lambda: task.gold(shown[0]),
        "the task's mark": lambda: task.score(caption_samples("pool", 1)[0], "A cat.").value,
    }
    seen: dict[str, Any] = {}
    for place, look in places.items():
        try:
            seen[place] = look()
        except RunError as error:
            assert "for right answers, which it may not see; declare sees_gold" in str(error)
            seen[place] = None
    return seen


@pytest.mark.parametrize("kind", VERIFY.shipped, ids=name_of)
def test_a_kind_sees_gold_only_where_it_says_so(kind: type[Verifier], study_of: StudyOf) -> None:
    seen: dict[str, Any] = {}

    class Peeping(kind):  # type: ignore[valid-type, misc]
        def open(self, study: Study, groups: Sequence[Group], draw: int) -> Each:
            def judge(sample: Sample, answer: str) -> Verdict:
                seen.update(places_of_gold(study, groups, [sample]))
                return Verdict(reward=None)

            return Each(judge=judge)

    study = study_of({"kind": name_of(kind), **FIELDS.get(name_of(kind), {})}, collect={"samples": 1})
    peeping = Peeping.model_validate(study.verify.model_dump())
    groups = [Group(sample=sample, answers=("A cat.",)) for sample in caption_samples("pool", 1)]
    judge_groups(dataclasses.replace(study, verify=peeping), groups, 0, lambda total: lambda count: None)
    assert len(seen) == 8
    without = {place for place, gold in seen.items() if gold is None}
    # those to calibrate on are never shown with gold
    assert without == ({"the groups to calibrate on"} if name_of(kind) in SEE_GOLD else set(seen))
