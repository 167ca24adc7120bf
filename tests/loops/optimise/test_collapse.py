"""A training after which a model answers nothing any more is an error; one that only changes its answers is none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.errors import RecipeError
from harness.types import Answer, Sample
from loops.groups import Example
from loops.optimise.collapse import PROMPTS, prompts_of, refuse_collapsed

SENTENCES = [f"There is a {thing} here." for thing in ("cat", "dog", "cup", "hat")]


def answers(texts: Sequence[str], finished: bool = True) -> list[Answer]:
    return [Answer(text=text, finished=finished) for text in texts]


@pytest.mark.reported("training")
@pytest.mark.parametrize(
    ("after", "fault"),
    [
        (answers(["", " ", "", ""]), "all are empty; lower optimise.trl.learning_rate"),
        (answers(["a a a"] * 3 + ["b b b"], finished=False), "none ends, and 4 did before; lower"),
        (answers(["cat cat"] * 4), "all are 'cat cat', and 4 different ones were given before; lower"),
    ],
    ids=["silence", "no end", "one answer"],
)
def test_answers_that_are_all_empty_endless_or_the_same_are_a_collapse(after: list[Answer], fault: str) -> None:
    with pytest.raises(RecipeError) as caught:
        refuse_collapsed(answers(SENTENCES), after)
    assert str(caught.value).startswith(f"training collapsed: of 4 greedy answers {fault}")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (answers(SENTENCES), answers(SENTENCES[:1] * 3 + SENTENCES[1:2])),
        (answers(["yes", "no", "yes", "no"]), answers(["yes"] * 4)),
        (answers(SENTENCES[:1] * 3 + SENTENCES[1:2]), answers(SENTENCES[:1] * 4)),
        (answers(["", "", "", "a cat"]), answers([""] * 4)),
        (answers(SENTENCES, finished=False), answers(SENTENCES, finished=False)),
        ([], []),
    ],
    ids=["two answers are left", "a word each", "alike before", "silent before", "endless before", "nothing was asked"],
)
def test_what_may_be_sound_or_was_no_better_before_is_none(before: list[Answer], after: list[Answer]) -> None:
    refuse_collapsed(before, after)


def test_so_many_prompts_that_differ_are_asked_or_none() -> None:
    rows = [
        Example(sample=Sample(id=str(number), prompt="?", images=(), target=None, cluster=str(number // 2)), answer="a")
        for number in range(2 * PROMPTS + 4)
    ]
    assert [sample.id for sample in prompts_of(rows)] == [str(2 * number) for number in range(PROMPTS)]
    assert prompts_of(rows[: 2 * PROMPTS - 2]) == []
