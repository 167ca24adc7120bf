"""A greedy answer is the one that transformers' own `generate` gives, whatever the model's files say about tokens."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from harness.errors import ModelError
from harness.models.load import load_vlm
from harness.pictures import open_picture
from harness.types import Sample, Sampling
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.training.build import CHAT_TEMPLATE
from tests.support.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny
from tests.support.variants import variant

pytestmark = pytest.mark.slow

PAD, UNK, BOS, EOS, PICTURE = range(5)
ENDS = list(range(20, 380, 11))
"""Ordinary tokens that end an answer of a random model, which hardly ever says its end token."""

BEGUN = CHAT_TEMPLATE.replace("{% for message", "{{ '<s>' }}{% for message", 1)
CLOSED = "{{ 'A cat.</s>' }}" + CHAT_TEMPLATE


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictos's own tokenizer; Llama's, which begins every text with a token and a space; as the hub has it."""
    root = tmp_path_factory.mktemp("bases")
    return {
        "own": save_tiny(root / "own", seed=1),
        "llama": save_tiny(root / "llama", seed=2, reads=llama_like_processor("first")),
        "legacy": save_tiny(root / "legacy", seed=3, reads=llama_like_processor("legacy")),
        "hub": save_tiny(root / "hub", seed=4, reads=llama_like_processor("first", HUB_TEMPLATE)),
        "begun": save_tiny(root / "begun", seed=5, reads=llama_like_processor("first", BEGUN)),
    }


def _samples() -> list[Sample]:
    prompts = ("What do you see?", "Is there a dog in the image?\nAnswer.")
    return [dataclasses.replace(s, id=f"{s.id}/{p}", prompt=p) for s in caption_samples("dev", 4) for p in prompts]


