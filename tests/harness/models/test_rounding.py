"""Rounding to 16 bits keeps what the type holds, takes one of two neighbours else, and loses nothing on average."""

from __future__ import annotations

import pytest
import torch

from harness.models.rounding import draws, rounded


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_the_type_holds_stays_and_signs_and_ends_do_too(dtype: torch.dtype) -> None:
    held = torch.tensor([0.0, -0.0, 1.0, -1.5, 2.0**-14, torch.inf, -torch.inf, torch.finfo(dtype).max])
    assert torch.equal(rounded(held, dtype, draws()), held.to(dtype))
    assert rounded(torch.tensor([torch.nan]), dtype, draws()).isnan().all()


@pytest.mark.parametrize(
    ("value", "below", "above"), [(1.001, 1.0, 1.0078125), (-1.001, -1.0078125, -1.0), (3e-39, 2.94e-39, 3.03e-39)]
)
def test_a_value_becomes_its_neighbours_as_often_as_makes_it_their_mean(
    value: float, below: float, above: float
) -> None:
    values = rounded(torch.full((100_000,), value), torch.bfloat16, draws()).double()
    assert values.unique().tolist() == pytest.approx([below, above], rel=5e-3)
    assert (float(values.mean()) - value) / (above - below) == pytest.approx(0, abs=0.01)


def test_the_same_weights_are_rounded_alike_each_time() -> None:
    values = torch.linspace(-1, 1, 1000)
    assert torch.equal(rounded(values, torch.bfloat16, draws()), rounded(values, torch.bfloat16, draws()))
