"""What is asked instead of the plain prompt, and that the training row keeps it."""

from __future__ import annotations

import pytest

from harness.files import digest_of_json
from harness.pictures import open_picture
from harness.types import Sample, Sampling
from loops.collect.bad_prompt import BAD_PROMPTS, GOOD_PROMPT, BadPrompt
from loops.collect.guided import STEPS, Guided
from tasks.pictos.benchmarks import caption_samples
from tests.support.speaker import Speaker

PLAIN = caption_samples("pool", 1)[0].prompt


def _prompt(sample: Sample, sampling: Sampling, draw: int) -> str:
    return f"{sample.prompt} {draw}"


def test_a_bad_prompt_makes_the_answer_to_avoid_and_the_row_keeps_the_plain_one() -> None:
    samples, model = caption_samples("pool", 40), Speaker(_prompt)
    recipe = BadPrompt(good_prompt="Well?", bad_prompts=("Ill?", "Worse?"), distorted=0)
    groups = recipe.ask(model, samples, seed=0)  # type: ignore[arg-type]
    assert [group.sample for group in groups] == samples
    assert {group.answers[0] for group in groups} == {"Well? 0"}
    assert {(group.answers[1], group.notes[1]["prompt"]) for group in groups} == {
        ("Ill? 0", "Ill?"),
        ("Worse? 0", "Worse?"),
    }


def test_a_share_of_the_answers_to_avoid_is_to_the_plain_prompt_and_a_distorted_picture() -> None:
    samples, model = caption_samples("pool", 60), Speaker(_prompt)
    groups = BadPrompt(good_prompt=None).ask(model, samples, seed=0)  # type: ignore[arg-type]
    assert {group.answers[0] for group in groups} == {f"{PLAIN} 0"}
    names = [group.notes[1].get("distortion") for group in groups]
    assert 20 < names.count(None) < 40, "half of them, within chance"
    assert set(names) == {None, "low_resolution", "colour"}
    for sample, seen, name in zip(samples, model.passes[1][0], names, strict=True):
        same = open_picture(sample.images[0]).tobytes() == open_picture(seen.images[0]).tobytes()
        assert same == (name is None) == (seen.prompt in BAD_PROMPTS)


def test_a_guide_holds_the_plain_prompt_and_the_row_keeps_it() -> None:
    samples, model = caption_samples("pool", 2), Speaker(_prompt)
    recipe = Guided(guide="{prompt} Think first.", answers=2, temperature=1)
    groups = recipe.ask(model, samples, seed=0)  # type: ignore[arg-type]
    assert [group.sample for group in groups] == samples
    assert groups[0].answers == (f"{PLAIN} Think first. 0", f"{PLAIN} Think first. 1", f"{PLAIN} 0")
    assert groups[0].notes == ({"guided": True}, {"guided": True}, {})


def test_equal_answers_to_a_guide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"collect\.answers: at temperature 0 they are equal; set collect\.temper"):
        Guided(answers=2)


def test_another_prompt_is_another_version() -> None:
    assert (BadPrompt.version, digest_of_json([GOOD_PROMPT, BAD_PROMPTS])[:12]) == (1, "a2853d1d9cd0")
    assert (Guided.version, digest_of_json(STEPS)[:12]) == (1, "ed4b5797b31d")
