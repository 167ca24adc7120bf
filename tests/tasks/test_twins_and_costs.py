"""The image-free twin of a row never saw a picture, and all that a model does is counted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from harness.files import read_jsonl
from harness.models.load import load_vlm
from harness.models.mixing import hallucination
from harness.models.vlm import Vlm
from harness.types import Sample, Sampling
from loops.recipe import Recipe
from loops.run import run_recipe
from loops.setting import Bar, Setting
from tasks.pictos.benchmarks import ScenePicture, caption_samples
from tasks.pictos.models import shipped
from tasks.pictos.world import seeds_of
from tasks.registry import find_task, training_pool
from tests.support.tiny import llama_like_processor, save_tiny

pytestmark = pytest.mark.slow

GREEDY = Sampling(max_tokens=12)
SCENES = seeds_of("dev", 6)
MAKERS = {"word level": lambda: None, "Llama-like": lambda: llama_like_processor("first")}


@pytest.fixture(scope="module", params=MAKERS.values(), ids=MAKERS.keys())
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    folder: Path = save_tiny(tmp_path_factory.mktemp("tiny"), seed=1, reads=request.param())
    return load_vlm("tiny", path=folder, device="cpu")


def _about(*scenes: int, prompt: str = "What do you see?") -> Sample:
    """A question about the scenes of these numbers."""
    (sample,) = caption_samples("dev", 1)
    pictures = tuple(ScenePicture(SCENES[number]) for number in scenes)
    return dataclasses.replace(sample, id=f"{scenes}{prompt}", images=pictures, prompt=prompt)


def _twin_logits(model: Vlm, sample: Sample) -> torch.Tensor:
    """Of its first token."""
    (begun,) = model.begun([sample], GREEDY, [hallucination(0.5)])
    return begun.logits[1, -1]


def test_no_picture_of_several_reaches_the_twin(model: Vlm) -> None:
    item, other_first, other_second, another_number = (
        _twin_logits(model, _about(*scenes)) for scenes in ((0, 1), (2, 1), (0, 3), (0, 1, 2))
    )
    assert torch.equal(item, other_first)
    assert torch.equal(item, other_second)
    assert not torch.equal(item, another_number), "the text around three pictures is another"


def _mixed(model: Vlm, sample: Sample, ratio: float) -> str:
    """The hallucination by plain passes over the whole text, the twin's without its picture tokens."""
    reader = model.reader
    pixels = reader.heads([sample]).batches[0].pixels
    seeing = reader.prompt(sample)
    blind = [token for token in seeing if token not in reader.picture_tokens]
    texts: list[int] = []
    while len(texts) < GREEDY.max_tokens:
        with torch.inference_mode():
            conditioned = model.model(input_ids=torch.tensor([seeing + texts]), **pixels).logits[0, -1]
            free = model.model(input_ids=torch.tensor([blind + texts])).logits[0, -1]
        logits = (1 - ratio) * conditioned + ratio * free
        texts.append(int(logits.argmax()))
        if texts[-1] in model.stop:
            break
    return str(model.tokenizer.decode(texts, skip_special_tokens=True)).strip()


@pytest.mark.parametrize("ratio", [0.3, 0.6, 1.0])
def test_a_hallucination_mixes_two_passes_of_which_one_has_no_picture(model: Vlm, ratio: float) -> None:
    samples = [_about(0), _about(1, 2), _about(), _about(3, prompt="Is there a dog in the image?\nAnswer."), _about(4)]
    text = model.hallucinate(samples, [hallucination(ratio)] * len(samples), GREEDY)
    assert text == [_mixed(model, sample, ratio) for sample in samples]


def test_a_hallucination_begins_with_its_lead(model: Vlm) -> None:
    lead = "A cat on the left."
    for ratio in (0.0, 0.6):
        (text,) = model.hallucinate([_about(0, 1)], [hallucination(ratio, lead=lead)], GREEDY)
        assert text.startswith(lead)
        assert text != lead


def test_a_twin_in_a_batch_is_what_it_is_alone(model: Vlm) -> None:
    samples, how = [_about(0, 1), _about(2), _about(3, 4)], [hallucination(0.6)] * 3
    together = model.hallucinate(samples, how, GREEDY)
    assert [model.hallucinate([sample], how[:1], GREEDY)[0] for sample in samples] == together


def test_the_sentences_of_an_answer_are_as_likely_together_as_the_answer(model: Vlm) -> None:
    samples, answers = [_about(0), _about(1, 2)], ["A cat on the left. Two dogs.", "A cup."]
    (first, second), (only,) = model.sentence_log_likelihoods(samples, answers)
    whole = [value for value, _ in model.log_likelihood(samples, answers)]
    assert [first + second, only] == pytest.approx(whole, abs=1e-3)
    alone, _ = model.log_likelihood(samples[:1], ["A cat on the left."])[0]
    assert first == pytest.approx(alone, abs=1e-3)


# Costs ----------------------------------------------------------------------------------------------------------------

PICTURE = 64
"""Tokens of a picture: 64 x 64 pixels in patches of 8 x 8."""


def _spent(model: Vlm, work: Callable[[], object]) -> dict[str, int]:
    model.costs = Counter()
    work()
    spent = dict(+model.costs)
    flops = spent.pop("estimated_flops")
    assert flops == model.weights.flops(spent["forward_tokens"], spent["picture_tokens"])
    return spent


