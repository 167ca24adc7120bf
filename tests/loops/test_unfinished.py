"""An answer that was cut is not taught as one that ended: it is marked, cut to whole sentences, or left out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.errors import RunError
from harness.models.load import load_vlm
from harness.models.mixing import Mix
from harness.sentences import split_sentences, whole_sentences
from harness.types import Advance, Answer, Group, Sample, Sampling
from loops.collect.controlled_hallucination import ControlledHallucination
from loops.collect.sampling import SampledAnswers
from loops.select.pairs import BestAgainstWorst, select
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.models import shipped


class Scripted:
    """Says `own` of every picture, and goes on from a lead with `more`; a text that ends in "…" was cut there."""

    def __init__(self, own: str, more: str = " A bear.") -> None:
        self.own, self.more = own, more

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        texts = [self.own] * len(samples) if how is None else [f"{item.lead}{self.more}".strip() for item in how]
        return [[Answer(text=text.rstrip("…"), finished=text[-1] != "…")] * sampling.n for text in texts]


def _collected(model: Scripted, count: int = 40, **recipe: object) -> list[Group]:
    settings = ControlledHallucination(max_unfinished=1, **recipe)  # type: ignore[arg-type]
    return settings.ask(model, caption_samples("pool", count), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("A cat on the left. Two do", "A cat on the left."),
        ("A cat. Two dogs.", "A cat. Two dogs."),
        ("A cat!\n\nTwo dogs? A", "A cat!\n\nTwo dogs?"),
        ("A list\n- a cat\n- a d", "A list\n- a cat"),
        ("A list\n", "A list"),
        ("Two do", ""),
        ("", ""),
    ],
)
def test_whole_sentences_are_the_text_up_to_the_end_of_the_last_one(text: str, whole: str) -> None:
    assert whole_sentences(text) == whole


def test_a_cut_answer_is_kept_up_to_its_last_whole_sentence_and_says_so() -> None:
    for group in _collected(Scripted("A cat. Two do…")):
        assert group.answers[0] == "A cat."
        assert group.notes[0] == {"unfinished": True, "left_out": " Two do"}


def test_an_answer_that_ended_by_itself_has_no_mark_even_without_a_full_stop() -> None:
    for group in _collected(Scripted("A cat. Two dogs")):
        assert group.answers[0] == "A cat. Two dogs"
        assert [note.get("unfinished") for note in group.notes] == [None, None]


def test_of_a_cut_hallucination_nothing_is_kept_that_is_only_its_lead() -> None:
    groups = _collected(Scripted("A cat. Two dogs.", " A be…"))
    assert {group.answers[1] for group in groups} == {""}
    assert select(groups, BestAgainstWorst()).counts["equal"] == 40, "where nothing is left there is no pair"
    more = _collected(Scripted("A cat. Two dogs.", " A bear. A be…"))
    assert {group.answers[1] for group in more} == {"A bear.", "A cat. A bear."}


@pytest.mark.parametrize(("unfinished", "left"), [("sentences", "A cat."), ("drop", ""), ("keep", "A cat. Two do")])
def test_the_recipe_says_what_becomes_of_cut_answers(unfinished: str, left: str) -> None:
    group = _collected(Scripted("A cat. Two do…"), 1, unfinished=unfinished)[0]
    assert (group.answers[0], group.notes[0]["unfinished"]) == (left, True)
    model, settings = Scripted("A cat. Two do…"), SampledAnswers(temperature=1, answers=2, max_unfinished=1)
    settings = settings.model_copy(update={"unfinished": unfinished})
    (drawn,) = settings.ask(model, caption_samples("pool", 1), seed=0)  # type: ignore[arg-type]
    assert drawn.answers == (left, left)


def test_a_share_of_cut_answers_beyond_the_recipes_is_refused_with_a_remedy() -> None:
    class Sometimes(Scripted):
        def answers(self, *questions: object, **more: object) -> list[list[Answer]]:  # type: ignore[override]
            result = super().answers(*questions, **more)  # type: ignore[arg-type]
            return [[Answer(text="A cat.", finished=index >= self.cut)] for index, _ in enumerate(result)]

    model = Sometimes("A cat.")
    for model.cut, refused in ((8, False), (9, True)):  # type: ignore[attr-defined]
        samples = caption_samples("pool", 40)
        if not refused:
            assert len(ControlledHallucination().ask(model, samples, seed=0)) == 40  # type: ignore[arg-type]
            continue
        with pytest.raises(RunError, match=r"^9 of 40 answers were cut at collect\.max_tokens 80; raise it, or coll"):
            ControlledHallucination().ask(model, samples, seed=0)  # type: ignore[arg-type]


def test_a_lead_is_the_answers_own_text_with_its_line_ends() -> None:
    text = "A cat.\n\nTwo dogs.  A cup."
    leads = {str(group.notes[1]["lead"]) for group in _collected(Scripted(text), 200)}
    assert leads == {"", "A cat.", "A cat.\n\nTwo dogs."}
    assert all(text.startswith(lead) for lead in leads)


def test_sentences_are_cut_as_they_were() -> None:
    assert split_sentences(" A cat.\n\n Two dogs.  A cup ") == ["A cat.", "Two dogs.", "A cup"]


def test_a_model_knows_which_of_its_answers_ended_by_themselves() -> None:
    """With more room an answer that ended says the same, and one that was cut goes on."""
    model = load_vlm("pictos-seed", path=shipped("pictos-seed"), device="cpu")
    samples = caption_samples("pool", 12)
    now, longer = (
        [drawn[0] for drawn in model.drawn(samples, Sampling(max_tokens=most, temperature=1.0, seed=2))]
        for most in (19, 80)
    )
    assert {item.answer.finished for item in now} == {True, False}
    assert {item.answer.finished for item in longer} == {True}
    for here, present in zip(now, longer, strict=True):
        assert present.tokens[: len(here.tokens)] == here.tokens
        assert (present.tokens == here.tokens) == here.answer.finished
        assert present.answer.text.startswith(here.answer.text)
    texts = model.generate(samples, Sampling(max_tokens=19, temperature=1.0, seed=2))
    assert [text[0] for text in texts] == [item.answer.text for item in now]
