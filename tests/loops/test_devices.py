"""A recipe says where models compute and how precisely; a run's ledger names it, and no stage keeps another's model."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import open_clip
import pytest
import torch
from transformers import PreTrainedModel

import loops.ledger
from harness.errors import ModelError, RecipeError, RunError
from harness.files import read_jsonl, write_jsonl
from harness.lines import read_lines
from harness.models.encoder import Encoder
from harness.models.load import load_vlm
from harness.models.options import ModelOptions
from loops.ledger import Outcome
from loops.notes import notes_of_run
from loops.optimise import training
from loops.optimise.checkpoints import load_start
from loops.optimise.dpo import Dpo
from loops.recipe import Recipe
from loops.run import plan_recipe, run_recipe
from loops.setting import Bar, Setting
from tasks.pictos.models import shipped
from tasks.registry import find_task, training_pool
from tests.support.tiny import HUB_TEMPLATE, llama_like_processor, save_tiny

pytestmark = pytest.mark.slow

SMALL: Mapping[str, Any] = {
    "name": "small", "model": "tiny", "rounds": 1,
    "collect": {"samples": 8, "temperature": 1.5, "max_tokens": 12, "unfinished": "keep", "max_unfinished": 1},
    "optimise": {"trl": {"max_steps": 1, "per_device_train_batch_size": 2}},
    "evaluate": {"limit": 2, "tasks": ["pictos_captions"], "rerank": 2}, "watch": None,
}  # fmt: skip


@contextmanager
def _no_bars() -> Iterator[Bar]:
    yield lambda description, total: lambda steps: None


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    models = {"tiny": save_tiny(tmp_path_factory.mktemp("tiny"), seed=1), "pictos-encoder": shipped("pictos-encoder")}
    return Setting(
        tasks={"pictos_captions": find_task("pictos_captions")}, pool=training_pool, shipped=models.get, bars=_no_bars
    )


def _recipe(**fields: Any) -> Recipe:
    return Recipe.model_validate({**SMALL, **fields})


def _models() -> list[Any]:
    """Models and encoders that something still refers to."""
    return [thing for thing in gc.get_objects() if issubclass(type(thing), PreTrainedModel | open_clip.CLIP)]


def test_no_stage_begins_with_the_model_of_another(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.collect()
    before, make, alive = WeakSet(_models()), loops.ledger._make, []

    def counted(folder: Path, work: Callable[[Path], Outcome]) -> dict[str, Any]:
        def counting(path: Path) -> Outcome:
            alive.append(sum(model not in before for model in _models()))
            return work(path)

        return make(folder, counting)

    monkeypatch.setattr(loops.ledger, "_make", counted)
    run_recipe(_recipe(device="cpu"), tmp_path / "run", setting)
    assert alive == [0] * 7


def test_the_ledger_names_device_and_precision_of_each_stages_models(setting: Setting, tmp_path: Path) -> None:
    run_recipe(_recipe(device="cpu", dtype="bfloat16", attn_implementation="eager"), tmp_path / "run", setting)
    computed = {line["stage"]: line.get("computed") for line in read_jsonl(tmp_path / "run/ledger.jsonl")}
    model = {"model": {"device": "cpu", "dtype": "bfloat16", "attn_implementation": "eager"}}
    encoder = {"encoder": {"device": "cpu", "dtype": "float32"}}
    assert computed == {
        "round-0/eval": model,
        "round-0/baselines": {**model, **encoder},
        "round-1/collect": model,
        "round-1/verify": encoder,
        "round-1/select": None,
        "round-1/optimise": {
            "policy": {
                "device": "cpu",
                "dtype": "float32",
                "attn_implementation": "eager",
                "pairs": "behind one prefix",
            }
        },
        "round-1/eval": model,
    }


def test_precision_and_attention_are_inputs_of_the_stages_that_ask_and_the_device_is_none(setting: Setting) -> None:
    plain = plan_recipe(_recipe(), setting)
    assert plan_recipe(_recipe(device="cuda:7"), setting) == plain
    for fields in ({"dtype": "float16"}, {"attn_implementation": "eager"}, {"system": "Be brief."},
                   {"thinking": "off"}, {"generation_config": "none"}):  # fmt: skip
        changed = plan_recipe(_recipe(**fields), setting)
        assert {stage for stage in plain if changed[stage] == plain[stage]} == set(), fields
    thinks = plan_recipe(_recipe(evaluate={**SMALL["evaluate"], "max_thought_tokens": 9}), setting)
    assert {stage for stage in plain if thinks[stage] != plain[stage]} == {
        "round-0/eval", "round-0/baselines", "round-1/eval"
    }  # fmt: skip


def test_a_run_goes_on_elsewhere_and_is_noted_where_that_changes_how_its_model_answers(
    setting: Setting, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    measured = {"rounds": 0, "evaluate": {"limit": 2, "tasks": ["pictos_captions"]}}
    run_recipe(_recipe(**measured, device="cpu"), out, setting)
    assert run_recipe(_recipe(**measured), out, setting).fresh_stages == 0
    with pytest.raises(RunError, match=r"it differs in dtype\); name another --out"):
        run_recipe(_recipe(**measured, dtype="bfloat16"), out, setting)

    assert notes_of_run(out) == []
    first, *others = read_lines(out / "ledger.jsonl", ())
    moved = {"model": {"device": "cuda:0", "dtype": "bfloat16", "attn_implementation": "sdpa"}}
    write_jsonl(out / "ledger.jsonl", [first, {**first, "stage": "round-1/collect", "computed": moved}, *others])
    assert notes_of_run(out) == [
        "the model answered on cpu in float32 and on cuda in bfloat16, and rounding may change answers; set device and "
        "dtype in the recipe to hold a run's figures together"
    ]


def test_training_on_another_gpu_than_the_first_is_told_how(setting: Setting) -> None:
    study = _recipe(device="cuda:1").study(setting)
    with pytest.raises(RecipeError) as caught:
        study.optimise.refuse(study)
    assert str(caught.value) == (
        "device cuda:1: training takes the first GPU that it sees; set CUDA_VISIBLE_DEVICES=1 and device=cuda"
    )


def test_a_step_of_training_is_tried_where_the_recipe_says(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str | None] = []
    settings = training.trl_settings

    def noted(recipe: Dpo, scratch: str, **named: Any) -> Any:
        placed.append(named.get("device"))
        return settings(recipe, scratch, **named)

    monkeypatch.setattr(training, "trl_settings", noted)
    study = _recipe(device="cpu").study(setting)
    assert study.optimise.trials(study)["training"].run().startswith("a step of training")
    assert placed == ["cpu", "cpu"]


def test_answers_are_trained_on_behind_the_system_prompt_that_they_were_given_to(
    tmp_path: Path,
) -> None:
    folder = save_tiny(tmp_path / "m", seed=4, reads=llama_like_processor("first", HUB_TEMPLATE))
    (sample,) = training_pool("pictos_captions").of_round(seed=0, number=1, count=1)
    options = ModelOptions(device="cpu", system="Answer as a pirate would.")
    begun = load_start(folder, Dpo(), seed=0, options=options)
    assert begun.reader.prompt(sample) == load_vlm("m", path=folder, **options.keywords).reader.prompt(sample)
    assert "pirate" in begun.processor.tokenizer.decode(begun.reader.prompt(sample))


def test_the_encoder_is_put_where_the_recipe_says(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[str] = []
    init = Encoder.__init__

    def noted(self: Encoder, *parts: Any, device: str) -> None:
        placed.append(device)
        init(self, *parts, device="cpu")

    monkeypatch.setattr(Encoder, "__init__", noted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    study = _recipe(device="cpu").study(setting)
    study.verify.trials(study)["encoder"].run()
    assert placed == ["cpu"]
    away = _recipe(device="cuda:99").study(setting)
    with pytest.raises(ModelError, match=r"^device cuda:99: cannot be used"):
        away.verify.trials(away)["encoder"].run()
