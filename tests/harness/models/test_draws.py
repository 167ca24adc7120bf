"""A number means a token: by the cumulative probability, among all tokens or among the likeliest alone."""

from __future__ import annotations

import torch

from harness.models.draws import inverse, nucleus

SHARES = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.25, 0.25, 0.25, 0.25]], dtype=torch.double)


def test_a_nucleus_is_the_fewest_tokens_that_make_up_the_share() -> None:
    assert nucleus(SHARES, 0.7).tolist() == [[0, 0.5, 0, 0.25], [0.25, 0.25, 0.25, 0]]
    assert nucleus(SHARES, 0.5).tolist() == [[0, 0.5, 0, 0], [0.25, 0.25, 0, 0]]
    assert nucleus(SHARES, 1e-9).tolist() == [[0, 0.5, 0, 0], [0.25, 0, 0, 0]], "at least one"
    assert torch.equal(nucleus(SHARES, 1.0), SHARES)


def test_draws_follow_the_probabilities_of_the_nucleus() -> None:
    """A grid of numbers instead of chance: each token is drawn as often as it is likely."""
    grid = (torch.arange(3_000) + 0.5) / 3_000  # no number lies on a border
    logits = SHARES[:1].log().expand(len(grid), -1)
    assert inverse(logits, grid).bincount(minlength=4).tolist() == [300, 1_500, 450, 750]
    assert inverse(logits, grid, 0.7).bincount(minlength=4).tolist() == [0, 2_000, 0, 1_000]
