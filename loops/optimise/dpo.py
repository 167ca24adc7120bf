"""Optimise by direct preference (DPO, Rafailov et al. 2023) through TRL: the only module that imports it."""

from __future__ import annotations

import dataclasses
import logging
import math
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
from harness.wording import counted, first_line
from loops.groups import Pair
from loops.optimise.collate import PairCollator
from loops.optimise.parts import prepare
from loops.optimise.settings import TROUBLE, refuse_values
from loops.optimise.soundness import REMEDY, digests_of_trained, gradient_norm, refuse_numberless
from loops.recipe import Optimise


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What training left: steps taken, how many tensors they changed, TRL's own last averages (loss, rewards,
    accuracies; None for what is no number), and `Passes.costs`."""

    steps: int
    changed: int
    figures: dict[str, float | None]
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


class _LastLog(TrainerCallback):  # type: ignore[misc]
    """A training of fewer steps than TRL logs after is logged at its end."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps and not _losses(state):
            control.should_log = True


class _WatchedTrainer(DPOTrainer):  # type: ignore[misc]
    """Stops where a step's loss or gradient is no number: what follows would be trained on noise."""

    def training_step(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, *args, **kwargs)
        # under a scaler (fp16) a gradient that overflows is an ordinary step left out
        norm = gradient_norm(model) if self.accelerator.scaler is None else 0.0
        for what, value in (("loss", float(loss)), ("norm of the gradient", norm)):
            if not math.isfinite(value):
                step = self.state.global_step + 1
                remedy = REMEDY if step > 1 else "no weight was changed yet: look at the pairs, and at optimise.trl"
                raise RecipeError(
                    f"training diverged: at step {step} of {self.state.max_steps} the {what} is {value}; {remedy}"
                )
        return loss


def _losses(state: Any) -> list[dict[str, float]]:
    """What TRL logged of the training's steps, in order."""
    return [entry for entry in state.log_history if "loss" in entry]


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
    a setting that TRL does not know, for a tracker that is not installed, and for a training that diverged or would
    take no step, `ModelError` for a checkpoint that is not whole: nothing is saved then.
    """
    _quiet()
    model = load_weights(start, name=str(start), dtype=torch.float32)
    policy_before = load_weights(reference, name=str(reference), dtype=torch.float32)
    refuse_numberless(model, f"the checkpoint to train from ({start})", "train it anew or name another")
    processor = load_processor(start, name=str(start))
    reader = PromptReader(processor, frame_of(processor.image_processor, pictures))
    end = reader.end_token(stop_tokens(model, processor.tokenizer))
    model = prepare(model, recipe, seed=seed)
    passes = Passes(reader.picture_token)
    for one in (model, policy_before):
        passes.watch(one)
    before = digests_of_trained(model)
    with tempfile.TemporaryDirectory() as scratch, _tensorboard_in(out.with_name("tensorboard")):
        settings = _settings(recipe, scratch, seed=seed, run_name=run_name)
        collator = PairCollator(reader=reader, end=end, max_length=settings.max_length)
        try:
            trainer = _trainer(model, policy_before, pairs, settings, collator)
            if not len(trainer.get_train_dataloader()):
                raise RecipeError(
                    f"optimise.trl.dataloader_drop_last: {counted(len(pairs), 'pair')} are fewer than a batch of "
                    f"{settings.per_device_train_batch_size}, so no step would be taken; leave it out, or lower "
                    "per_device_train_batch_size"
                )
            if advance:
                trainer.add_callback(_Advance(advance, len(pairs)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; no user could change it
                trainer.train()
        except torch.OutOfMemoryError as error:
            raise RecipeError(
                "training does not fit into the device's memory; lower optimise.trl.per_device_train_batch_size (and "
                "raise gradient_accumulation_steps), or take optimise.weights=lora"
            ) from error
        except TROUBLE as error:
            raise RecipeError(f"training stopped ({first_line(error)}); look at optimise.trl") from error
    costs = dict(passes.costs)
    _refuse_unsound(trainer)
    after = digests_of_trained(model)
    if recipe.weights == "lora":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that trained embeddings are saved too
            model.save_pretrained(out.with_name("adapter"))
        model = merged(model)
    model.save_pretrained(out)
    processor.save_pretrained(out)
    history = _losses(trainer.state)
    kept = ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected")
    figures = {name: float(history[-1][name]) for name in kept if history and name in history[-1]}
    return Trained(
        steps=trainer.state.global_step,
        changed=sum(after[name] != digest for name, digest in before.items()),
        figures={name: value if math.isfinite(value) else None for name, value in figures.items()},
        costs=costs,
    )


def _trainer(
    model: Any, reference: Any, pairs: Sequence[Pair], settings: DPOConfig, collator: PairCollator
) -> _WatchedTrainer:
    """TRL's trainer of these pairs, in the tokens that are asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # as above
        trainer = _WatchedTrainer(
            model=model,
            ref_model=reference,
            args=settings,
            data_collator=collator,
            train_dataset=_rows(pairs),
            processing_class=collator.reader.processor,
        )
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(_LastLog())
    return trainer


