"""Two passes are mixed by the published formulas, in numbers and in a model's own answers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from harness.distortions import distorted_sample
from harness.models.load import load_vlm
from harness.models.mixing import Mix, hallucination, m3id, mixed, vcd
from harness.models.vlm import Vlm
from harness.types import Sample, Sampling
from tasks.pictos.benchmarks import caption_samples

NONE = torch.tensor([], dtype=torch.long)
SEEING = torch.tensor([[2.0, 1.0, -1.0, 0.5]])
TWIN = torch.tensor([[1.0, 3.0, -2.0, 0.5]])
GREEDY = Sampling(max_tokens=8)


def _mixed(mix: Mix, step: int = 0, forbidden: torch.Tensor = NONE) -> list[float]:
    (row,) = mixed(SEEING, TWIN, [mix], [step], forbidden).tolist()
    return list(row)


def test_a_hallucination_lies_between_the_passes() -> None:
    assert _mixed(hallucination(0.25)) == [1.75, 1.5, -1.25, 0.5]
    assert _mixed(hallucination(0.0)) == SEEING[0].tolist()
    assert _mixed(hallucination(1.0), 40) == TWIN[0].tolist()


def test_vcd_goes_as_far_beyond_among_the_likely_tokens() -> None:
    """(1 + 1) * seeing - twin; a tenth of the likeliest is 2.303 nats below it, so the third token is out."""
    assert _mixed(vcd(None)) == [3.0, -1.0, -math.inf, 0.5]
    assert _mixed(vcd(None, alpha=0.5, beta=1e-9)) == [2.5, 0.0, -0.5, 0.5]
    assert _mixed(vcd(None, beta=0.5)) == [3.0, -math.inf, -math.inf, -math.inf]


@pytest.mark.parametrize("step", [0, 1, 10, 200])
def test_m3id_grows_with_the_answer(step: int) -> None:
    gamma = math.exp(-0.02 * step)
    expected = SEEING + (1 - gamma) / gamma * (SEEING - TWIN)
    result = _mixed(m3id(beta=1e-9), step)
    assert result == pytest.approx(expected[0].tolist(), rel=1e-5)
    assert (result == SEEING[0].tolist()) == (step == 0)


def test_a_token_that_is_never_written_does_not_say_what_is_likely() -> None:
    """The first token is a picture's: of the others the second is the likeliest."""
    assert _mixed(vcd(None, beta=0.5), forbidden=torch.tensor([0]))[1:] == [-1.0, -math.inf, 0.5]


def test_an_endless_answer_is_still_made_of_numbers() -> None:
    assert all(map(math.isfinite, _mixed(m3id(beta=1e-9), 100_000)))


def test_rows_are_mixed_each_in_its_own_way() -> None:
    mixes = [hallucination(0.25), vcd(None)]
    both = mixed(SEEING.expand(2, -1), TWIN.expand(2, -1), mixes, [0, 3], NONE).tolist()
    assert both == [_mixed(mix) for mix in mixes]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Vlm:
    return load_vlm("tiny", path=tiny, device="cpu")


def _plain(model: Vlm, sample: Sample, answer: list[int]) -> torch.Tensor:
    """The next token's logits by a plain pass over the prompt and the answer so far."""
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": sample.prompt}]}
    text = model.processor.apply_chat_template([turn], add_generation_prompt=True)
    inputs = model.processor(text=[text], images=model.reader.pictures(sample), return_tensors="pt")
    behind = torch.tensor([answer], dtype=torch.long)
    ids = torch.cat([inputs["input_ids"], behind], 1)
    with torch.inference_mode():
        output = model.model(input_ids=ids, pixel_values=inputs["pixel_values"], attention_mask=torch.ones_like(ids))
    logits: torch.Tensor = output.logits[0, -1]
    return logits


def _by_hand(model: Vlm, sample: Sample, beside: Sample) -> str:
    """VCD's greedy answer by plain passes over the whole text, the second one about another picture."""
    answer: list[int] = []
    while len(answer) < GREEDY.max_tokens:
        seeing, other = (_plain(model, each, answer) for each in (sample, beside))
        writable = seeing.index_fill(-1, model._unwritten, -torch.inf)
        logits = (2 * seeing - other).masked_fill(writable < writable.max() + math.log(0.1), -torch.inf)
        token = int(logits.argmax())
        if token in model.stop:
            break
        answer.append(token)
    return str(model.tokenizer.decode(answer, skip_special_tokens=True)).strip()


def test_a_twin_may_be_shown_another_picture_and_answers_do_not_depend_on_the_batch(
    model: Vlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = caption_samples("dev", 5)
    besides = [distorted_sample(sample, "noise", 500, 0) for sample in samples]
    mixes = [vcd(beside) for beside in besides]
    together = model.hallucinate(samples, mixes, GREEDY)
    assert together == [_by_hand(model, sample, beside) for sample, beside in zip(samples, besides, strict=True)]
    assert together != [texts[0] for texts in model.generate(samples, GREEDY)]
    monkeypatch.setattr(model, "batch", 2)
    assert model.hallucinate(samples, mixes, GREEDY) == together


def test_rows_with_and_without_a_picture_beside_them_are_answered_together_as_alone(model: Vlm) -> None:
    samples = caption_samples("dev", 4)
    mixes = [vcd(distorted_sample(samples[0], "blur", 0.1, 0)), m3id(), hallucination(0.5, "A cat."), vcd(samples[1])]
    alone = [model.hallucinate([sample], [mix], GREEDY)[0] for sample, mix in zip(samples, mixes, strict=True)]
    assert model.hallucinate(samples, mixes, GREEDY) == alone


def test_whole_prompts_give_the_same_mixes(model: Vlm, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = caption_samples("dev", 3)
    mixes = [vcd(distorted_sample(sample, "noise", 500, 0)) for sample in samples]
    together = model.hallucinate(samples, mixes, GREEDY)
    for prefix in model.prefixes[1:]:
        monkeypatch.setattr(model, "prefix", prefix)
        assert model.hallucinate(samples, mixes, GREEDY) == together, prefix


def test_what_the_twins_read_is_counted(model: Vlm) -> None:
    """A prompt of P picture tokens is read twice, once with the noised picture; both go on a token at a time."""
    (sample,) = caption_samples("dev", 1)
    one = Sampling(max_tokens=1)
    before = model.costs.copy()
    model.generate([sample], one)
    plain = model.costs - before
    before = model.costs.copy()
    model.hallucinate([sample], [vcd(distorted_sample(sample, "noise", 500, 0))], one)
    both = model.costs - before
    assert both["forward_tokens"] == 2 * plain["forward_tokens"]
    assert both["picture_tokens"] == 2 * plain["picture_tokens"]
    assert both["twin_tokens"] == plain["forward_tokens"]
