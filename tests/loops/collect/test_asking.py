"""Collectors ask without gold, and say how answers are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.types import Advance, Group, Sample, Sampling
from loops.collect.controlled_hallucination import ControlledHallucination
from loops.collect.sampling import SampledAnswers
from loops.kinds import Collecting
from loops.rounds.offline import _collect
from loops.setting import Bar
from tasks.pictos.benchmarks import caption_samples


@contextmanager
def _no_bars() -> Iterator[Bar]:
    yield lambda description, total: lambda count: None


def test_no_collector_is_given_gold(tmp_path: Path) -> None:
    asked: list[Sample] = []

    def collect(samples: Sequence[Sample], advance: Advance) -> list[Group]:
        asked.extend(samples)
        return [Group(sample=sample, answers=("A cat.", "A dog.")) for sample in samples]

    curious = SimpleNamespace(open=lambda context: Collecting(collect=collect), own_pictures=False)
    study = SimpleNamespace(collect=curious, setting=SimpleNamespace(bars=_no_bars))
    pool = caption_samples("pool", 5)
    _collect(SimpleNamespace(study=study, number=1), tmp_path, lambda: pool)  # type: ignore[arg-type]
    assert [sample.id for sample in asked] == [sample.id for sample in pool]
    assert all(sample.target is not None for sample in pool)
    assert [sample.target for sample in asked] == [None] * 5


def test_a_recipe_says_how_answers_are_drawn() -> None:
    recipe = SampledAnswers(temperature=0.7, top_p=0.9, max_tokens=9)
    assert recipe.sampling(seed=4, n=2) == Sampling(n=2, temperature=0.7, top_p=0.9, max_tokens=9, seed=4)


def test_a_nucleus_of_greedy_answers_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"collect\.top_p: at temperature 0 nothing is drawn; set collect\.temperature"
    ):
        ControlledHallucination(top_p=0.9)


def test_a_field_that_is_not_set_changes_no_stage() -> None:
    assert SampledAnswers(temperature=1).as_input() == {"kind": "sampling", "version": 1, "temperature": 1.0}
