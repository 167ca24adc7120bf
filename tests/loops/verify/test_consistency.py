"""Answers that agree earn more, read by the task where it can and word for word where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.store import Store
from harness.types import Group, Sample, Sampling
from loops.judging import open_verifier
from loops.verify.consistency import ByAgreement, ByPeer
from loops.verify.task import normalised
from tests.loops.verify.conftest import StudyOf
from tests.support.scripted import Scripted

SCENE = Sample(id="1", prompt="?", images=(), target=None, cluster="1")


def rewards(study_of: StudyOf, source: str, *answers: str, **fields: Any) -> list[float | None]:
    study = study_of({"kind": "consistency", **fields}, source=source)
    (verdicts,) = open_verifier(study, [], 0).verify([Group(sample=SCENE, answers=answers)])
    return [verdict.reward for verdict in verdicts]


def test_a_short_answer_earns_the_share_of_the_others_that_say_the_same(study_of: StudyOf) -> None:
    answers = ("Yes.", "yes, there is", "No", "Yes, indeed.", "Perhaps")
    shares = rewards(study_of, "pictos_pope", *answers)
    assert shares == [pytest.approx(2 / 3), pytest.approx(2 / 3), 0.0, pytest.approx(2 / 3), None]


def test_the_majority_takes_all_and_a_tie_is_no_opinion(study_of: StudyOf) -> None:
    majority = {"reward": "majority"}
    assert rewards(study_of, "pictos_pope", "Yes", "Yes", "No", **majority) == [1.0, 1.0, 0.0]
    assert rewards(study_of, "pictos_pope", "Yes", "No", "Perhaps", **majority) == [None, None, None]


def test_captions_agree_as_far_as_they_name_the_same_things(study_of: StudyOf) -> None:
    captions = ("A cat. A dog.", "Two dogs. A small cat.", "A cat. A bus.")
    assert rewards(study_of, "pictos_captions", *captions) == [0.75, 0.75, 0.5]
    assert rewards(study_of, "pictos_captions", *captions, reward="majority") == [1.0, 1.0, 0.5]


def test_boxes_agree_as_far_as_they_overlap(study_of: StudyOf) -> None:
    boxes = ("[0, 0, 10, 10]", "[0, 0, 10, 5]", "[20, 20, 30, 30]")
    assert rewards(study_of, "pictos_grounding", *boxes) == [0.25, 0.25, 0.0]


def test_without_a_reader_words_are_compared_and_thoughts_are_not() -> None:
    by_words = ByAgreement(read=normalised)
    group = Group(sample=SCENE, answers=("<think>Hm.</think>A red bus!", "a red bus", "a bus", "..."))
    (verdicts,) = by_words.verify([group])
    assert [verdict.reward for verdict in verdicts] == [0.5, 0.5, 0.0, None]
    assert by_words.facts == {"unread": 1}


def test_an_answer_alone_has_nothing_to_agree_with(study_of: StudyOf) -> None:
    assert rewards(study_of, "pictos_pope", "Yes") == [None]


def test_what_a_peer_answers_to_the_same_question_is_what_to_agree_with() -> None:
    peer = Scripted(lambda sample: {"A cat?": "Yes."}.get(sample.prompt, "..."))
    by_peer = ByPeer(read=normalised, model=peer, sampling=Sampling(max_tokens=8), store=Store())  # type: ignore[arg-type]
    groups = [
        Group(sample=Sample(id="1", prompt=prompt, images=(), target=None, cluster="1"), answers=("No", "yes", "..."))
        for prompt in ("A cat?", "A dog?")
    ]
    rewards = [[verdict.reward for verdict in verdicts] for verdicts in by_peer.verify(groups)]
    assert rewards == [[0.0, 1.0, None], [None, None, None]]
    assert by_peer.facts == {"unread": 2, "peer_unread": 1}
    by_peer.verify(groups[:1])
    assert [sample.prompt for sample in peer.samples] == ["A cat?", "A dog?"], "nothing is asked twice"


def test_a_peer_is_somebody_else_and_gives_one_answer(study_of: StudyOf) -> None:
    levels = [study_of({"kind": "consistency", "peer": name}).level for name in (None, "pictos-peer", "pictos-seed")]
    assert levels == ["L4", "L3", "L3, judge of the honed model's own weights"]
    with pytest.raises(ValueError, match=r"'verify\.reward': a peer gives one answer; leave the field out"):
        study_of({"kind": "consistency", "peer": "pictos-peer", "reward": "majority"})
    with pytest.raises(ValueError, match=r"'verify\.peer': names another model; leave it out"):
        study_of({"kind": "consistency", "peer": "self"})


def test_a_loaded_peer_judges(study_of: StudyOf, tiny: Path) -> None:
    study = study_of({"kind": "consistency", "peer": str(tiny)}, collect={"max_tokens": 4})
    verifier = open_verifier(study, [], 0)
    (verdicts,) = verifier.verify([Group(sample=SCENE, answers=("A cat.", "A dog."))])
    assert len(verdicts) == 2 and verifier.costs["generated_tokens"] > 0
