"""A thought has tokens of its own: one that does not end is closed by force, and the answer follows."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.models.load import load_vlm
from harness.models.thinking import ThoughtBudget, text_with_tags, thought_tags
from harness.models.vlm import Vlm
from harness.store import Store, ask
from harness.thoughts import TAGS, ThoughtTags, answer_of, tags_of
from harness.types import Sampling
from tasks.pictos.benchmarks import caption_samples
from tests.support.characters import Characters
from tests.support.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny

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
    assert tags_of(["{{ messages }}"], ("<think>",)) is None
    assert tags_of(["{{ '<think>' }}"], ()) == THINK
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


OPENED = HUB_TEMPLATE.replace("{{ 'ASSISTANT:' }}", "{{ 'ASSISTANT:<think>\n' }}")


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    """A model whose template opens a thought, which its random weights never close."""
    folder = save_tiny(tmp_path_factory.mktemp("m"), seed=4, reads=llama_like_processor("first", OPENED))
    return load_vlm("m", path=folder, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_thinks_for_ever_answers_behind_a_closed_thought(thinker: Vlm, temperature: float) -> None:
    samples = caption_samples("dev", 4)
    sampling = Sampling(max_tokens=5, max_thought_tokens=7, temperature=temperature)
    answers = [answer for (answer,) in thinker.answers(samples, sampling)]
    parted = [answer.text.partition("</think>") for answer in answers]
    assert all(tag for _, tag, _ in parted)
    assert [answer_of(answer.text).answer for answer in answers] == [behind.strip() for *_, behind in parted]
    unbounded = [answer for (answer,) in thinker.answers(samples, Sampling(max_tokens=7, temperature=temperature))]
    assert [thought.strip() for thought, *_ in parted] == [answer.text for answer in unbounded]
    assert not any(answer.finished for answer in answers), "cut where the answer had its tokens"


@pytest.mark.slow
def test_thoughts_with_tokens_of_their_own_are_stored_under_keys_of_their_own(thinker: Vlm) -> None:
    store, (sample,) = Store(), caption_samples("dev", 1)
    for longest in (None, 3, 4, None):
        ask(thinker, [sample], Sampling(max_tokens=3, max_thought_tokens=longest), store)
    assert len(store.answers) == 3
    assert Sampling().settings == {"n": 1, "temperature": 0.0, "max_tokens": 64, "seed": 0}
