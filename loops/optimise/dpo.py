"""Optimise by direct preference (DPO, Rafailov et al. 2023) through TRL: the only module that imports it."""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import TrainerCallback
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl import DPOConfig, DPOTrainer

from harness.errors import RecipeError
from harness.models.adapters import merged
from harness.models.frames import Pictures, frame_of
from harness.models.loading import load_processor, load_weights
from harness.models.prompts import PromptReader
from harness.models.stopping import stop_tokens
from harness.pictures import open_picture
from harness.types import Advance
from loops.groups import Pair
from loops.optimise.collate import PairCollator
from loops.recipe import Optimise


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What training left: steps taken, TRL's own last averages (loss, rewards, accuracies), and `Passes.costs`."""

    steps: int
    figures: dict[str, float]
    costs: Mapping[str, int]


class Passes:
    """Counts the forward passes of models and the tokens that they read, padding left out. `trained_tokens` are those
    of passes that gradients were kept of, and so went backwards too."""

    def __init__(self, picture_token: int) -> None:
        self.picture_token = picture_token
        self.costs = Counter(forward_passes=0, forward_tokens=0, picture_tokens=0, trained_tokens=0)

    def watch(self, model: torch.nn.Module) -> None:
        """Count what goes through this model from now on."""
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, model: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        tokens = int(named["attention_mask"].sum())
        pictures = int((named["input_ids"] == self.picture_token).sum())
        self.costs.update(
            forward_passes=1, forward_tokens=tokens, picture_tokens=pictures,
            trained_tokens=tokens * torch.is_grad_enabled(),
        )  # fmt: skip


class _Advance(TrainerCallback):  # type: ignore[misc]
    def __init__(self, advance: Advance, total: int) -> None:
        self.advance, self.total, self.told = advance, total, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        done = self.total * state.global_step // max(state.max_steps, 1)
        self.advance(done - self.told)
        self.told = done


def optimise_dpo(
    pairs: Sequence[Pair],
    recipe: Optimise,
    *,
    start: Path,
    reference: Path,
    out: Path,
    seed: int,
    run_name: str = "strop",
    pictures: Pictures | None = None,
    advance: Advance | None = None,
) -> Trained:
    """Train the checkpoint in `start` on the pairs and save the next one, whole, into `out` (safetensors).

    Pictures are shown as `pictures` says (`harness.models.frames`), as they were when the answers were collected.
    `reference` is the checkpoint whose log-probabilities the loss is relative to. TRL's settings come from
    `recipe.trl` untouched; the SFT term on the chosen side is TRL's own loss type `sft`. A tracker (`report_to`; none
    unless asked for) shows this training as `run_name`; TensorBoard's files lie beside `out`. Raises `RecipeError` for
    a setting that TRL does not know and for a tracker that is not installed, `ModelError` for a checkpoint that is not
    whole.
    """
    _quiet()
    model = load_weights(start, name=str(start), dtype=torch.float32)
    policy_before = load_weights(reference, name=str(reference), dtype=torch.float32)
    processor = load_processor(start, name=str(start))
    reader = PromptReader(processor, frame_of(processor.image_processor, pictures))
    end = reader.end_token(stop_tokens(model, processor.tokenizer))
    model = prepare(model, recipe, seed=seed)
    passes = Passes(reader.picture_token)
    for one in (model, policy_before):
        passes.watch(one)
    with (
        tempfile.TemporaryDirectory() as scratch,
        _tensorboard_in(out.with_name("tensorboard")),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; nothing a user could change
        settings = _settings(recipe, scratch, seed=seed, run_name=run_name)
        trainer = DPOTrainer(
            model=model,
            ref_model=policy_before,
            args=settings,
            data_collator=PairCollator(reader=reader, end=end, max_length=settings.max_length),
            train_dataset=_rows(pairs),
            processing_class=processor,
        )
        for callback in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(callback)
        if advance:
            trainer.add_callback(_Advance(advance, len(pairs)))
        trainer.train()
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    if recipe.weights == "lora":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that trained embeddings are saved too
            model.save_pretrained(out.with_name("adapter"))
        model = merged(model)
    model.save_pretrained(out)
    processor.save_pretrained(out)
    kept = ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected")
    figures = {name: float(history[-1][name]) for name in kept if history and name in history[-1]}
    return Trained(steps=trainer.state.global_step, figures=figures, costs=passes.costs)


def prepare(model: Any, recipe: Optimise, *, seed: int) -> Any:
    """The model with what is to be trained marked so, and adapters in it where they are; frozen parts have neither.

    Raises `RecipeError` for frozen parts that the model does not have, and for settings that peft does not know.
    """
    names = [name for name, _ in model.named_parameters()]
    if strangers := [part for part in recipe.freeze if not any(part in name for name in names)]:
        parts = sorted({".".join(name.split(".")[:2]) for name in names})
        raise RecipeError(
            f"optimise.freeze {strangers[0]}: no weights of this model are called so; it has {', '.join(parts)}"
        )
    frozen = {name for name in names if any(part in name for part in recipe.freeze)}
    if recipe.weights == "lora":
        kept = sorted({name.rpartition(".")[0] for name in frozen})
        try:
            config = LoraConfig(**{"target_modules": "all-linear", "exclude_modules": kept or None, **recipe.lora})
            with torch.random.fork_rng(), warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # tied weights are parted before they are merged (`merged`)
                torch.manual_seed(seed)  # an adapter starts from random weights; TRL seeds only once it has the model
                model = get_peft_model(model, config)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"optimise.lora: {str(error).splitlines()[0]}") from error
    for name, parameter in model.named_parameters():
        # peft has frozen all but its adapters, and a user's own `exclude_modules` or `bias` may have let some back in
        if any(part in name for part in recipe.freeze):
            parameter.requires_grad = False
    return model


