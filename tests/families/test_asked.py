"""Each family is asked right: questions about pictures together are answered as transformers' `generate` answers each
alone, sampled answers do not depend on their batch, and a twin is a model that was shown no picture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import ImageOps
from PIL.Image import Image

from harness.errors import ModelError
from harness.models.load import load_vlm
from harness.models.mixing import hallucination
from harness.models.vlm import Vlm
from harness.types import Sample, Sampling
from tests.families.conftest import Claims, asks_all
from tests.support.families import FAMILIES, REFUSED
from tests.support.families.alone import QUESTIONS, blind_prompts, forced, greedy, greedy_text, inputs, stops
from tests.support.families.member import Member
from tests.support.families.table import COLUMNS, read_table

pytestmark = pytest.mark.slow

ANSWERS = ("a red square", "two circles next to a yellow square. It is on the left side!", "no")
SHORT = Sampling(max_tokens=6)
UNHIDDEN = ("has no attention over tokens", "are not known", "take no mask of tokens and keys")
"""Why no picture can be hidden from some layers of a family."""

NEAR = 2e-3
"""Of a sum of log-probabilities in nats: what float32 leaves; a wrong place or mask makes 0.1 and more."""


def _sample(question: str, pictures: Sequence[Image], number: int) -> Sample:
    images = tuple(lambda picture=picture: picture for picture in pictures)
    return Sample(id=str(number), prompt=question, images=images, target=None, cluster=f"scene-{number // 2}")


@pytest.fixture(scope="session")
def cases(member: Member) -> list[tuple[str, Image]]:
    """Two questions about each of three pictures."""
    return [(question, picture) for picture in member.pictures for question in QUESTIONS]


@pytest.fixture(scope="session")
def samples(cases: list[tuple[str, Image]]) -> list[Sample]:
    return [_sample(question, [picture], number) for number, (question, picture) in enumerate(cases)]


@pytest.fixture
def numbered(vlm: Vlm, monkeypatch: pytest.MonkeyPatch) -> Vlm:
    return _numbered(vlm, monkeypatch)


def _numbered(vlm: Vlm, monkeypatch: pytest.MonkeyPatch) -> Vlm:
    """The model, which answers with the numbers of its tokens: random weights speak bytes that are no text."""
    monkeypatch.setattr(vlm.tokenizer, "decode", lambda tokens, **_: " ".join(map(str, tokens)), raising=False)
    return vlm


def _tokens(answer: str) -> list[int]:
    """The tokens of an answer of `numbered`."""
    return [int(number) for number in answer.split()]


def test_greedy_answers_together_are_those_of_generate_alone(
    member: Member, numbered: Vlm, cases: list[tuple[str, Image]], samples: list[Sample], claims: Claims
) -> None:
    answers = numbered.generate(samples, SHORT)
    for (answer,), (question, picture) in zip(answers, cases, strict=True):
        assert greedy(member, question, [picture]).agrees(_tokens(answer), stops(member))
    claims.show("prefix", numbered.about["prefix"])
    claims.show("notes", member.notes or "–")


def test_log_likelihoods_together_are_those_of_forced_steps_alone(
    member: Member, vlm: Vlm, cases: list[tuple[str, Image]], samples: list[Sample]
) -> None:
    asked = [(case, sample, answer) for case, sample in zip(cases, samples, strict=True) for answer in ANSWERS[:2]]
    likelihoods = vlm.log_likelihood([sample for _, sample, _ in asked], [answer for *_, answer in asked])
    for ((question, picture), _, answer), (value, is_greedy) in zip(asked, likelihoods, strict=True):
        tokens, logits = forced(member, question, [picture], answer)
        log_probs = logits.log_softmax(-1).gather(1, tokens[:, None])
        assert value == pytest.approx(float(log_probs.sum()), abs=NEAR)
        assert is_greedy == torch.equal(logits.argmax(-1), tokens)


def test_each_word_of_an_answer_has_the_log_likelihood_that_it_has_alone(member: Member, vlm: Vlm) -> None:
    """Beginnings of one answer, a word more each, beside one another: what a word adds is its own."""
    words = ANSWERS[1].split()
    beginnings = [" ".join(words[:count]) for count in range(1, len(words) + 1)]
    sample = _sample(QUESTIONS[1], [member.pictures[1]], 0)
    values = [value for value, _ in vlm.log_likelihood([sample] * len(words), beginnings)]
    tokens, logits = forced(member, QUESTIONS[1], [member.pictures[1]], beginnings[-1])
    log_probs = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0].cumsum(0)
    counts = [len(member.processor.tokenizer(text, add_special_tokens=False).input_ids) for text in beginnings]
    assert values == pytest.approx([float(log_probs[count - 1]) for count in counts], abs=NEAR)


def test_sampled_answers_do_not_depend_on_their_batch(numbered: Vlm, samples: list[Sample]) -> None:
    sampling = Sampling(n=2, temperature=1.0, max_tokens=6, seed=3)
    together = numbered.generate(samples, sampling)
    assert together == [numbered.generate([sample], sampling)[0] for sample in samples]
    assert len({answer for answers in together for answer in answers}) > len(samples)


def test_a_picture_that_is_hidden_from_all_layers_changes_nothing(vlm: Vlm, member: Member, family: str) -> None:
    """Two pictures of one size, told apart by what is said next where they are seen; or the family is refused."""
    picture = member.pictures[0]
    pair = [_sample(QUESTIONS[1], [each], 0) for each in (picture, ImageOps.invert(picture))]

    @torch.inference_mode()
    def apart() -> float:
        (begun,) = vlm.begun(pair, SHORT)
        first, second = begun.logits[:, -1].float()
        return float((first - second).abs().max())

    assert apart() > 1e-3
    try:
        with vlm.pictures_hidden(0.0, 1.0):
            hidden = apart()
    except ModelError as refusal:
        assert any(reason in str(refusal) for reason in UNHIDDEN), family
    else:
        assert hidden < 1e-5
    assert apart() > 1e-3, "seen again"


def test_a_twin_is_the_model_without_the_picture(
    member: Member, numbered: Vlm, cases: list[tuple[str, Image]], samples: list[Sample], claims: Claims
) -> None:
    with claims.within_limits("twin"):
        blind = numbered.hallucinate(samples, [hallucination(1.0)] * len(samples), SHORT)
        seeing = numbered.hallucinate(samples, [hallucination(0.0)] * len(samples), SHORT)
        assert [[answer] for answer in seeing] == numbered.generate(samples, SHORT)
        for answer, (question, picture) in zip(blind, cases, strict=True):
            prompts = blind_prompts(member, inputs(member, question, [picture]))
            assert any(greedy_text(member, ids).agrees(_tokens(answer), stops(member)) for ids in prompts)


def test_a_question_without_a_picture_beside_one_with_it_changes_neithers_twin(
    numbered: Vlm, samples: list[Sample]
) -> None:
    half = hallucination(0.5)
    pair = [samples[0], _sample(QUESTIONS[1], [], 1)]
    together = numbered.hallucinate(pair, [half, half], SHORT)
    assert together == [numbered.hallucinate([sample], [half], SHORT)[0] for sample in pair]


def test_samples_of_two_pictures_and_of_one_are_answered_together_as_alone(
    member: Member, numbered: Vlm, claims: Claims
) -> None:
    first, second, third = member.pictures
    cases = [(QUESTIONS[0], [first, second]), (QUESTIONS[1], [third]), (QUESTIONS[0], [second, first])]
    samples = [_sample(question, pictures, 2 * number) for number, (question, pictures) in enumerate(cases)]
    with claims.within_limits("pictures"):
        for (answer,), (question, pictures) in zip(numbered.generate(samples, SHORT), cases, strict=True):
            assert greedy(member, question, pictures).agrees(_tokens(answer), stops(member))


def test_settings_of_a_generation_config_are_followed_as_generate_follows_them(
    member: Member, cases: list[tuple[str, Image]], samples: list[Sample], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cases, samples = cases[1::2], samples[1::2]
    firsts = [greedy(member, question, [picture], tokens=1).tokens[0] for question, picture in cases]
    settings = copy.deepcopy(member.model.generation_config)
    settings.update(
        repetition_penalty=1.3, no_repeat_ngram_size=2, min_new_tokens=3, begin_suppress_tokens=firsts[:1]
    )  # fmt: skip
    monkeypatch.setattr(member.model, "generation_config", settings)
    vlm = load_vlm("settled", path=member.save(tmp_path), device="cpu", pictures="processor")
    answers = [_tokens(answer) for (answer,) in _numbered(vlm, monkeypatch).generate(samples, SHORT)]
    for answer, (question, picture) in zip(answers, cases, strict=True):
        assert greedy(member, question, [picture]).agrees(answer, stops(member))
    assert answers[0][0] != firsts[0]


def test_a_family_that_is_not_served_is_refused_with_the_reason(stranger: str, claims: Claims, tmp_path: Path) -> None:
    folder = FAMILIES[stranger]().save(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_vlm(stranger, path=folder, device="cpu")
    assert REFUSED[stranger] in str(caught.value)
    claims.show("prefix", f"refused: {REFUSED[stranger]}")
    for column in COLUMNS[1:]:
        claims.show(column, "–")


def test_the_table_names_the_families_that_are_tested(request: pytest.FixtureRequest) -> None:
    if asks_all(request.config):
        pytest.skip("this run writes the table at its end")
    assert list(read_table()) == list(FAMILIES)
