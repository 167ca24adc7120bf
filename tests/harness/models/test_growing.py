"""A cache's layer that grows in place holds what one that is copied at every token holds."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from harness.models.growing import ROOM, GrowingLayer, growing_cache

HEADS, WIDTH = 2, 3
STEPS = st.one_of(
    st.integers(1, 2 * ROOM),  # so many tokens more
    st.lists(st.integers(0, 10), min_size=1, max_size=4),  # these rows alone, modulo how many there are
    st.sampled_from(["crop", "replace", "copy"]),
)


@given(st.lists(STEPS, max_size=12))
def test_it_holds_what_a_copied_one_holds(steps: list[int | list[int] | str]) -> None:
    layers = [GrowingLayer(), DynamicLayer()]
    draw, rows = torch.Generator().manual_seed(0), 3
    with torch.inference_mode():
        for step in [4, *steps]:
            if isinstance(step, int):
                states = [torch.rand(rows, HEADS, step, WIDTH, generator=draw) for _ in range(2)]
                for layer in layers:
                    keys, values = layer.update(*states)
                    assert keys is layer.keys and values is layer.values
            elif isinstance(step, list):
                index = torch.tensor(step) % rows
                rows = len(index)
                for layer in layers:
                    layer.reorder_cache(index)
            elif step == "copy":
                layers = copy.deepcopy(layers)
            else:
                for layer in layers:
                    if step == "crop" and layer.get_seq_length() > 1:
                        layer.crop(-1)
                    elif step == "replace":
                        layer.keys, layer.values = layer.values.clone(), layer.keys.clone()
            growing, copied = layers
            assert torch.equal(growing.keys, copied.keys) and torch.equal(growing.values, copied.values)
            assert growing.get_seq_length() == copied.get_seq_length()


@torch.inference_mode()
def test_a_copy_goes_on_apart_from_what_it_was_copied_from() -> None:
    layer = GrowingLayer()
    for length in (4, 1):
        layer.update(torch.ones(1, 1, length, 1), torch.ones(1, 1, length, 1))
    twin = copy.deepcopy(layer)
    twin.update(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1))
    layer.update(torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 2.0))
    assert (layer.keys[0, 0, -1, 0], twin.keys[0, 0, -1, 0]) == (2, 0)


@torch.inference_mode()
def test_tokens_are_copied_once_in_a_while() -> None:
    layer, places = GrowingLayer(), set()
    for _ in range(10 * ROOM):
        layer.update(torch.zeros(2, HEADS, 1, WIDTH), torch.zeros(2, HEADS, 1, WIDTH))
        places.add(layer.keys.data_ptr())
    assert len(places) <= 10


def test_gradients_go_through_it() -> None:
    layer, states = GrowingLayer(), torch.ones(1, 1, 2, 1, requires_grad=True)
    layer.update(states, states)
    keys, _ = layer.update(states, states)
    keys.sum().backward()
    assert states.grad is not None and states.grad.sum() == 4


@pytest.mark.parametrize("window", [None, 4])
def test_layers_of_other_kinds_stay_what_they_are(window: int | None) -> None:
    kinds = ["full_attention", "sliding_attention"] if window else ["full_attention"] * 2
    config = LlamaConfig(num_hidden_layers=2, sliding_window=window, layer_types=kinds)
    expected = [GrowingLayer, DynamicSlidingWindowLayer if window else GrowingLayer]
    assert [type(layer) for layer in growing_cache(config).layers] == expected
