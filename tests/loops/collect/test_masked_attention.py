"""The answer to a picture stands against one that some layers cannot see the picture for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from harness.models.load import load_vlm
from harness.types import Sampling
from loops.collect.masked_attention import MaskedAttention
from tasks.pictos.benchmarks import caption_samples
from tests.support.speaker import Speaker


class Hiding(Speaker):
    """Says whether it sees."""

    def __init__(self) -> None:
        super().__init__(lambda *question: f"Hidden from {self.hidden}." if self.hidden else "Seen.")
        self.hidden: tuple[float, float] | None = None

    @contextmanager
    def pictures_hidden(self, first: float, last: float) -> Iterator[None]:
        self.hidden = (first, last)
        yield
        self.hidden = None


def test_the_second_answer_is_given_with_the_picture_hidden() -> None:
    model = Hiding()
    groups = MaskedAttention(first=0.25, last=0.75).ask(model, caption_samples("pool", 2), seed=4)  # type: ignore[arg-type]
    assert [group.answers for group in groups] == [("Seen.", "Hidden from (0.25, 0.75).")] * 2
    assert groups[0].notes == ({}, {"hidden": [0.25, 0.75]})
    assert [sampling.seed for _, sampling in model.passes] == [4, 4]


def test_layers_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(ValueError, match=r"collect\.first 0\.5: no layer lies from there to collect\.last 0\.5"):
        MaskedAttention(first=0.5, last=0.5)


@torch.inference_mode()
def test_a_hidden_picture_is_one_whose_tokens_no_text_attends_to(tiny: Path) -> None:
    """Hidden from all layers it is as a mask that leaves its tokens out: the same as transformers computes then."""
    model = load_vlm("tiny", path=tiny, device="cpu")
    (sample,) = caption_samples("dev", 1)
    (head,) = model.reader.heads([sample]).heads
    ids = torch.tensor([model.reader.prompt(sample)])
    text = torch.tensor([[token not in model.reader.picture_tokens for token in ids[0].tolist()]])
    before = int((~text).nonzero()[:, 1].min())
    positions = torch.arange(ids.shape[1])[None]
    kept = torch.cat([positions[:, :before], positions[:, len(head.ids) :]], 1)
    expected = model.model(input_ids=ids[0][kept[0]][None], position_ids=kept).logits[0, -1]
    with model.pictures_hidden(0.0, 1.0):
        (begun,) = model.begun([sample], Sampling())
    assert torch.allclose(begun.logits[0, -1], expected, atol=1e-4)
    (seen,) = model.begun([sample], Sampling())
    assert not torch.allclose(seen.logits[0, -1], expected, atol=1e-2)


def test_answers_with_hidden_pictures_do_not_depend_on_their_batch(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, samples = load_vlm("tiny", path=tiny, device="cpu"), caption_samples("dev", 5)
    sampling = Sampling(max_tokens=8, temperature=1.0, n=2)
    plain = model.generate(samples, sampling)
    with model.pictures_hidden(0.5, 1.0):
        together = model.generate(samples, sampling)
        assert [model.generate([sample], sampling)[0] for sample in samples] == together != plain
        for prefix in model.prefixes[1:]:
            monkeypatch.setattr(model, "prefix", prefix)
            assert model.generate(samples, sampling) == together, prefix
