"""Sharing a picture's work changes no answer, and no answer depends on its neighbours."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import ModelError
from harness.models.branches import Rows
from harness.models.load import load_vlm
from harness.models.mixing import hallucination
from harness.models.vlm import Vlm
from harness.models.weights import model_digest
from harness.pictures import open_picture
from harness.types import Sample, Sampling
from tasks.pictos.benchmarks import ScenePicture, caption_samples
from tasks.pictos.training.build import Size
from tasks.pictos.world import seeds_of
from tests.support.tiny import TINY, save_adapter, save_tiny

GREEDY = Sampling(max_tokens=16)
PROMPTS = ("What do you see?", "How many cats are there in the image?", "Is there a dog in the image?\nAnswer.")


@pytest.fixture(scope="module")
def folder(tiny: Path) -> Path:
    return tiny


@pytest.fixture(scope="module")
def model(folder: Path) -> Vlm:
    """Some thirty words end an answer too, so that answers end at different steps."""
    result = load_vlm("tiny", path=folder, device="cpu")
    result.stop |= set(range(20, len(result.tokenizer), 17))
    return result


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    """Ten pictures, three questions each, in no order."""
    questions = [
        dataclasses.replace(sample, id=f"{sample.id}/{number}", prompt=prompt)
        for number, prompt in enumerate(PROMPTS)
        for sample in caption_samples("dev", 10)
    ]
    return questions[::-1]


def _ask(model: Vlm, samples: Sequence[Sample], **changed: Any) -> list[list[str]]:
    return model.generate(samples, dataclasses.replace(GREEDY, **changed))


def _inputs(model: Vlm, sample: Sample) -> Any:
    pictures = [{"type": "image"} for _ in sample.images]
    turn = {"role": "user", "content": [*pictures, {"type": "text", "text": sample.prompt}]}
    text = model.processor.apply_chat_template([turn], add_generation_prompt=True)
    return model.processor(
        text=[text], images=[open_picture(picture) for picture in sample.images] or None, return_tensors="pt"
    )


def _plain(model: Vlm, inputs: Any, most: int = GREEDY.max_tokens) -> list[int]:
    """What transformers' own `generate` says, without the stop token."""
    text = model.model.generate(
        **inputs,
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=sorted(model.stop),
        pad_token_id=model.tokenizer.pad_token_id,
    )[0, inputs["input_ids"].shape[1] :].tolist()
    return [token for token in text if token not in model.stop and token != model.tokenizer.pad_token_id]


def _text(model: Vlm, tokens: list[int]) -> str:
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def test_answers_equal_those_of_plain_generate(model: Vlm, samples: list[Sample]) -> None:
    answers = [result[0] for result in _ask(model, samples)]
    assert answers == [_text(model, _plain(model, _inputs(model, sample))) for sample in samples]
    lengths = {len(model.tokenizer(answer).input_ids) for answer in answers}
    assert len(set(answers)) > 20, "the model is not blind"
    assert len(lengths) > 3, "rows end at different steps"


def test_several_pictures_and_none_are_asked_beside_one(model: Vlm) -> None:
    caption_sample = caption_samples("dev", 1)[0]
    two = dataclasses.replace(caption_sample, id="two", images=tuple(ScenePicture(seed) for seed in seeds_of("dev", 2)))
    none = dataclasses.replace(caption_sample, id="none", images=())
    questions = [two, caption_sample, none]
    assert [result[0] for result in _ask(model, questions)] == [
        _text(model, _plain(model, _inputs(model, sample))) for sample in questions
    ]
    assert [_ask(model, [sample])[0] for sample in questions] == _ask(model, questions)