def _lengths(model: Vlm, *samples: Sample) -> tuple[int, int]:
    """(tokens before and between the pictures of the first, tokens behind them of all)."""
    heads = [model.reader.heads([sample]).heads[0] for sample in samples]
    prompts = [model.reader.prompt(sample) for sample in samples]
    tails = sum(len(prompt) - len(head.ids) for prompt, head in zip(prompts, heads, strict=True))
    return len(heads[0].ids) - heads[0].pictures, tails


def test_a_shared_picture_is_counted_once(model: Vlm) -> None:
    first, other = _about(0), _about(0, prompt="How many cats are there in the image?")
    head, tails = _lengths(model, first, other)
    spent = _spent(model, lambda: model.generate([first, other], Sampling(max_tokens=1)))
    assert spent == {
        "forward_passes": 2,
        "forward_tokens": head + PICTURE + tails,
        "picture_tokens": PICTURE,
        "generated_tokens": 2,
    }
    apart = _spent(model, lambda: [model.generate([sample], Sampling(max_tokens=1)) for sample in (first, other)])
    assert apart["forward_tokens"] == spent["forward_tokens"] + head + PICTURE


def test_every_token_but_the_last_is_read_again(model: Vlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "stop", set())
    head, tail = _lengths(model, _about(0))
    spent = _spent(model, lambda: model.generate([_about(0)], Sampling(max_tokens=5)))
    assert spent == {
        "forward_passes": 6,
        "forward_tokens": head + PICTURE + tail + 4,
        "picture_tokens": PICTURE,
        "generated_tokens": 5,
    }


def test_the_twin_doubles_what_is_read_behind_the_pictures(model: Vlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "stop", set())
    samples, sampling = [_about(0, 1), _about(0, 2)], Sampling(max_tokens=5)
    head, tails = _lengths(model, *samples)
    plain = _spent(model, lambda: model.generate(samples, sampling))
    twinned = _spent(model, lambda: model.hallucinate(samples, [hallucination(0.5)] * 2, sampling))
    twin = 2 * head + tails + 2 * 4  # each twin reads its own text whole
    assert plain["forward_tokens"] == 2 * (head + 2 * PICTURE) + tails + 2 * 4
    assert twinned == {
        **plain,
        "forward_passes": plain["forward_passes"] + 1,
        "forward_tokens": plain["forward_tokens"] + twin,
        "twin_tokens": twin,
    }


def test_every_stage_of_a_run_tells_what_it_took(tmp_path: Path) -> None:
    @contextmanager
    def no_bars() -> Iterator[Bar]:
        yield lambda description, total: lambda count: None

    models = {"tiny": save_tiny(tmp_path / "tiny", seed=1), "pictos-encoder": shipped("pictos-encoder")}
    setting = Setting(
        tasks={"pictos_captions": find_task("pictos_captions")}, pool=training_pool, shipped=models.get, bars=no_bars
    )
    recipe = {
        "name": "small", "level": "L3", "model": "tiny", "rounds": 1,
        "collect": {"samples": 8, "temperature": 1.5, "max_tokens": 12, "unfinished": "keep", "max_unfinished": 1},
        "optimise": {"trl": {"max_steps": 1, "per_device_train_batch_size": 2}},
        "evaluate": {"limit": 2, "tasks": ["pictos_captions"], "rerank": 2},
    }  # fmt: skip
    run_recipe(Recipe.model_validate(recipe), tmp_path / "run", setting)
    costs = {line["stage"]: line["cost"] for line in read_jsonl(tmp_path / "run/ledger.jsonl")}
    always = {"seconds", "peak_memory_mb", *(["peak_device_memory_mb"] if torch.cuda.is_initialized() else [])}
    passing = {"forward_passes", "forward_tokens", "picture_tokens", "estimated_flops"}
    asking = passing | {"twin_tokens", "generated_tokens"}
    verifying = {"verifier_passes", "verifier_pictures", "verifier_texts", "verifier_seconds", "estimated_flops"}
    training = passing | {"trained_tokens"}
    assert {name: set(cost) - always for name, cost in costs.items()} == {
        "round-0/eval": asking,
        "round-0/baselines": asking | verifying,
        "round-0/watch": asking | verifying,
        "round-1/collect": asking,
        "round-1/verify": verifying,
        "round-1/select": set(),
        "round-1/optimise": training,
        "round-1/watch": asking | verifying,
        "round-1/eval": asking,
    }
    assert all(always <= set(cost) for cost in costs.values())
    # eight pictures are looked at twice: for the answer, and for the hallucination
    assert costs["round-1/collect"]["picture_tokens"] == 2 * 8 * PICTURE
    assert costs["round-1/verify"]["verifier_pictures"] == 8
    # a pair is one row: the reference has read all eight before the one step of two
    assert costs["round-1/optimise"]["picture_tokens"] == (8 + 2) * PICTURE
    assert (costs["round-0/eval"]["twin_tokens"], costs["round-1/collect"]["twin_tokens"] > 0) == (0, True)


def test_reading_an_answer_is_counted(model: Vlm) -> None:
    head, tail = _lengths(model, _about(0))
    count = len(model.reader.answered(_about(0), "Two dogs.")[1])
    spent = _spent(model, lambda: model.log_likelihood([_about(0)], ["Two dogs."]))
    assert spent == {
        "forward_passes": 2,
        "forward_tokens": head + PICTURE + tail + count,
        "picture_tokens": PICTURE,
    }
