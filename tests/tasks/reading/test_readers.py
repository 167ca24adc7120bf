"""Each reader of yes and no, with the quirks that published figures depend on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.reading.readers import (
    YES_NO_PROFILES,
    read_yes_no_lmms_eval,
    read_yes_no_official,
    read_yes_no_strict,
    read_yes_no_vlmeval,
)

# answer: official, lmms-eval, vlmeval, strict
TABLE = {
    "Yes": ("yes", "yes", "yes", "yes"),
    "No": ("no", "no", "no", "no"),
    "yes": ("yes", "yes", "yes", "yes"),
    "no": ("no", "no", "no", "no"),
    " no\n": ("yes", "no", "no", "no"),
    "NO": ("yes", "no", "no", "no"),
    "No.": ("no", None, "no", "no"),
    "Yes.": ("yes", None, "yes", "yes"),
    "No, there is a cat.": ("no", None, "no", "no"),
    "No,there is a cat": ("yes", None, "no", "no"),
    "Yes, there is no doubt": ("no", None, None, "yes"),
    "There is no dog.": ("no", None, "no", "no"),
    "There is not a dog.": ("no", None, None, None),
    "There isn't": ("yes", None, None, None),
    "Maybe": ("yes", None, None, None),
    "": ("yes", None, None, None),
    "  \n": ("yes", None, None, None),
    "Well. No": ("yes", None, "no", "no"),
    "No\nThere is none": ("yes", None, "no", "no"),
    "**Yes**": ("yes", None, None, "yes"),
    "'yes'": ("yes", None, None, "yes"),
    "Answer: no": ("no", None, "no", "no"),
    "yes.no": ("yes", None, None, None),
    "Yes or no": ("no", None, None, None),
    "Yes/No": ("yes", None, None, None),
    "No, yes": ("no", None, None, None),
    "No, no, no": ("no", None, "no", "no"),
    "A snowboard": ("yes", None, None, None),
    "Nobody knows": ("yes", None, None, None),
    "no-one": ("yes", None, "no", None),
    "yes-no -": ("yes", None, None, None),
    "1,000 times yes!": ("yes", None, "yes", "yes"),
}


@pytest.mark.parametrize("answer", TABLE)
def test_every_profile_reads_as_its_authors_do(answer: str) -> None:
    assert tuple(reader(answer) for reader in YES_NO_PROFILES.values()) == TABLE[answer]


def test_the_profiles_are_the_four_of_the_table_in_its_order() -> None:
    assert list(YES_NO_PROFILES) == ["official", "lmms-eval", "vlmeval", "strict"]


def test_vlmeval_joins_words_over_a_mark_that_stands_beside_a_space_somewhere_else() -> None:
    assert read_yes_no_vlmeval("no-dog") == "no"  # the hyphen becomes a space
    assert read_yes_no_vlmeval("no-dog - none") is None  # the hyphens vanish: "nodog"


def test_vlmeval_removes_only_32_full_stops() -> None:
    assert read_yes_no_vlmeval("." * 32 + "yes") == "yes"
    assert read_yes_no_vlmeval("." * 33 + "yes") is None


@given(st.text())
def test_official_reads_every_answer(answer: str) -> None:
    assert read_yes_no_official(answer) in ("yes", "no")


@given(st.text())
def test_strict_reads_nothing_from_an_answer_with_neither_word(answer: str) -> None:
    if "yes" not in answer.lower() and "no" not in answer.lower():
        assert read_yes_no_strict(answer) is None


@given(st.sampled_from(["yes", "no", "Yes", "NO"]), st.text(alphabet=" .,!?\n*\"'"), st.text(alphabet=" .,!?\n*\"'"))
def test_strict_reads_a_bare_word_in_any_case_and_punctuation(word: str, before: str, after: str) -> None:
    assert read_yes_no_strict(before + word + after) == word.lower()


@given(st.text(alphabet="yesno ,.-/'"))
def test_lmms_eval_reads_the_least_and_agrees_with_strict_where_it_reads(answer: str) -> None:
    read = read_yes_no_lmms_eval(answer)
    assert read is None or read == read_yes_no_strict(answer) == read_yes_no_vlmeval(answer)


@given(st.text())
def test_reading_raises_on_no_text_at_all(answer: str) -> None:
    assert all(reader(answer) in ("yes", "no", None) for reader in YES_NO_PROFILES.values())
