"""A chain that ends as most do stands against one that ends otherwise."""

from __future__ import annotations

import pytest

from harness.types import Group, Sampling
from loops.collect.wrong_chain import WrongChain, end_of
from tasks.pictos.benchmarks import caption_samples
from tests.support.speaker import Speaker

(SAMPLE,) = caption_samples("pool", 1)


def _of(*chains: str) -> Group:
    model = Speaker(lambda sample, sampling, draw: chains[draw])
    recipe = WrongChain(chains=len(chains), guide="{prompt} Think.")
    (group,) = recipe.ask(model, [SAMPLE], seed=0)  # type: ignore[arg-type]
    assert group.sample == SAMPLE
    assert model.passes[0][0][0].prompt == f"{SAMPLE.prompt} Think."
    return group


@pytest.mark.parametrize(
    ("chain", "end"),
    [
        ("Two cats here. The answer is 2.", "2"),
        ("The answer is 3? No. The answer is: two cats. Sure.", "two cats"),
        ("I see.\nAnswer: (B)", "b"),
        ("One cat. Two dogs.", "two dogs"),
        ("...", None),
        ("", None),
    ],
)
def test_a_chain_ends_in_what_it_says_last(chain: str, end: str | None) -> None:
    assert end_of(SAMPLE, chain) == end


def test_the_commonest_end_stands_against_another() -> None:
    group = _of("Hm. The answer is 3.", "So the answer is 2.", "Two. The answer is 2!", "The answer is 4.")
    assert group.answers == ("So the answer is 2.", "Hm. The answer is 3.")
    assert group.notes == ({"end": "2", "votes": 2}, {"end": "3", "votes": 1})


def test_where_all_agree_there_is_no_pair() -> None:
    assert _of("The answer is 2.", "Well. The answer is 2.").answers == ("The answer is 2.", "")


def test_chains_without_an_end_have_no_vote() -> None:
    assert _of("...", "", "The answer is 2.").answers == ("The answer is 2.", "")
    assert _of("...", "").answers == ("", "")


def test_where_no_end_is_the_commonest_there_is_no_pair() -> None:
    assert _of("It is a cat.", "It is a dog.", "It is a dog.", "It is a cat.").answers == ("", "")


def test_chains_are_drawn_as_the_recipe_says() -> None:
    model = Speaker(lambda *question: "2.")
    WrongChain(chains=3, temperature=0.5).ask(model, [SAMPLE], seed=9)  # type: ignore[arg-type]
    assert [sampling for _, sampling in model.passes] == [Sampling(n=3, temperature=0.5, max_tokens=80, seed=9)]
