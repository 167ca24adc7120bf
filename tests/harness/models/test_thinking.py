"""A thought has tokens of its own: one that does not end is closed by force, and the answer follows."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.models.thinking import ThoughtBudget, text_with_tags, thought_tags
from harness.thoughts import TAGS, ThoughtTags, answer_of, tags_of
from tests.support.characters import Characters

THINK = ThoughtTags("<think>", "</think>")


def _written(model: str, *, prompt: str = "Q:", longest: int = 12, max_tokens: int = 3) -> str:
    """What comes of a model that would write this text, a character a token, until its end or its bound."""
    tokenizer = Characters()
    budget = ThoughtBudget(tokenizer, THINK, [tokenizer(prompt).input_ids], longest=longest, max_tokens=max_tokens)
    text = ""
    for token in tokenizer(model).input_ids[: budget.steps]:
        text += tokenizer.decode([budget.write(0, token)])
        if budget.is_full(0):
            break
    return text


@pytest.mark.parametrize("tags", TAGS, ids=lambda tags: tags.opening)
def test_every_tag_closes_a_thought_for_the_marks_too(tags: ThoughtTags) -> None:
    assert answer_of(f"{tags.opening} a dog? {tags.closing}Yes").answer == "Yes"
    assert not answer_of(f"{tags.opening} a dog?").finished


def test_tags_are_those_of_the_template_before_those_of_the_vocabulary() -> None:
    assert tags_of(["{{ '<think>' }}"], ()) is None
    assert tags_of(["write [THINK]...[/THINK] first"], ("</think>",)) == ThoughtTags("[THINK]", "[/THINK]")
    assert tags_of([""], ("</think>", "a")) == THINK


def test_a_model_without_tags_is_told() -> None:
    with pytest.raises(UsageError, match=r"^--max-thought-tokens: m has no tag of a thought in its vocabulary"):
        thought_tags("m", Characters(), ["{{ messages }}"])


def test_an_answer_without_a_thought_has_its_own_tokens() -> None:
    assert _written("Yes, it is") == "Yes"
    assert _written("<th is it") == "<th ", "until it is known to be no tag"


def test_a_thought_that_ends_leaves_the_answer_all_its_tokens() -> None:
    assert _written("<think>a</think>Yes, it is", longest=40) == "<think>a</think>Yes"


def test_a_thought_over_its_bound_is_closed_and_the_answer_goes_on() -> None:
    """The model's own tokens are passed over while the closing tag is written."""
    assert _written("<think>abcdefghijklmNo, it is") == "<think>abcde</think>No,"


def test_a_thought_that_the_template_opened_counts_from_the_first_token() -> None:
    assert _written("abcdefghijkl", prompt="Q:<think>\n", longest=2, max_tokens=2) == "ab</think>kl"


def test_a_tag_that_the_question_mentions_opens_nothing() -> None:
    assert _written("Yes, it is", prompt="<think>\nWhat? A:") == "Yes"


def test_tags_that_are_special_tokens_stay_in_the_text() -> None:
    """Command A's are: a thought without them would be marked as the answer."""
    tokenizer = Characters(special=("<think>", "</think>", "</s>"))
    ids = tokenizer("<think>a</think>Yes</s>").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "aYes"
    assert text_with_tags(tokenizer, ids, THINK) == "<think>a</think>Yes"
    assert text_with_tags(tokenizer, ids, None) == "aYes"
