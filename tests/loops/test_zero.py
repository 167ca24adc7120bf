"""The zero of an encoder is found where nobody set it, and no reward pays for silence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import ModelError, RecipeError
from harness.models.card import CARD, read_card
from harness.types import Group, Sample
from loops.verify.clip import ByEncoder
from loops.verify.zero import Zero, find_zero
from tasks.pictos.models import shipped
from tasks.pictos.training.encoder import ABOUT
from tasks.registry import TASKS

RIGHT, WRONG = -8.0, -14.0


class Web:
    """An encoder as from the web: a sentence's number is the grey of the picture that it is true of; all scores lie far
    below even, `spread` around those of right and of wrong sentences."""

    def __init__(self, right: float = RIGHT, wrong: float = WRONG, spread: float = 1.0) -> None:
        self.right, self.wrong, self.spread = right, wrong, spread

    def match(self, pictures: Sequence[Image.Image], texts: Sequence[Sequence[str]]) -> list[list[float]]:
        return [
            [self._score(picture.getpixel((0, 0))[0], text) for text in several]  # type: ignore[index]
            for picture, several in zip(pictures, texts, strict=True)
        ]

    def _score(self, grey: int, text: str) -> float:
        noise = np.random.default_rng([grey, *text.encode()]).normal(0, self.spread)
        return float((self.right if f" {grey} " in text else self.wrong) + noise)


def _groups(count: int = 100, sentences: int = 4) -> list[Group]:
    results = []
    for grey in range(count):
        picture = partial(Image.new, "RGB", (2, 2), (grey, grey, grey))
        sample = Sample(id=str(grey), prompt="?", images=(picture,), target=None, cluster=str(grey))
        text = " ".join(f"The {grey} is {n}." for n in range(sentences))
        results.append(Group(sample=sample, answers=(text, text)))
    return results


def test_the_zero_lies_where_right_pictures_are_told_from_wrong_ones() -> None:
    zero = find_zero(Web(), _groups(), named=None, of_card=None)  # type: ignore[arg-type]
    assert zero.value == pytest.approx((RIGHT + WRONG) / 2, abs=0.3)
    assert zero.told_apart == pytest.approx(0.9987, abs=0.003)  # three standard deviations on either side
    same = find_zero(Web(), _groups(), named=None, of_card=None)  # type: ignore[arg-type]
    assert same == zero


@pytest.mark.parametrize("encoder", [Web(), Web(right=31.0, wrong=22.0)], ids=["SigLIP", "CLIP without a bias"])
def test_with_a_web_encoder_a_longer_true_answer_earns_more_than_a_shorter_one(encoder: Web) -> None:
    groups = _groups()
    zero = find_zero(encoder, groups, named=None, of_card=None)  # type: ignore[arg-type]
    (group,) = groups[7:8]
    answers = ("The 7 is 0.", "The 7 is 0. The 7 is 1.", "The 7 is 0. The 7 is 1. The 9 is 1.")
    clip = ByEncoder(encoder=encoder, aggregate="sum", zero=zero)  # type: ignore[arg-type]
    ((short, longer, wrong),) = clip.verify([Group(sample=group.sample, answers=answers)])
    assert 0 < short.reward < longer.reward  # type: ignore[operator]
    assert wrong.reward < longer.reward  # type: ignore[operator]
    assert clip.facts == {"zero": zero.value, "told_apart": zero.told_apart}


def test_a_zero_that_pays_for_silence_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"above the zero 0 this encoder puts 0% of the model's sentences beside the"):
        find_zero(Web(), _groups(), named=0.0, of_card=None)  # type: ignore[arg-type]
    assert find_zero(Web(), _groups(), named=-11.0, of_card=None).value == -11.0  # type: ignore[arg-type]


def test_an_encoder_that_tells_no_picture_from_another_is_refused() -> None:
    blind = Web(right=WRONG)
    with pytest.raises(RecipeError, match=r"pays for silence or noise; take verify\.aggregate=mean or another encoder"):
        find_zero(blind, _groups(), named=None, of_card=None)  # type: ignore[arg-type]


def test_one_picture_is_too_few_to_calibrate_on() -> None:
    with pytest.raises(RecipeError, match="found on descriptions of at least two pictures"):
        find_zero(Web(), _groups(1), named=None, of_card=None)  # type: ignore[arg-type]


def test_what_the_encoders_card_says_is_believed_and_asks_for_no_picture() -> None:
    assert find_zero(None, [], named=None, of_card=0.0) == Zero(value=0.0)  # type: ignore[arg-type]


def test_the_shipped_encoder_keeps_zero_0_and_says_whose_gold_it_learnt_from() -> None:
    folder = shipped("pictos-encoder")
    assert folder is not None
    card = read_card(folder)
    assert card.zero == ABOUT["zero"] == 0.0
    assert (
        list(card.gold_of)
        == ABOUT["gold_of"]
        == sorted(name for name in TASKS if name.startswith("pictos_") and name != "pictos_reach")
    ), "the right moves were none of it"


@pytest.mark.parametrize("content", ["[1]", '{"zero": "x"}', '{"gold_of": "pictos_pope"}', '{"zero": true}'])
def test_a_card_that_is_none_is_named(tmp_path, content: str) -> None:  # type: ignore[no-untyped-def]
    assert read_card(tmp_path).zero is None
    (tmp_path / CARD).write_text(content)
    with pytest.raises(ModelError, match=r"strop\.json: expected "):
        read_card(tmp_path)


SCORES = st.floats(min_value=-60, max_value=60, allow_nan=False)


def _earned(scores: Sequence[float], zero: float) -> float:
    entries = {f"S{number}.": score for number, score in enumerate(scores)}
    clip = ByEncoder(encoder=None, aggregate="sum", zero=Zero(value=zero))  # type: ignore[arg-type]
    reward = clip._verdict(list(entries), entries).reward
    assert reward is not None
    return reward


@given(st.lists(SCORES, min_size=1, max_size=12), SCORES, SCORES)
def test_a_sentence_truer_than_the_zero_never_lowers_the_reward(scores: list[float], more: float, zero: float) -> None:
    before, after = _earned(scores, zero), _earned([*scores, more], zero)
    assert after >= before if more >= zero else after <= before


@given(st.lists(SCORES, min_size=2, max_size=12), SCORES, st.data())
def test_more_true_sentences_never_earn_less(scores: list[float], zero: float, data: st.DataObject) -> None:
    true = [zero + abs(score) for score in scores]
    fewer = data.draw(st.integers(min_value=1, max_value=len(true)))
    assert _earned(true[:fewer], zero) <= _earned(true, zero)


def test_the_same_sentences_earn_the_same_in_any_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.normal(0, 4, 9).tolist()
        assert _earned(scores, 0.0) == _earned(scores[::-1], 0.0) == _earned(sorted(scores), 0.0)
        assert _earned(scores, 0.0) == pytest.approx(sum(1 / (1 + math.exp(-score)) - 0.5 for score in scores))
