"""Answers are searched for sentence by sentence: likely ones go on, and ones that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.errors import RunError
from harness.models.load import load_vlm
from harness.models.mixing import Mix, hallucination
from harness.sentences import split_sentences
from harness.types import Advance, Answer, Sample, Sampling
from loops.collect.beam import BeamSearch, Begun, chosen
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.models import shipped

GRAMMAR = {
    "": ("A cat.", "A cat.", "A dog.", "A cup."),
    "A cat.": ("A cat. It sleeps.", "A cat.", "A cat.", "A cat."),
    "A dog.": ("A dog. It barks.", "A dog. It barks.", "A dog. It runs.", "A dog."),
    "A cup.": ("A cup.", "A cup.", "A cup.", "A cup."),
}
"""An answer so far -> what is drawn from it; a text that is not here goes on with nothing."""

LIKELY = {"A cat.": -1.0, "A dog.": -2.0, "A cup.": -3.0, "It sleeps.": -4.0, "It barks.": -1.0, "It runs.": -9.0}


class Grammar:
    """Draws from a grammar, and finds sentences as likely as they are written to be."""

    def __init__(self, grammar: Mapping[str, tuple[str, ...]] = GRAMMAR) -> None:
        self.grammar = grammar
        self.asked: list[tuple[list[str], Sampling]] = []

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] = (),
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        assert all(mix.weight is None for mix in how), "no second pass"
        self.asked.append(([mix.lead for mix in how], sampling))
        texts = [self.grammar.get(mix.lead, (mix.lead,) * 4)[: sampling.n] for mix in how]
        return [[Answer(text=text.rstrip("…"), finished=text[-1:] != "…") for text in row] for row in texts]

    def sentence_log_likelihoods(self, samples: Sequence[Sample], answers: Sequence[str]) -> list[list[float]]:
        return [[LIKELY.get(sentence, -5.0) for sentence in split_sentences(answer)] for answer in answers]


def _collected(recipe: BeamSearch, model: Grammar) -> list[tuple[str, object]]:
    (group,) = recipe.ask(model, caption_samples("pool", 1), seed=3)  # type: ignore[arg-type]
    return [(text, note["score"]) for text, note in zip(group.answers, group.notes, strict=True)]


def test_likely_answers_go_on_until_they_end() -> None:
    model = Grammar()
    assert _collected(BeamSearch(beams=3, diversity=0), model) == [
        ("A cat.", -1.0),
        ("A dog. It barks.", -1.5),
        ("A dog.", -2.0),
    ]
    assert [leads for leads, _ in model.asked] == [[""], ["A cat.", "A dog.", "A cup."], ["A dog. It barks."]]
    assert [(each.n, each.sentences, each.seed) for _, each in model.asked] == [(4, 1, 3), (4, 1, 4), (4, 1, 5)]


def test_a_sentence_that_another_took_counts_less() -> None:
    beams = [
        Begun(text="A cat. It sits.", total=-2.0),
        Begun(text="A dog. It sits.", total=-2.4),
        Begun(text="A cup. It falls.", total=-3.0),
    ]
    assert chosen(beams, BeamSearch(beams=2, diversity=0)) == beams[:2]
    assert chosen(beams, BeamSearch(beams=2, diversity=0.5)) == [beams[0], beams[2]]
    assert chosen([*beams, *beams], BeamSearch(beams=6)) == [beams[0], beams[2], beams[1]], "each answer once"


def test_a_sentence_that_was_cut_is_no_end() -> None:
    model, samples = Grammar({"": ("A cat.", "A dog…", "A dog…", "A cat.")}), caption_samples("pool", 1)
    (group,) = BeamSearch(max_unfinished=0.5).ask(model, samples, seed=0)  # type: ignore[arg-type]
    assert group.answers == ("A cat.", "")
    assert group.notes == ({"score": -1.0}, {"score": -5.0, "unfinished": True, "left_out": "A dog"})
    with pytest.raises(RunError, match=r"^1 of 2 answers were cut at collect\.max_tokens 80"):
        BeamSearch().ask(model, samples, seed=0)  # type: ignore[arg-type]


def test_an_answer_that_would_go_on_for_ever_is_unfinished() -> None:
    endless = {"": ("A.",) * 4, "A.": ("A. A.",) * 4, "A. A.": ("A. A. A.",) * 4}
    recipe = BeamSearch(beams=2, sentences=3, max_unfinished=1)
    (group,) = recipe.ask(Grammar(endless), caption_samples("pool", 1), seed=0)  # type: ignore[arg-type]
    assert (group.answers, group.notes[0]["unfinished"]) == (("A. A. A.",), True)


def test_a_model_ends_after_a_sentence_and_goes_on_from_a_lead() -> None:
    """Sentence by sentence it says what it says without a bound, and no second pass is made."""
    model = load_vlm("pictos-seed", path=shipped("pictos-seed"), device="cpu")
    samples = caption_samples("dev", 6)
    whole = [split_sentences(texts[0]) for texts in model.generate(samples, Sampling(max_tokens=80))]
    assert len({len(sentences) for sentences in whole}) > 1
    texts = [""] * len(samples)
    for count in range(1, max(map(len, whole)) + 2):
        texts = model.hallucinate(samples, [Mix(lead=text) for text in texts], Sampling(max_tokens=80, sentences=1))
        assert texts == [" ".join(sentences[:count]) for sentences in whole]
    assert model.costs["twin_tokens"] == 0


def test_rows_that_are_mixed_and_rows_that_are_not_are_not_decoded_together(tiny: Path) -> None:
    model = load_vlm("tiny", path=tiny, device="cpu")
    with pytest.raises(ValueError, match="all are mixed or none is"):
        model.hallucinate(caption_samples("dev", 2), [Mix(lead="A cat."), hallucination(0.5)], Sampling())
