"""Operations are estimated from weights and tokens, and torch counts as many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.models.flops import LayerFlops, Weights, weights_of
from harness.models.load import load_vlm
from harness.types import Sampling
from tasks.pictos.benchmarks import caption_samples

aten = torch.ops.aten
PRODUCTS = (aten.mm, aten.addmm, aten.convolution)
"""What multiplies by weights; the products of attention are of tokens."""


def counted(run: Any) -> int:
    """What torch counts of matrix products and convolutions, those of the head left out."""
    with FlopCounterMode(display=False) as counter:
        run()
    took = counter.get_flop_counts()
    heads = [counts for name, counts in took.items() if name.endswith("lm_head")]
    assert heads
    return sum(took["Global"].get(each, 0) - sum(head.get(each, 0) for head in heads) for each in PRODUCTS)


def test_a_token_takes_two_operations_a_weight_and_thrice_as_many_where_it_is_trained() -> None:
    weights = Weights(text=10, picture=100, trained_text=10)
    assert weights.flops(3) == 60
    assert weights.flops(3, 2) == 60 + 400
    assert weights.flops(3, 2, backwards=True) == 3 * 60 + 400, "nothing goes back into an encoder that stays"
    adapter = Weights(text=11, trained_text=1)
    assert adapter.flops(1, backwards=True) == 22 + 22 + 2
    assert Weights(text=10, picture=5, trained_text=10, trained_picture=5).flops(2, 1, backwards=True) == 120 + 30


def test_the_estimate_of_an_answer_is_what_torch_counts(tiny: Path) -> None:
    """But for biases, norms and embeddings of places, of which a tiny model has many beside its matrices."""
    model, samples = load_vlm("tiny", path=tiny, device="cpu"), caption_samples("dev", 2)
    took = counted(lambda: model.generate(samples, Sampling(max_tokens=6)))
    assert model.costs["estimated_flops"] == pytest.approx(took, rel=0.1)
    assert model.costs["estimated_flops"] == model.weights.flops(
        model.costs["forward_tokens"], model.costs["picture_tokens"]
    )


def test_embeddings_and_head_do_not_count(tiny: Path) -> None:
    model: Any = load_vlm("tiny", path=tiny, device="cpu").model
    weights = weights_of(model)
    tower = sum(each.numel() for each in model.get_encoder(modality="image").parameters())
    ends = {id(end.weight): end.weight.numel() for end in (model.get_input_embeddings(), model.get_output_embeddings())}
    assert weights.picture == tower == weights.trained_picture
    assert weights.text == sum(each.numel() for each in model.parameters()) - tower - sum(ends.values())


def test_layers_of_any_model_are_counted_as_they_run() -> None:
    linear, conv = torch.nn.Linear(8, 4), torch.nn.Conv2d(3, 5, 2, stride=2)
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    model = torch.nn.ModuleList([linear, conv, attention])
    layers, tokens = LayerFlops(model), torch.zeros(2, 6, 8)
    linear(tokens)
    assert layers.flops == 2 * 32 * 12
    layers.flops = 0
    conv(torch.zeros(2, 3, 4, 4))
    assert layers.flops == 2 * 60 * 8
    layers.flops = 0
    attention(tokens, tokens, tokens)
    assert layers.flops == 2 * 4 * 64 * 12