def check_settings(recipe: Optimise) -> None:
    """Raise `RecipeError` for settings that TRL would refuse, before anything is asked or trained."""
    with tempfile.TemporaryDirectory() as scratch:
        _settings(recipe, scratch, seed=0, run_name="")


def _settings(recipe: Optimise, scratch: str, *, seed: int, run_name: str) -> DPOConfig:
    losses: dict[str, Any] = {}
    if recipe.sft_weight:
        losses = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, recipe.sft_weight]}
    ours = {
        "output_dir": scratch,
        "seed": seed,
        "data_seed": seed,
        "max_length": None,  # TRL's default cuts picture tokens off
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "run_name": run_name,
        "project": "strop",
        "save_strategy": "no",
        "logging_strategy": "steps",
        "logging_steps": 10,
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        **losses,
    }
    for field in dataclasses.fields(DPOConfig):
        given = recipe.trl.get(field.name)
        if isinstance(field.default, int | float) and isinstance(given, str | list | dict):
            raise RecipeError(f"optimise.trl.{field.name}: must be like {field.default!r}, found {given!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; nothing a user could change
            settings = DPOConfig(**{**ours, **recipe.trl})
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"optimise.trl: {str(error).splitlines()[0]}; it takes the fields of TRL's DPOConfig"
        ) from error
    try:
        for tracker in get_reporting_integration_callbacks(settings.report_to):
            tracker()  # as TRL's trainer does it: whoever misses a package says so
    except (RuntimeError, ImportError, ValueError) as error:
        raise RecipeError(
            f"optimise.trl.report_to: {str(error).splitlines()[0]} Install what is missing, or name no tracker"
        ) from error
    return settings


@contextmanager
def _tensorboard_in(folder: Path) -> Iterator[None]:
    """TensorBoard's files go into `folder` unless its variable is set: TRL's own choice is removed after training."""
    name = "TENSORBOARD_LOGGING_DIR"
    chosen = os.environ.get(name)
    os.environ[name] = chosen or str(folder)
    try:
        yield
    finally:
        if chosen is None:
            del os.environ[name]


def _rows(pairs: Sequence[Pair]) -> Dataset:
    def turn(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return Dataset.from_list(
        [
            {
                "images": [open_picture(picture) for picture in pair.sample.images],
                "prompt": turn("user", pair.sample.prompt),
                "chosen": turn("assistant", pair.chosen),
                "rejected": turn("assistant", pair.rejected),
            }
            for pair in pairs
        ]
    )


def _quiet() -> None:
    for name in ("trl", "transformers", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
