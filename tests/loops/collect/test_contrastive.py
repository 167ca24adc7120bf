"""The answer away from a pass that sees less stands against the plain answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from harness.models.mixing import Mix, m3id
from harness.pictures import open_picture
from harness.types import Advance, Answer, Sample, Sampling
from loops.collect.contrastive import Contrastive
from tasks.pictos.benchmarks import caption_samples


class Contrasted:
    """Says another thing when its passes are mixed; keeps how."""

    def __init__(self) -> None:
        self.how: list[Mix] = []

    def answers(
        self,
        samples: Sequence[Sample],
        sampling: Sampling,
        how: Sequence[Mix] | None = None,
        advance: Advance | None = None,
    ) -> list[list[Answer]]:
        self.how += how or []
        return [[Answer(text="Mixed." if how else "Plain.")] for _ in samples]


def _collected(**fields: Any) -> Contrasted:
    model, samples = Contrasted(), caption_samples("pool", 3)
    groups = Contrastive(**fields).ask(model, samples, seed=4)  # type: ignore[arg-type]
    assert [group.answers for group in groups] == [("Mixed.", "Plain.")] * 3
    assert [group.sample for group in groups] == samples
    return model


def test_vcd_goes_away_from_a_noised_picture() -> None:
    for sample, mix in zip(caption_samples("pool", 3), _collected().how, strict=True):
        assert (mix.weight, mix.growth, mix.cutoff) == (1.0, 0.0, 0.1)
        assert mix.beside is not None
        assert mix.beside.prompt == sample.prompt
        assert open_picture(mix.beside.images[0]).tobytes() != open_picture(sample.images[0]).tobytes()


def test_m3id_goes_away_from_no_picture() -> None:
    assert _collected(formula="m3id").how == [m3id()] * 3


@pytest.mark.parametrize(("formula", "other", "beside"), [("vcd", "blind", False), ("m3id", "noise", True)])
def test_what_the_other_pass_sees_is_a_field(formula: str, other: str, beside: bool) -> None:
    model = _collected(formula=formula, away_from=other, strength=0.5, cutoff=0.2)
    assert [mix.beside is not None for mix in model.how] == [beside] * 3
    assert {(mix.weight + mix.growth, mix.cutoff) for mix in model.how} == {(0.5, 0.2)}