@pytest.mark.parametrize(
    "sampling",
    [{}, {"temperature": 1.0, "n": 3, "seed": 6}, {"temperature": 1.0, "n": 3, "seed": 6, "top_p": 0.8}],
    ids=["greedy", "drawn", "from a nucleus"],
)
def test_answers_do_not_depend_on_the_batch(
    model: Vlm, samples: list[Sample], sampling: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = _ask(model, samples, **sampling)
    monkeypatch.setattr(model, "batch", 3)
    assert _ask(model, samples, **sampling) == together
    assert _ask(model, samples[7:12], **sampling) == together[7:12]
    monkeypatch.setattr(model, "batch", 1)
    assert _ask(model, samples[:2], **sampling) == together[:2]


def test_draws_differ_by_seed_sample_and_number(model: Vlm, samples: list[Sample]) -> None:
    item = _ask(model, samples[:1], temperature=1.0, n=4, seed=1)[0]
    assert len(set(item)) == 4
    assert _ask(model, samples[:1], temperature=1.0, n=4, seed=1)[0] == item
    assert _ask(model, samples[:1], temperature=1.0, n=2, seed=1)[0] == item[:2]
    assert _ask(model, samples[:1], temperature=1.0, n=4, seed=2)[0] != item
    renamed = dataclasses.replace(samples[0], id="another")
    assert _ask(model, [renamed], temperature=1.0, n=4, seed=1)[0] != item


def test_draws_follow_the_models_probabilities(model: Vlm, samples: list[Sample]) -> None:
    """4,000 first tokens against softmax: the largest shares agree within four standard errors."""
    drawn = _ask(model, samples[:1], temperature=1.0, n=4_000, max_tokens=1)[0]
    with torch.inference_mode():
        logits = model.model(**_inputs(model, samples[0])).logits[0, -1].double()
    logits = logits.clone()
    logits[model._undrawn] = -torch.inf
    shares = logits.softmax(-1)
    for token in shares.topk(20).indices.tolist():
        if token not in model.stop:
            p, text = float(shares[token]), _text(model, [token])
            twins = sum(
                float(shares[i]) for i in range(len(shares)) if i not in model.stop and _text(model, [i]) == text
            )
            assert drawn.count(text) / len(drawn) == pytest.approx(twins, abs=4 * (p * (1 - p) / 4_000) ** 0.5 + 1e-3)


def test_no_special_or_picture_token_is_drawn_even_when_the_model_wants_to(
    model: Vlm, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[list[int]] = []
    decode = model.tokenizer.decode

    def listening(tokens: list[int], **options: Any) -> str:
        texts.append(list(tokens))
        return str(decode(tokens, **options))

    choose = model._chosen

    def pushed(logits: torch.Tensor, *others: Any) -> list[int]:
        logits = logits.clone()
        logits[..., model._undrawn] += 1e4
        return choose(logits, *others)

    monkeypatch.setattr(model, "_chosen", pushed)
    monkeypatch.setattr(model.tokenizer, "decode", listening)
    _ask(model, samples[:3], temperature=2.0, n=5)
    drawn = dataclasses.replace(GREEDY, temperature=1.0)
    model.hallucinate(samples[:3], [hallucination(0.5)] * 3, drawn)
    forbidden = set(model._undrawn.tolist())
    assert forbidden == {model.tokenizer.convert_tokens_to_ids(token) for token in ("<pad>", "<unk>", "<s>", "<image>")}
    assert len(texts) == 15 + 3
    assert not any(forbidden & set(tokens) for tokens in texts)


def test_hallucination_at_ratio_0_is_the_plain_answer(model: Vlm, samples: list[Sample]) -> None:
    plain = [result[0] for result in _ask(model, samples)]
    assert model.hallucinate(samples, [hallucination(0.0)] * len(samples), GREEDY) == plain


def test_hallucination_at_ratio_1_is_the_answer_without_the_picture(model: Vlm, samples: list[Sample]) -> None:
    blind = []
    for sample in samples:
        ids = _inputs(model, sample)["input_ids"][0]
        kept = ids[~torch.isin(ids, torch.tensor(sorted(model.reader.picture_tokens)))][None]
        blind.append(_text(model, _plain(model, {"input_ids": kept, "attention_mask": torch.ones_like(kept)})))
    result = model.hallucinate(samples, [hallucination(1.0)] * len(samples), GREEDY)
    assert result == blind
    assert len(set(result)) <= len(PROMPTS), "one answer a prompt, whatever the picture"


def test_a_ratio_between_mixes_the_logits(model: Vlm, samples: list[Sample]) -> None:
    """The first token is the best of (1 - r) * with the picture + r * without."""
    sample, most = samples[0], dataclasses.replace(GREEDY, max_tokens=1)
    inputs = _inputs(model, sample)
    (head,) = model.reader.heads([sample]).heads
    kept = torch.tensor([[*head.blind, *inputs["input_ids"][0, len(head.ids) :].tolist()]])
    with torch.inference_mode():
        seeing = model.model(**inputs).logits[0, -1]
        free = model.model(input_ids=kept).logits[0, -1]
    for ratio in (0.2, 0.4, 0.6, 0.8):
        mixed = (1 - ratio) * seeing.clone() + ratio * free.clone()
        best = int(mixed.argmax())
        expected = "" if best in model.stop else _text(model, [best])
        assert model.hallucinate([sample], [hallucination(ratio)], most) == [expected]


def test_a_hallucination_does_not_depend_on_the_batch(
    model: Vlm, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    how = [hallucination(index / len(samples), lead="A cat." * (index % 2)) for index in range(len(samples))]
    together = model.hallucinate(samples, how, GREEDY)
    monkeypatch.setattr(model, "batch", 4)
    assert model.hallucinate(samples, how, GREEDY) == together


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_a_hallucination_begins_with_its_lead(model: Vlm, samples: list[Sample], ratio: float) -> None:
    lead = "A cat on the left. Two dogs."
    for answer in model.hallucinate(samples[:6], [hallucination(ratio, lead=lead)] * 6, GREEDY):
        assert answer.startswith(lead)


def test_going_on_from_ones_own_beginning_ends_as_one_would_have(
    model: Vlm, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lead takes the very tokens that the model would have said; the prompt's own last space included."""
    monkeypatch.setattr(model, "stop", {model.tokenizer.eos_token_id})
    lead = "A cat on the left."
    (arguments,) = model.hallucinate(samples[:1], [hallucination(0.0, lead=lead)], GREEDY)
    inputs = _inputs(model, samples[0])
    input_ids = model.tokenizer(" " + lead, add_special_tokens=False, return_tensors="pt").input_ids
    inputs["input_ids"] = torch.cat([inputs["input_ids"], input_ids], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    assert arguments == _text(model, input_ids[0].tolist() + _plain(model, inputs))


@pytest.mark.parametrize("batch", [3, 192])
def test_log_likelihood_is_that_of_a_full_forward(
    model: Vlm, samples: list[Sample], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "batch", batch)
    texts = ["Yes", "A cat on the left.", "Two dogs.", "No"]
    questions, answer = samples[:8], [texts[index % 4] for index in range(8)]
    result = model.log_likelihood(questions, answer)
    for sample, text, (value, greedy) in zip(questions, answer, result, strict=True):
        inputs = _inputs(model, sample)
        tokens = model.tokenizer(" " + text, add_special_tokens=False, return_tensors="pt").input_ids
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        with torch.inference_mode():
            logits = model.model(**inputs).logits[0, -tokens.shape[1] - 1 : -1].log_softmax(-1)
        assert value == pytest.approx(float(logits.gather(1, tokens.T).sum()), abs=1e-3)
        assert greedy == bool((logits.argmax(-1) == tokens[0]).all())
        assert not greedy


def test_log_likelihood_calls_the_greedy_answer_greedy(model: Vlm, samples: list[Sample]) -> None:
    expected, samples = [], [*samples, *caption_samples("dev", 150)[30:]]
    for sample, (answer,) in zip(samples, _ask(model, samples, max_tokens=5), strict=True):
        # Only where reading the answer gives the tokens that were said ("vases" alone is another token than " vases").
        tokens = model.reader.answered(sample, answer)[1]
        if len(tokens) == 5 and tokens == _plain(model, _inputs(model, sample), 5):
            expected.append((sample, answer))
    assert expected
    result = model.log_likelihood([sample for sample, _ in expected], [answer for _, answer in expected])
    assert all(greedy for _, greedy in result)


def test_tokens_are_counted_and_samples_told(model: Vlm, samples: list[Sample]) -> None:
    before, heard = model.costs["generated_tokens"], list[int]()
    model.generate(samples[:7], dataclasses.replace(GREEDY, max_tokens=1, n=2, temperature=1.0), heard.append)
    assert model.costs["generated_tokens"] - before == 14
    assert sum(heard) == 7


def test_memory_that_runs_out_halves_the_batch_and_changes_no_answer(
    model: Vlm, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, heard = _ask(model, samples), list[int]()
    texts = [answer for (answer,) in answers]
    sureness = model.sentence_log_likelihoods(samples, texts)
    extend = model.branching.extend

    def cramped(rows: Rows, *others: Any, **options: Any) -> Any:
        if len(rows) > room:
            raise torch.OutOfMemoryError
        return extend(rows, *others, **options)

    monkeypatch.setattr(model, "batch", 24)
    monkeypatch.setattr(model.branching, "extend", cramped)
    room = 7
    assert model.generate(samples, GREEDY, heard.append) == answers
    assert (model.batch, sum(heard)) == (6, len(samples))
    model.batch = 24
    weighed = model.sentence_log_likelihoods(samples, texts, heard.append)
    assert (model.batch, sum(heard)) == (6, 2 * len(samples))
    for values, expected in zip(weighed, sureness, strict=True):
        assert values == pytest.approx(expected, abs=1e-4)
    room = 0
    with pytest.raises(ModelError, match="tiny: cpu has not the memory for one sample"):
        _ask(model, samples)


def test_nothing_asked_is_nothing_answered(model: Vlm) -> None:
    assert model.generate([], GREEDY) == []


# Loading --------------------------------------------------------------------------------------------------------------


def _complaint(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_vlm(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_its_weights_and_not_its_place(folder: Path, tmp_path: Path) -> None:
    same, other = save_tiny(tmp_path / "same", seed=1), save_tiny(tmp_path / "other", seed=2)
    digests = [load_vlm("x", path=path, device="cpu").digest for path in (folder, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_a_name_that_is_nothing_is_named() -> None:
    assert _complaint("pictos-sed").startswith("pictos-sed: no such folder; name a shipped model, a local folder")


def test_a_folder_without_weights_is_named(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert str(tmp_path) in _complaint(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    assert "safetensors" in _complaint(str(tmp_path))


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    assert str(tmp_path) in _complaint(str(tmp_path))


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    assert "does not load as an image-text-to-text model" in _complaint(str(tmp_path))


def test_half_a_weights_file_is_named(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[: len(content) // 2] if path.suffix == ".safetensors" else content)
    assert "does not load" in _complaint(str(tmp_path))


def test_weights_of_another_shape_are_named(folder: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path, size=dataclasses.replace(TINY, text_width=48))
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    assert "does not load" in _complaint(str(tmp_path))


def test_a_device_that_is_not_there_is_named(folder: Path) -> None:
    assert _complaint("tiny", path=folder, device="cuda:99").startswith("device cuda:99: ")
    assert _complaint("tiny", path=folder, device="gpu").startswith("device gpu: ")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("config.json", '"vision_feature_layer": -1', '"vision_feature_layer": -2'),
        ("tokenizer.json", '"cat"', '"tac"'),
        ("chat_template.jinja", "{", " {"),
        ("processor_config.json", '"rescale_factor": 0.00', '"rescale_factor": 0.01'),
        ("generation_config.json", '"eos_token_id": 3', '"eos_token_id": [3, 4]'),
    ],
)
def test_a_model_that_is_more_than_its_weights_has_a_digest_of_all_of_it(
    folder: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert model_digest(copy) == model_digest(folder)
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    assert model_digest(copy) != model_digest(folder)


def test_who_wrote_a_model_and_how_its_card_reads_is_no_part_of_it(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "README.md").write_text("A card.")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({"_name_or_path": "x", **config, "transformers_version": "9.9"}))
    assert model_digest(copy) == model_digest(folder)


def test_how_a_tokenizer_was_last_called_is_no_part_of_a_model(folder: Path, tmp_path: Path) -> None:
    model = load_vlm("x", path=folder, device="cpu")
    model.tokenizer(["A cat.", "A"], padding=True, truncation=True, max_length=4)
    copy = shutil.copytree(folder, tmp_path / "copy")
    model.tokenizer.save_pretrained(tmp_path / "saved")
    shutil.copy(tmp_path / "saved" / "tokenizer.json", copy)
    assert '"BatchLongest"' in (copy / "tokenizer.json").read_text()
    assert model_digest(copy) == model_digest(folder)


def test_a_config_that_is_no_json_is_named(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: not valid JSON .*; restore it"):
        model_digest(copy)


def test_answers_in_another_precision_are_not_taken_from_the_store(folder: Path) -> None:
    model = load_vlm("x", path=folder, device="cpu")
    exact = model.settings
    model.model.to(torch.bfloat16)
    assert model.settings != exact


def test_the_sureness_of_sentences_is_the_log_likelihood_of_the_answer_in_parts(
    folder: Path, samples: list[Sample]
) -> None:
    model = load_vlm("x", path=folder, device="cpu")
    answers = [" ".join(["A cat on the left.", "A dog.", "A cup on the right."][:count]) for count in (3, 1, 2)]
    several = samples[:3]
    sure = model.sentence_log_likelihoods([*several, several[0]], [*answers, ""])
    assert [len(values) for values in sure] == [3, 1, 2, 0]
    whole = model.log_likelihood(several, answers)
    assert [sum(values) for values in sure[:3]] == pytest.approx([total for total, _ in whole], abs=1e-4)
    (first, _) = model.log_likelihood(several[:1], ["A cat on the left."])[0]
    assert sure[0][0] == pytest.approx(first, abs=1e-4)


def test_an_adapter_changes_answers_and_digest(folder: Path, samples: list[Sample], tmp_path: Path) -> None:
    adapter = save_adapter(folder, tmp_path / "adapter")
    plain, adapted = (load_vlm("tiny", path=folder, adapter=item, device="cpu") for item in (None, adapter))
    assert adapted.digest != plain.digest
    assert _ask(adapted, samples[:5]) != _ask(plain, samples[:5])


def test_an_adapter_that_is_none_is_named(folder: Path, tmp_path: Path) -> None:
    complaint = _complaint("tiny", path=folder, adapter=tmp_path)
    assert complaint == f"adapter {tmp_path}: no adapter_config.json in it; name a folder that peft saved"


@pytest.mark.parametrize("size", [{"text_width": 48}, {"text_depth": 3}, {"text_depth": 1}], ids=str)
def test_an_adapter_of_another_model_is_named(folder: Path, tmp_path: Path, size: dict[str, int]) -> None:
    other: Size = dataclasses.replace(TINY, **size)
    adapter = save_adapter(save_tiny(tmp_path / "other", size=other), tmp_path / "adapter")
    assert _complaint("tiny", path=folder, adapter=adapter).startswith(f"adapter {adapter}: does not fit this model")


def test_an_adapter_without_weights_is_named(folder: Path, tmp_path: Path) -> None:
    adapter = save_adapter(folder, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").unlink()
    assert _complaint("tiny", path=folder, adapter=adapter).startswith(f"adapter {adapter}: ")
