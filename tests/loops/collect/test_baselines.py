"""Two negatives that no method is behind: another picture's answer, and the own answer with parts dropped."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.types import Group, Sample, Sampling
from loops.collect.caption_dropout import CaptionDropout
from loops.collect.random_negative import RandomNegative
from tasks.pictos.benchmarks import caption_samples
from tests.support.speaker import Speaker


def _by_name(sample: Sample, sampling: Sampling, draw: int) -> str:
    return f"A cat. Of {sample.id}."


def _of_others(count: int, seed: int) -> Sequence[Group]:
    return RandomNegative().ask(Speaker(_by_name), caption_samples("pool", count), seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_a_random_negative_is_the_answer_to_another_picture_and_each_is_one_once(seed: int) -> None:
    groups = _of_others(7, seed)
    ids = [group.sample.id for group in groups]
    others = [group.notes[1]["answer_to"] for group in groups]
    assert [group.answers[0] for group in groups] == [f"A cat. Of {name}." for name in ids]
    assert [group.answers[1] for group in groups] == [f"A cat. Of {name}." for name in others]
    assert sorted(others) == sorted(ids)
    assert all(name != other for name, other in zip(ids, others, strict=True))


def test_another_seed_gives_other_negatives_and_the_same_one_the_same() -> None:
    assert _of_others(20, 1) == _of_others(20, 1) != _of_others(20, 2)


def _left(text: str, count: int = 400, **fields: object) -> list[str]:
    recipe, model = CaptionDropout(**fields), Speaker(lambda *question: text)  # type: ignore[arg-type]
    groups = recipe.ask(model, caption_samples("pool", 1) * count, seed=0)  # type: ignore[arg-type]
    assert {group.answers[0] for group in groups} == {text}
    return [group.answers[1] for group in groups]


def test_at_least_one_sentence_is_dropped_and_one_is_left() -> None:
    left = _left("A cat. Two dogs. A cup.", drop=0.1)
    assert set(left) == {"A cat.", "Two dogs.", "A cup.", "A cat. Two dogs.", "A cat. A cup.", "Two dogs. A cup."}
    assert left.count("A cat.") < 20 < 90 < left.count("A cat. A cup."), "mostly one of three is dropped"
    assert set(_left("A cat. Two dogs.", drop=0.99)) == {"A cat.", "Two dogs."}


def test_an_answer_of_one_sentence_has_no_negative() -> None:
    assert set(_left("Two dogs.", 5)) == {""}


def test_words_are_dropped_where_the_recipe_says_so() -> None:
    assert set(_left("Two dogs.", 20, part="word")) == {"Two", "dogs."}


def test_how_much_was_dropped_is_noted() -> None:
    model = Speaker(lambda *question: "A cat. A dog.")
    (group,) = CaptionDropout().ask(model, caption_samples("pool", 1), seed=0)  # type: ignore[arg-type]
    assert group.notes == ({}, {"dropped": 1})