def _by_generate(folder: Path, samples: list[Sample]) -> list[str]:
    """Nothing of ours: the processor's own chat, the model's own settings; only a picture is no answer, nor a token
    that the tokenizer does not have."""
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    nameless = range(len(processor.tokenizer), model.config.get_text_config().vocab_size)
    unwritten = {*(model.generation_config.suppress_tokens or ()), processor.image_token_id, *nameless}
    answers = []
    for sample in samples:
        pictures = [{"type": "image", "image": open_picture(picture)} for picture in sample.images]
        turn = {"role": "user", "content": [*pictures, {"type": "text", "text": sample.prompt}]}
        inputs = processor.apply_chat_template(
            [turn], add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            ids = model.generate(
                **inputs, max_new_tokens=16, do_sample=False, num_beams=1, suppress_tokens=sorted(unwritten)
            )
        text = ids[0, inputs["input_ids"].shape[1] :].tolist()
        if text[-1] in ENDS:
            text.pop()  # an end token is no part of an answer, even where it is an ordinary word
        answers.append(str(processor.decode(text, skip_special_tokens=True)).strip())
    return answers


def _ours(folder: Path, samples: list[Sample]) -> list[str]:
    model = load_vlm("m", path=folder, device="cpu")
    return [answer for (answer,) in model.generate(samples, Sampling(max_tokens=16))]


def _tokenizer(**fields: Any) -> dict[str, Any]:
    return {"tokenizer_config.json": fields}


def _generation(**fields: Any) -> dict[str, Any]:
    return {"generation_config.json": fields}


NO_GENERATION = {"generation_config.json": None}
ENDED = {**_generation(eos_token_id=[EOS, *ENDS])}

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "as it is": ("own", {}),
    "ends of the generation settings": ("own", {"json_files": ENDED}),
    "one end there, a number": ("own", {"json_files": _generation(eos_token_id=ENDS[3])}),
    "end of text in the tokenizer, end of turn in the list": (
        "own",
        {"json_files": {**_tokenizer(eos_token="<unk>"), **_generation(eos_token_id=[UNK, EOS, *ENDS])}},
    ),
    "no end token in the tokenizer": ("own", {"json_files": {**_tokenizer(eos_token=...), **ENDED}}),
    "no end token anywhere": (
        "own",
        {
            "json_files": {
                **_tokenizer(eos_token=...),
                **_generation(eos_token_id=...),
                "config.json": {"eos_token_id": ..., "text_config": {"eos_token_id": None}},
            }
        },
    ),
    "ends of config.json, without generation settings": (
        "own",
        {"json_files": {"config.json": {"eos_token_id": [EOS, *ENDS]}}, "texts": NO_GENERATION},
    ),
    "ends of the language model's config, without generation settings": (
        "own",
        {
            "json_files": {"config.json": {"eos_token_id": ..., "text_config": {"eos_token_id": [EOS, *ENDS]}}},
            "texts": NO_GENERATION,
        },
    ),
    "a text's first space (Metaspace, first)": ("llama", {"json_files": ENDED}),
    "a part's first space (legacy)": ("legacy", {"json_files": ENDED}),
    "the hub's template": ("hub", {"json_files": ENDED}),
    "a template that writes the first token": ("begun", {"json_files": ENDED}),
    "padding is the end token, after a closed turn": (
        "own",
        {"json_files": {**_tokenizer(pad_token="</s>"), **ENDED}, "texts": {"chat_template.jinja": CLOSED}},
    ),
    "padding is the first token": ("llama", {"json_files": {**_tokenizer(pad_token="<s>"), **ENDED}}),
    "padding is the first token, which the template writes": (
        "begun",
        {"json_files": {**_tokenizer(pad_token="<s>"), **ENDED}},
    ),
    "padding is the picture token": ("own", {"json_files": {**_tokenizer(pad_token="<image>"), **ENDED}}),
    "no padding token": ("own", {"json_files": {**_tokenizer(pad_token=...), **ENDED}}),
    "no padding token anywhere": (
        "llama",
        {
            "json_files": {
                **_tokenizer(pad_token=...),
                **_generation(eos_token_id=[EOS, *ENDS], pad_token_id=...),
                "config.json": {"pad_token_id": ..., "text_config": {"pad_token_id": None}},
            }
        },
    ),
    "padding on the right": ("llama", {"json_files": {**_tokenizer(padding_side="right"), **ENDED}}),
    "ordinary words as special tokens": (
        "own",
        {"json_files": {**_tokenizer(extra_special_tokens=["▁cat", "▁on", "▁the", "?"]), **ENDED}},
    ),
    "suppressed tokens": (
        "own",
        {"json_files": _generation(eos_token_id=[EOS, *ENDS], suppress_tokens=list(range(21, 400, 3)))},
    ),
    "suppressed tokens that are none": ("own", {"json_files": _generation(suppress_tokens=[-1, 5000])}),
    "bad words, an end token among them": (
        "own",
        {
            "json_files": _generation(
                eos_token_id=[EOS, *ENDS], bad_words_ids=[[token] for token in (*range(22, 400, 3), *ENDS)]
            )
        },
    ),
    "settings of drawing, which greedy answers have no use for": (
        "own",
        {"json_files": _generation(eos_token_id=[EOS, *ENDS], do_sample=True, temperature=0.2, top_p=0.5, top_k=3)},
    ),
    "settings of length, which are the task's": (
        "own",
        {"json_files": _generation(eos_token_id=[EOS, *ENDS], max_length=3000, max_new_tokens=1024)},
    ),
}


def _variant(bases: dict[str, Path], name: str, folder: Path) -> Path:
    base, change = VARIANTS[name]
    return variant(bases[base], folder, **change)


@pytest.mark.reported("stopping")
@pytest.mark.parametrize("name", VARIANTS)
def test_answers_are_those_of_generate(bases: dict[str, Path], tmp_path: Path, name: str) -> None:
    folder, samples = _variant(bases, name, tmp_path / "m"), _samples()
    answers = _ours(folder, samples)
    assert answers == _by_generate(folder, samples)
    assert len(set(answers)) > 4, "the model looks at its pictures"


@pytest.mark.reported("stopping")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("repetition_penalty", 1.2),
        ("no_repeat_ngram_size", 2),
        ("min_new_tokens", 5),
        ("forced_eos_token_id", 3),
        ("begin_suppress_tokens", [7]),
        ("sequence_bias", [[[7], 2.0]]),
        ("bad_words_ids", [[7], [8, 9]]),
    ],
)
def test_settings_that_change_a_greedy_answer_are_followed_as_generate_follows_them(
    bases: dict[str, Path], tmp_path: Path, setting: str, value: Any
) -> None:
    folder, samples = variant(bases["own"], tmp_path / "m", json_files=_generation(**{setting: value})), _samples()
    assert _ours(folder, samples) == _by_generate(folder, samples)
    model = load_vlm("m", path=folder, device="cpu")
    assert model.about["generation_config"] == {setting: value}