def _refuse_unsound(trainer: _WatchedTrainer) -> None:
    """Raise `RecipeError` where a training left a model that no longer computes numbers."""
    model = trainer.model
    refuse_numberless(model, "training diverged", REMEDY)
    batch = trainer.data_collator([trainer.train_dataset[0]])
    inputs = {name: values.to(model.device) for name, values in batch.items() if name != "completion_mask"}
    with torch.inference_mode():
        logits = model.eval()(**inputs, logits_to_keep=1).logits
    if not torch.isfinite(logits).all():
        raise RecipeError(f"training diverged: of its first pair the model computes no numbers any more; {REMEDY}")


def take_a_step(model: Any, reference: Any, pair: Pair, recipe: Optimise, reader: PromptReader, end: int) -> None:
    """Train a prepared model for a single step on a single pair, as `optimise_dpo` would; nothing is saved or reported.

    Raises what TRL, torch and their helpers raise.
    """
    _quiet()
    alone = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "max_steps": 1, "report_to": "none",
             "torch_compile": False}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        only = recipe.model_copy(update={"trl": {**recipe.trl, **alone}})
        settings = _settings(only, scratch, seed=0, run_name="")
        collator = PairCollator(reader=reader, end=end, max_length=settings.max_length)
        _trainer(model, reference, [pair], settings, collator).train()


def check_settings(recipe: Optimise) -> None:
    """Raise `RecipeError` for settings that TRL would refuse or take and make nothing of, before anything is asked or
    trained."""
    with tempfile.TemporaryDirectory() as scratch:
        _settings(recipe, scratch, seed=0, run_name="")


def _settings(recipe: Optimise, scratch: str, *, seed: int, run_name: str) -> DPOConfig:
    losses: dict[str, Any] = {}
    if recipe.sft_weight:
        if named := [name for name in ("loss_type", "loss_weights") if recipe.trl.get(name) is not None]:
            raise RecipeError(
                f"optimise.trl.{named[0]}: optimise.sft_weight {recipe.sft_weight:g} decides it; set that to 0, or "
                "leave this out"
            )
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
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
        **losses,
    }
    refuse_values(dataclasses.fields(DPOConfig), recipe.trl, ours)
    settings = _config(ours, recipe.trl)
    try:
        for tracker in get_reporting_integration_callbacks(settings.report_to):
            tracker()  # as TRL's trainer does it: whoever misses a package says so
    except (RuntimeError, ImportError, ValueError) as error:
        raise RecipeError(
            f"optimise.trl.report_to: {str(error).splitlines()[0]} Install what is missing, or name no tracker"
        ) from error
    return settings


def _config(ours: Mapping[str, Any], settings: Mapping[str, Any]) -> DPOConfig:
    """TRL's config; raises `RecipeError` with the first of the settings without which there would be one."""

    def made(changes: Mapping[str, Any]) -> DPOConfig:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; nothing a user could change
            return DPOConfig(**{**ours, **changes})

    try:
        return made(settings)
    except TROUBLE as error:
        trouble = error
    for name in settings:
        try:
            made({other: value for other, value in settings.items() if other != name})
        except TROUBLE:
            continue
        raise RecipeError(
            f"optimise.trl.{name} {settings[name]!r}: {first_line(trouble)}; it takes the fields of TRL's DPOConfig"
        ) from trouble
    raise RecipeError(f"optimise.trl: {first_line(trouble)}; it takes the fields of TRL's DPOConfig") from trouble


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
