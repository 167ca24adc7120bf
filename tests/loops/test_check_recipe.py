"""A recipe that cannot work is told in one line, with its field, before anything is asked; `strop run --check` too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

from harness.errors import RecipeError
from harness.models.encoder import WEIGHTS
from loops.optimise import training, trial
from loops.optimise.dpo import Dpo
from loops.optimise.trial import try_training
from tasks.pictos.benchmarks import caption_samples
from tasks.pictos.models import shipped
from tests.support.shell import Strop
from tests.support.tiny import llama_like_processor

settings = pytest.mark.reported("settings")

(SCENE,) = caption_samples("pool", 1)
LORA = {"weights": "lora"}
FROM_WEIGHTS = ("pissa", "pissa_niter_4", "olora", "mica")
"""How peft makes adapters of what the model has learnt."""


def _try(recipe: Dpo, model: Path, step: Any = training.take_a_step) -> str:
    training.check_settings(recipe)
    return try_training(recipe, model, SCENE.blind(), step=step)


def _fault(model: Path, **recipe: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        _try(Dpo(**recipe), model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings
@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({**LORA, "lora": {"rr": 4}}, "optimise.lora: LoraConfig.__init__() got an unexpected keyword argument 'rr'"),
        (
            {**LORA, "lora": {"target_modules": ["nope_proj"]}},
            "optimise.lora: No modules were targeted for adaptation.",
        ),
        ({**LORA, "lora": {"target_modules": ["lm_head"]}}, "optimise.lora.target_modules ['lm_head']: training does"),
        ({**LORA, "lora": {"r": 0}}, "optimise.lora: `r` should be a positive integer value but the value passed is 0"),
        ({**LORA, "lora": {"target_modules": "(("}}, "optimise.lora: missing ), unterminated subpattern at position 1"),
        ({**LORA, "lora": {"exclude_modules": "*.proj"}}, "optimise.lora: nothing to repeat at position 0"),
        (
            {**LORA, "lora": {"init_lora_weights": "foo"}},
            "optimise.lora: Unknown initialization init_lora_weights='foo'",
        ),
        ({**LORA, "lora": {"task_type": "NOPE"}}, "optimise.lora: Invalid task type: 'NOPE'."),
        (
            {**LORA, "lora": {"target_modules": ["q_proj"], "layers_to_transform": [99]}},
            "optimise.lora: No modules were targeted for adaptation.",
        ),
        ({"freeze": ["model"]}, "optimise.freeze model: nothing is left to train; name fewer parts"),
        (
            {"freeze": ["vision_tower", "multi_modal_projector", "language_model"]},
            "optimise.freeze vision_tower, multi_modal_projector, language_model: nothing is left to train; name fewer",
        ),
        ({"freeze": ["model", "lm_head"]}, "optimise.freeze lm_head: no weights of this model are called so; it has"),
    ],
)
def test_parts_and_adapters_that_the_model_does_not_take_are_named(
    tiny: Path, recipe: dict[str, Any], message: str
) -> None:
    assert _fault(tiny, **recipe).startswith(message)


@settings
@pytest.mark.parametrize(
    ("trl", "message"),
    [
        (
            {"loss_type": "foo"},
            "optimise.trl.loss_type 'foo': training does not begin with it (Unknown loss type: foo.",
        ),
        ({"max_length": 40}, "optimise.trl.max_length 40: a prompt takes 77 tokens, 64 of them its picture's, and an"),
        (
            {"precompute_ref_log_probs": True},
            "optimise.trl.precompute_ref_log_probs True: training does not begin with",
        ),
        ({"eval_strategy": "steps"}, "optimise.trl.eval_strategy: checkpoints are measured by the recipe's evaluate;"),
        ({"deepspeed": "nope.json"}, "optimise.trl.deepspeed 'nope.json': "),
        ({"lr_scheduler_type": "foo"}, "optimise.trl.lr_scheduler_type 'foo': foo is not a valid SchedulerType"),
        (
            {"lr_scheduler_kwargs": {"x": 1}},
            "optimise.trl.lr_scheduler_kwargs {'x': 1}: training does not begin with it",
        ),
        ({"optim": "nope"}, "optimise.trl.optim 'nope': nope is not a valid OptimizerNames"),
        ({"optim": "adamw_bnb_8bit"}, "optimise.trl.optim 'adamw_bnb_8bit': training does not begin with it ("),
        ({"optim": "sgd", "adam_beta1": 2, "optim_args": "x"}, "optimise.trl.optim_args 'x': training does not begin"),
        ({"dataloader_num_workers": -1}, "optimise.trl.dataloader_num_workers -1: training does not begin with it"),
        ({"use_liger_kernel": True}, "optimise.trl.use_liger_kernel True: training does not begin with it"),
        ({"f_divergence_type": "foo"}, "optimise.trl.f_divergence_type 'foo': training does not begin with it"),
        ({"truncation_mode": "keep_end", "max_length": 200}, "optimise.trl.truncation_mode 'keep_end': training does"),
        ({"fsdp": "full_shard"}, "optimise.trl.fsdp 'full_shard': training does not begin with it"),
        ({"warmup_ratio": 0.1}, "optimise.trl.warmup_ratio 0.1: DPOConfig.__init__() got an unexpected keyword"),
    ],
)
def test_a_setting_that_training_does_not_begin_with_is_named_by_its_field(
    tiny: Path, trl: dict[str, Any], message: str
) -> None:
    assert _fault(tiny, trl={"learning_rate": 1e-4, "beta": 0.1, **trl}).startswith(message)


@settings
@pytest.mark.parametrize(
    ("trl", "message"),
    [
        ({"learning_rate": -1}, "optimise.trl.learning_rate: must be at least 0, found -1"),
        ({"learning_rate": float("inf")}, "optimise.trl.learning_rate: must be at least 0, found inf"),
        ({"per_device_train_batch_size": 0}, "optimise.trl.per_device_train_batch_size: must be at least 1, found 0"),
        ({"per_device_train_batch_size": 1.5}, "optimise.trl.per_device_train_batch_size: must be like 8, found 1.5"),
        ({"gradient_accumulation_steps": 0}, "optimise.trl.gradient_accumulation_steps: must be at least 1, found 0"),
        ({"beta": 0}, "optimise.trl.beta: must be above 0, found 0"),
        ({"beta": -0.1}, "optimise.trl.beta: must be above 0, found -0.1"),
        ({"num_train_epochs": 0}, "optimise.trl.num_train_epochs: must be above 0, found 0"),
        ({"num_train_epochs": float("nan")}, "optimise.trl.num_train_epochs: must be above 0, found nan"),
        ({"max_steps": 0}, "optimise.trl.max_steps: must be above 0, or -1 for all epochs, found 0"),
        ({"label_smoothing": 0.5}, "optimise.trl.label_smoothing: must be from 0 to below 0.5, where a pair says noth"),
        ({"max_grad_norm": -1}, "optimise.trl.max_grad_norm: must be at least 0, found -1"),
        ({"seed": 3}, "optimise.trl.seed: the recipe's own field `seed` decides; leave it out"),
        ({"data_seed": 3}, "optimise.trl.data_seed: the recipe's own field `seed` decides; leave it out"),
        ({"output_dir": "x"}, "optimise.trl.output_dir: a run has its own folders (--out); leave it out"),
        ({"save_strategy": "epoch"}, "optimise.trl.save_strategy: each round saves its checkpoint once, whole;"),
        ({"load_best_model_at_end": True}, "optimise.trl.load_best_model_at_end: checkpoints are measured by the"),
        ({"resume_from_checkpoint": "x"}, "optimise.trl.resume_from_checkpoint: a run goes on by its stages; leave it"),
        ({"push_to_hub": True}, "optimise.trl.push_to_hub: nothing leaves this machine; publish the checkpoint yours"),
        ({"hub_model_id": "a/b"}, "optimise.trl.hub_model_id: nothing leaves this machine; publish the checkpoint"),
        ({"hub_token": "x"}, "optimise.trl.hub_token: nothing leaves this machine; publish the checkpoint yourself"),
        ({"trust_remote_code": True}, "optimise.trl.trust_remote_code: models are loaded as they are, and no code"),
        ({"model_init_kwargs": {"dtype": "x"}}, "optimise.trl.model_init_kwargs: models are loaded as they are, and"),
        ({"report_to": "wandby"}, "optimise.trl.report_to: wandby is not supported, only "),
    ],
)
def test_a_setting_that_is_out_of_bounds_or_not_a_recipes_to_make_is_refused(trl: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        training.check_settings(Dpo(trl=trl))
    assert str(caught.value).startswith(message)


@settings
@pytest.mark.parametrize("name", ["loss_type", "loss_weights"])
def test_two_fields_that_decide_the_loss_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"^optimise\.trl\.{name}: optimise\.sft_weight 2 decides it; set that to 0"):
        training.check_settings(Dpo(sft_weight=2, trl={name: ["sigmoid"] if name == "loss_type" else [1.0]}))


@settings
@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            {"length_normalised": True, "trl": {"loss_type": "ipo"}},
            "optimise.trl.loss_type: optimise.length_normalised true decides it; set that to false, or leave this out",
        ),
        (
            {"reference": "none", "trl": {"loss_type": ["sigmoid", "nca_pair"]}},
            "optimise.trl.loss_type 'nca_pair': holds each answer against a reference policy, and optimise.reference",
        ),
        (
            {"reference": "none", "trl": {"sync_ref_model": True}},
            "optimise.trl.sync_ref_model True: is about a reference policy, and optimise.reference is none; leave it",
        ),
    ],
)
def test_losses_that_do_not_go_with_the_reference_are_refused(recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        training.check_settings(Dpo(**recipe))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"reference": "none", "length_normalised": True, "sft_weight": 1, "trl": {"beta": 2}},
        {"sft_weight": 12},
        {**LORA, "lora": {"r": 2, "use_dora": True}},
        *({**LORA, "lora": {"r": 2, "init_lora_weights": made_of_weights}} for made_of_weights in FROM_WEIGHTS),
        {**LORA, "lora": {"r": 2, "target_modules": ["q_proj"], "layers_to_transform": [1]}},
        {"trl": {"gradient_checkpointing": True, "ld_alpha": 0.5}},
        {"trl": {"bf16": True}},
        {"trl": {"max_steps": 7, "per_device_train_batch_size": 64, "dataloader_drop_last": True}},
        {"trl": {"push_to_hub": False, "save_strategy": "no", "eval_strategy": "no", "max_length": 400}},
        {"trl": {"learning_rate": 0, "remove_unused_columns": True, "dataset_num_proc": 2}},
    ],
)
def test_settings_that_work_are_let_pass_and_nothing_is_written(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _try(Dpo(**recipe), tiny).startswith("a step of training, ")
    assert list(tmp_path.iterdir()) == []


@settings
def test_a_large_model_is_tried_narrow_and_as_deep_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = llama_like_processor()
    config = LlavaConfig(
        text_config=LlamaConfig(vocab_size=2_000, hidden_size=1024, intermediate_size=4096, num_hidden_layers=3),
        vision_config=CLIPVisionConfig(image_size=64, patch_size=reads.patch_size, num_hidden_layers=4),
        image_token_index=reads.image_token_id,
    )
    config.save_pretrained(tmp_path / "large")
    reads.save_pretrained(tmp_path / "large")
    tried: list[int] = []
    step = training.take_a_step

    def seen(model: Any, *rest: Any) -> None:
        tried.append(model.num_parameters())
        step(model, *rest)

    lora = {"target_modules": ["q_proj"], "layers_to_transform": [2]}
    line = _try(Dpo(weights="lora", lora=lora), tmp_path / "large", seen)
    assert line.startswith("a step of training, 16,384 of ")
    assert len(tried) == 1 and tried[0] < 500_000
    assert _fault(tmp_path / "large", trl={"optim": "adamw_bnb_8bit"}).startswith("optimise.trl.optim 'adamw_bnb_8bit'")


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(strop: Strop, tiny: Path, tmp_path: Path) -> Callable[..., Any]:
    """`strop run` of a small round of the tiny model, with these changes."""
    recipe = {
        "name": "small",
        "model": str(tiny),
        "rounds": 1,
        "collect": {"samples": 4, "max_tokens": 8, "unfinished": "keep", "max_unfinished": 1},
        "verify": {"kind": "random"},
        "optimise": {"trl": {"per_device_train_batch_size": 2}},
        "evaluate": {"limit": 6, "tasks": ["pictos_captions", "pictos_pope"]},
    }
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))

    def run(*changes: str, more: tuple[str, ...] = ()) -> Any:
        sets = [word for change in changes for word in ("--set", change)]
        return strop("run", "small.yaml", "--out", "out", *sets, *more)

    return run


def test_check_says_what_was_checked_and_does_nothing_else(small: Callable[..., Any], tmp_path: Path) -> None:
    messages = small(more=("--check",))
    assert messages.code == 0, messages.err
    lines = messages.out.splitlines()
    assert lines[0] == "evaluation: pictos_captions (6 samples of test), pictos_pope (6 samples of test)"
    assert lines[1] == "watch: pictos_captions (dev), pictos_pope (dev)"
    assert lines[2] == "pairs: 1 round of 4 samples of pictos_captions"
    assert lines[3].startswith("training: a step of training, ")
    assert lines[4:] == ["nothing is wrong with the recipe"]
    content = json.loads(small("verify.kind=clip", more=("--check", "--json")).out)
    assert list(content["checked"]) == ["evaluation", "watch", "pairs", "training", "encoder"]
    assert not (tmp_path / "out").exists()


@settings
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["evaluate.tasks=[]"], "evaluate.tasks: names no task, so nothing would be measured"),
        (["evaluate.tasks=[pictos_pope, pictos_pope]"], "evaluate.tasks: names pictos_pope twice; name it once"),
        (["watch.tasks=[pictos_pop]"], "no task is called 'pictos_pop'; there are pictos_pope, "),
        (["watch.choose_by=pictos_chair"], "watch.choose_by: pictos_chair is not among pictos_captions, pictos_pope"),
        (["evaluate.tasks=[pictos_pop]"], "no task is called 'pictos_pop'; there are pictos_pope, "),
        (["source=pope"], "task 'pope' has no training pool; these have one: "),
        (["evaluate.split=reserve-2"], "strop run: split reserve-2 is test pictures that one study opens, once;"),
        (["collect.h_ratio.mean=0", "collect.h_ratio.std=0"], "collect.h_ratio 0: at temperature 0 a hallucination "),
        (["select.margin=1.5"], "select.margin 1.5: rewards of verify.kind random differ by 1 at most, so no pair is"),
        (
            ["verify.kind=shorter", "select.max_word_gap=0"],
            "select.max_word_gap 0: answers of as many words earn alike",
        ),
        (["seed=100000000"], "seed 100000000: the training pool of pictos_captions ends before its pictures; take a"),
        (["optimise.trl.beta=0"], "optimise.trl.beta: must be above 0, found 0"),
        (["optimise.freeze=[model]"], "optimise.freeze model: nothing is left to train; name fewer parts"),
        (["verify.kind=clip", "verify.encoder=broken"], "encoder broken: does not load; restore it from where it came"),
        (["model=nowhere"], "nowhere: no such folder; name a shipped model, a local folder or a hub id like"),
    ],
)
def test_a_recipe_that_cannot_work_is_told_before_anything_is_done(
    small: Callable[..., Any], tmp_path: Path, changes: list[str], message: str
) -> None:
    shutil.copytree(str(shipped("pictos-encoder")), tmp_path / "broken")
    (tmp_path / "broken" / WEIGHTS).write_bytes(b"cut")
    assert small(*changes).error().startswith(message)
    assert not (tmp_path / "out").exists()


def test_check_tells_what_run_would(small: Callable[..., Any]) -> None:
    wrong = "optimise.trl.beta=0"
    assert small(wrong, more=("--check",)).error() == small(wrong).error()


@settings
def test_all_cells_of_a_grid_are_checked_before_the_first_is_run(
    strop: Strop, small: Callable[..., Any], tmp_path: Path
) -> None:
    vary = {"grid": {"optimise.trl.optim": ["adamw_torch", "adamw_bnb_8bit"]}}
    grid = {"base": "small.yaml", "vary": vary, "seeds": [0, 1]}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    error = strop("grid", "grid.yaml", "--out", "study").error()
    assert error.startswith("optimise.trl.optim=adamw_bnb_8bit, training seed 0: optimise.trl.optim 'adamw_bnb_8bit': ")
    assert not (tmp_path / "study").exists()


def test_what_cells_have_alike_is_checked_once(
    strop: Strop, small: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Dpo] = []
    monkeypatch.setattr(trial, "try_training", lambda recipe, *_, **__: str(tried.append(recipe)))
    monkeypatch.setattr("loops.run_grid._begin", _never)
    vary = {"grid": {"verify.kind": ["random", "none"], "select.keep": [0.5, 1.0]}}
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"base": "small.yaml", "vary": vary, "seeds": [0, 1, 2]}))
    with pytest.raises(AssertionError, match="started"):
        strop("grid", "grid.yaml", "--out", "study")
    assert len(tried) == 1


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("started")