def test_the_bias_of_an_answers_end_is_the_sequence_bias_of_the_tokens_that_end_it(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    bias = 6.0
    samples, plain = _samples(), load_vlm("m", path=bases["own"], device="cpu")
    ends = [[[token], bias] for token in sorted(plain.stop)]
    folder = variant(bases["own"], tmp_path / "m", json_files=_generation(sequence_bias=ends))
    model = load_vlm("m", path=bases["own"], device="cpu", end_bias=bias)
    answers = [answer for (answer,) in model.generate(samples, Sampling(max_tokens=16))]
    assert answers == _by_generate(folder, samples)
    assert answers != [answer for (answer,) in plain.generate(samples, Sampling(max_tokens=16))]
    assert model.settings != plain.settings, "answers are kept apart"
    assert (model.about["end_bias"], "end_bias" in plain.about) == (bias, False)


@pytest.mark.reported("stopping")
def test_a_setting_that_no_processor_follows_is_refused(bases: dict[str, Path], tmp_path: Path) -> None:
    folder = variant(bases["own"], tmp_path / "m", json_files=_generation(stop_strings=["cat"]))
    with pytest.raises(ModelError) as caught:
        load_vlm("m", path=folder, device="cpu")
    assert str(caught.value) == (
        "m: its generation_config.json sets stop_strings to ['cat'], which is not followed here and changes answers; "
        "leave its settings out by --generation-config none, which results name"
    )
    assert load_vlm("m", path=folder, device="cpu", generation_config="none").about["generation_config_left_out"] == {
        "stop_strings": ["cat"]
    }


def _stops(folder: Path) -> set[int]:
    return load_vlm("m", path=folder, device="cpu").stop


@pytest.mark.reported("stopping")
def test_every_stop_token_that_a_file_names_counts(bases: dict[str, Path], tmp_path: Path) -> None:
    folder = variant(
        bases["own"],
        tmp_path / "m",
        json_files={
            **_tokenizer(eos_token="<unk>"),
            **_generation(eos_token_id=[EOS, 50]),
            "config.json": {"eos_token_id": 60, "text_config": {"eos_token_id": [70, 71]}},
        },
    )
    assert _stops(folder) == {UNK, EOS, 50, 60, 70, 71}


@pytest.mark.reported("stopping")
def test_a_default_that_nobody_wrote_stops_at_no_ordinary_word(bases: dict[str, Path], tmp_path: Path) -> None:
    """LlamaConfig says 2 where config.json says nothing: `#` in Llama 3's tokenizer, a word here."""
    words = json.loads((bases["own"] / "tokenizer.json").read_text())
    for token in words["added_tokens"]:
        token["special"] = token["id"] != BOS
    folder = variant(
        bases["own"],
        tmp_path / "m",
        json_files={
            **_tokenizer(bos_token=...),
            "config.json": {"eos_token_id": ..., "text_config": {"eos_token_id": ...}},
        },
        texts={"generation_config.json": None, "tokenizer.json": json.dumps(words)},
    )
    assert _stops(folder) == {EOS}


@pytest.mark.reported("masks")
@pytest.mark.parametrize("pad", ["</s>", "<s>", "<unk>", "<image>", "▁cat", ...], ids=str)
@pytest.mark.parametrize("base", ["own", "llama"])
def test_no_answer_and_no_sureness_depends_on_the_padding_token(
    bases: dict[str, Path], tmp_path: Path, base: str, pad: Any
) -> None:
    closed = (bases[base] / "chat_template.jinja").read_text()
    plain = variant(bases[base], tmp_path / "plain", texts={"chat_template.jinja": "{{ 'A cat.</s>' }}" + closed})
    padded = variant(plain, tmp_path / "padded", json_files=_tokenizer(pad_token=pad))
    first, other = (load_vlm("m", path=folder, device="cpu") for folder in (plain, padded))
    samples, sampling = _samples(), Sampling(max_tokens=8)
    answers = first.generate(samples, sampling)
    assert other.generate(samples, sampling) == answers
    texts = [answer for (answer,) in answers]
    assert other.log_likelihood(samples, texts) == first.log_likelihood(samples, texts)


@pytest.mark.reported("stopping")
@pytest.mark.parametrize("number", ["3", [3, "</s>"], True, 3.0])
def test_a_stop_token_that_is_no_number_is_told(bases: dict[str, Path], tmp_path: Path, number: Any) -> None:
    folder = variant(bases["own"], tmp_path / "m", json_files=_generation(eos_token_id=number))
    with pytest.raises(ModelError, match=r"^m: cannot be asked \(eos_token_id .* is no number of a token, nor a list"):
        load_vlm("m", path=folder, device="cpu")
