"""The greedy answer stands first, the drawn ones behind it."""

from __future__ import annotations

from harness.types import Sample, Sampling
from loops.collect.greedy_and_sample import GreedyAndSample
from tasks.pictos.benchmarks import caption_samples
from tests.support.speaker import Speaker


def _says(sample: Sample, sampling: Sampling, draw: int) -> str:
    return f"Drawn {draw}." if sampling.temperature else "Greedy."


def test_a_group_is_the_greedy_answer_and_the_drawn_ones_behind_it() -> None:
    model = Speaker(_says)
    recipe = GreedyAndSample(answers=2, temperature=0.7, top_p=0.9, max_tokens=9)
    groups = recipe.ask(model, caption_samples("pool", 3), seed=4)  # type: ignore[arg-type]
    assert [group.answers for group in groups] == [("Greedy.", "Drawn 0.", "Drawn 1.")] * 3
    assert [sampling for _, sampling in model.passes] == [
        Sampling(max_tokens=9, seed=4),
        Sampling(n=2, temperature=0.7, top_p=0.9, max_tokens=9, seed=4),
    ]


def test_no_answer_is_preferred_by_its_making() -> None:
    assert not GreedyAndSample().ordered
