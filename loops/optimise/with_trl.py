"""What all optimisers that train through TRL share: its settings, trackers, progress, counting and saving. The only
module that imports TRL."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import trl
from transformers import Trainer, TrainerCallback
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl.trainer.utils import add_fused_lm_head

from harness.errors import RecipeError
from harness.models.adapters import without_adapter
from harness.models.flops import ESTIMATED_FLOPS, Weights, weights_of
from harness.types import Advance
from harness.wording import counted, first_line
from loops.optimise.on_policy import on_policy
from loops.optimise.paired import paired
from loops.optimise.settings import TROUBLE, refuse_values
from loops.optimise.soundness import REMEDY, gradient_norm, refuse_numberless


class Passes:
    """Counts the forward passes of models and the tokens that they read, padding left out. `trained_tokens` are those
    of passes that gradients were kept of, and so went backwards too."""

    def __init__(self, picture_tokens: Collection[int]) -> None:
        self.picture_tokens = torch.tensor(sorted(picture_tokens))
        self.costs = Counter(forward_passes=0, forward_tokens=0, picture_tokens=0, trained_tokens=0)

    def watch(self, model: torch.nn.Module) -> None:
        """Count what goes through this model from now on."""
        model.register_forward_pre_hook(partial(self._count, weights_of(model)), with_kwargs=True)

    def _count(
        self, weights: Weights, model: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        if torch.is_inference_mode_enabled():  # answers are drawn, and counted where they are (`Vlm.costs`)
            return
        mask = named["attention_mask"]
        if mask.dim() == 4:  # (rows, 1, tokens, tokens): only padding does not see itself
            sight = mask.diagonal(dim1=-2, dim2=-1)
            mask = sight if sight.dtype == torch.bool else sight == 0
        tokens = int(mask.sum())
        pictures = int(torch.isin(named["input_ids"].cpu(), self.picture_tokens).sum())
        trained = torch.is_grad_enabled()
        self.costs.update(
            forward_passes=1, forward_tokens=tokens, picture_tokens=pictures, trained_tokens=tokens * trained,
            **{ESTIMATED_FLOPS: weights.flops(tokens, pictures, backwards=trained)},
        )  # fmt: skip


class _Advance(TrainerCallback):  # type: ignore[misc]
    def __init__(self, advance: Advance, total: int) -> None:
        self.advance, self.total, self.reported = advance, total, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        done = self.total * state.global_step // max(state.max_steps, 1)
        self.advance(done - self.reported)
        self.reported = done


class _LastLog(TrainerCallback):  # type: ignore[misc]
    """A training of fewer steps than TRL logs after is logged at its end."""

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps and not losses(state):
            control.should_log = True


def trainer_of(method: str) -> Any:
    """TRL's trainer of a method, such as DPO, that stops where a step's loss or gradient is no number: what follows
    would be trained on noise. Of GRPO, the one that learns from answers as they are drawn (`on_policy`)."""

    class WatchedTrainer(getattr(trl, f"{method}Trainer")):  # type: ignore[misc]
        def training_step(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
            loss: torch.Tensor = super().training_step(model, *args, **kwargs)
            # under a scaler (fp16) a gradient that overflows is an ordinary step left out
            norm = gradient_norm(model) if self.accelerator.scaler is None else 0.0
            for what, value in (("loss", float(loss)), ("norm of the gradient", norm)):
                if not math.isfinite(value):
                    step = self.state.global_step + 1
                    remedy = REMEDY if step > 1 else "no weight was changed yet: look at the rows, and at optimise.trl"
                    raise RecipeError(
                        f"training diverged: at step {step} of {self.state.max_steps} the {what} is {value}; {remedy}"
                    )
            return loss

        @property
        def ways(self) -> Mapping[str, str]:
            """How rows are read, where there are several ways."""
            return {}

        @property
        def drawing_costs(self) -> Mapping[str, float]:
            """What answers that were drawn in training took."""
            return {}

        def answered(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
            """The rows with answers; where a training draws its own, with one of each."""
            return rows

        def log_probs(self, rows: Sequence[Mapping[str, Any]]) -> list[torch.Tensor]:
            """The log-probability of each of an answer's tokens as the loss computes it from these rows as a batch: of
            the answers of the collator's first side, then of the next. Nothing is logged, and no gradient kept."""
            batch = self._prepare_inputs(self.data_collator(rows))
            passes: list[Any] = []

            def keep(model: Any, arguments: Any, named: Mapping[str, Any], output: Any) -> None:
                if torch.equal(named["input_ids"], batch["input_ids"]):  # KTO reads other answers to the prompts too
                    passes.append(output)

            hook = self.model.register_forward_hook(keep, with_kwargs=True)
            try:
                with torch.no_grad(), warnings.catch_warnings():
                    warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers
                    self.model.eval()
                    self.compute_loss(self.model, batch)
            finally:
                hook.remove()
                self._metrics["eval"].clear()
            policy = passes[0]  # the reference comes after it
            return [
                values[mask].float().cpu() for values, mask in zip(policy.log_probs, policy.label_mask, strict=True)
            ]

    kinds: Mapping[str, Callable[[Any], Any]] = {"GRPO": partial(on_policy, fused_head=_fused_head), "DPO": paired}
    return kinds[method](WatchedTrainer) if method in kinds else WatchedTrainer


def _fused_head(model: Any, args: Any) -> None:
    add_fused_lm_head(model, temperature=args.temperature, cast_lm_head_to_fp32=args.cast_lm_head_to_fp32)


COPY = "ref"
"""What TRL calls its copy of an adapter."""


def losses(state: Any) -> list[dict[str, float]]:
    """What TRL logged of the training's steps, in order."""
    return [entry for entry in state.log_history if "loss" in entry]


class NoReference(torch.nn.Module):
    """In the place of a reference model: every token has the log-probability 0, so that a loss that is relative to a
    reference is about the policy alone, until the reference was asked ahead. `config` is that of the model whose place
    it takes, which TRL reads."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def forward(self, input_ids: torch.Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(log_probs=torch.zeros_like(input_ids[:, 1:], dtype=torch.float32))


def build_trainer(method: str, *, model: Any, **arguments: Any) -> Any:
    """TRL's trainer, without its own bars. With no reference model, a peft model without its adapter is the reference:
    TRL's copy of a fresh adapter would be another one of no effect. What is trained stays as precise as it is: TRL
    rounds adapters on 4-bit weights to bfloat16, where a step of a small learning rate rounds to none."""
    trained = {weights: weights.data for weights in model.parameters() if weights.requires_grad}
    inner = without_adapter(model)
    inner.__dict__.pop("forward", None)  # TRL's, of a trainer that was built before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; no user could change it
        warnings.simplefilter("ignore", UserWarning)  # tied weights are parted before they are merged
        # said as the adapter was made; a copy of it says so again
        warnings.filterwarnings("ignore", r"The following \w+_pattern keys", RuntimeWarning)
        trainer = trainer_of(method)(model=model, **arguments)
    for weights, values in trained.items():
        if weights.dtype != values.dtype:
            weights.data = values.to(weights.device)
    if trainer.args.device.type == "cpu":
        _score_answers_alone(inner)
    if COPY in getattr(model, "peft_config", {}):
        model.delete_adapter(COPY)
    if isinstance(none := getattr(trainer, "ref_model", None), NoReference):
        none.__dict__.pop("forward")  # TRL's, which looks for layers
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(_LastLog())
    return trainer


def stock_trainer(method: str, **arguments: Any) -> Any:
    """TRL's trainer of a method as it is, with a collator of its own: what ours is timed against."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; no user could change it
        trainer = getattr(trl, f"{method}Trainer")(**arguments)
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    return trainer


def fuse_head(model: Any) -> None:
    """Let a model take the log-probabilities of its labels as TRL's trainer does, the head's logits in pieces."""
    inner = without_adapter(model)
    inner.__dict__.pop("forward", None)  # one that it was given before
    trl.trainer.utils.add_fused_lm_head(inner, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    if inner.device.type in ("cpu", "meta"):  # of a plan
        _score_answers_alone(inner)


def _score_answers_alone(model: Any) -> None:
    """Let a fused head score answers' tokens alone, which TRL does on a GPU only: elsewhere it scores every token of
    the prompt too, and throws that away."""
    fused = model.forward

    @wraps(fused)
    def forward(*args: Any, **named: Any) -> Any:
        with _changed({(trl.trainer.utils, "_use_triton"): lambda device: True}):
            return fused(*args, **named)

    model.forward = forward


def ask_ahead(trainer: Any, reference: Any) -> None:
    """Ask the reference of a trainer of pairs once, before the first step; None is the model in training, with its
    adapter off. Another model has a fused head, and is let go then."""
    trainer.ask_ahead(reference)
    if reference is not None:
        without_adapter(reference).__dict__.pop("forward")  # it holds the model, which would not be let go at once


@contextmanager
def head_of_a_gpu() -> Iterator[None]:
    """Within it, a model's fused head takes what it takes on a GPU: answers' tokens alone are scored, and TRL's kernels
    copy no piece of the logits. Nothing is computed right."""
    kernels, utils = import_module("trl.kernels.chunked_logprob"), trl.trainer.utils
    changes = {(kernels, name): lambda *_, **__: None for name in ("_forward_tile", "_backward_tile", "_addmm_fp32")}
    changes[utils, "_use_triton"] = lambda device: True  # type: ignore[assignment, misc]
    with _changed(changes):
        yield


@contextmanager
def _changed(changes: Mapping[tuple[Any, str], Any]) -> Iterator[None]:
    """Within it, modules have other functions of these names."""
    originals = {(module, name): getattr(module, name) for module, name in changes}
    try:
        for (module, name), change in changes.items():
            setattr(module, name, change)
        yield
    finally:
        for (module, name), original in originals.items():
            setattr(module, name, original)


def optimiser_bytes(settings: Any) -> float:
    """Bytes that the optimiser of TRL's settings keeps, after a step, for each byte of the weights that it trains."""
    kind, options = Trainer.get_optimizer_cls_and_kwargs(settings)
    weights = torch.nn.Parameter(torch.zeros(256, 256))
    weights.grad = torch.ones_like(weights)
    with training_errors():
        optimiser = kind([weights], **options)
        optimiser.step()
    kept = [values for values in optimiser.state[weights].values() if torch.is_tensor(values)]
    return sum(values.nbytes for values in kept) / weights.nbytes


@contextmanager
def training_errors() -> Iterator[None]:
    """What TRL, torch and their helpers raise becomes a `RecipeError`."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RecipeError(
            "training does not fit into the device's memory; lower optimise.trl.per_device_train_batch_size (and "
            "raise gradient_accumulation_steps), or take optimise.weights=lora, optimise.trl.gradient_checkpointing="
            "true or optimise.quantise=nf4"
        ) from error
    except TROUBLE as error:
        raise RecipeError(f"training stopped ({first_line(error)}); look at optimise.trl") from error


def train(trainer: Any, rows: int, advance: Advance | None) -> None:
    """Let a trainer of so many rows train. Raises `RecipeError` for a training that diverged or would take no step, and
    for settings at which it stopped."""
    with training_errors():
        if not len(trainer.get_train_dataloader()):
            raise RecipeError(
                f"optimise.trl.dataloader_drop_last: {counted(rows, 'row')} are fewer than a batch of "
                f"{trainer.args.per_device_train_batch_size}, so no step would be taken; leave it out, or lower "
                "per_device_train_batch_size"
            )
        if advance:
            trainer.add_callback(_Advance(advance, rows))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; no user could change it
            trainer.train()


def last_figures(trainer: Any, names: Sequence[str]) -> dict[str, float | None]:
    """TRL's last averages of these names, None for what is no number."""
    history = losses(trainer.state)
    figures = {name: history[-1][name] for name in names if history and name in history[-1]}
    return {
        name: float(value) if value is not None and math.isfinite(value) else None for name, value in figures.items()
    }


def refuse_unsound(trainer: Any) -> None:
    """Raise `RecipeError` where a training left a model that no longer computes numbers."""
    model = trainer.model
    refuse_numberless(model, "training diverged", REMEDY)
    first = trainer.answered([trainer.train_dataset[0]])
    if not all(torch.isfinite(values).all() for values in trainer.log_probs(first)):
        raise RecipeError(f"training diverged: of its first row the model computes no numbers any more; {REMEDY}")


def settings_of(
    method: str, trl_fields: Mapping[str, Any], scratch: str, *, seed: int, run_name: str, **fixed: Any
) -> Any:
    """TRL's config of a method: its own defaults, ours for a run of stages, `fixed` by the optimiser, and the recipe's
    `trl_fields` over them. Raises `RecipeError` for settings that TRL would refuse, or take and make nothing of."""
    config = getattr(trl, f"{method}Config")
    fields = dataclasses.fields(config)
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
        **fixed,
    }
    if "max_length" not in {field.name for field in fields}:  # where answers are drawn, their prompts are never cut
        del ours["max_length"]
    refuse_values(fields, trl_fields, ours)
    settings = _config(config, ours, trl_fields)
    try:
        for tracker in get_reporting_integration_callbacks(settings.report_to):
            tracker()  # as TRL's trainer does it: whoever misses a package says so
    except (RuntimeError, ImportError, ValueError) as error:
        raise RecipeError(
            f"optimise.trl.report_to: {str(error).splitlines()[0]} Install what is missing, or name no tracker"
        ) from error
    return settings


def _config(config: Any, ours: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """TRL's config; raises `RecipeError` with the first of the settings without which there would be one."""

    def build(changes: Mapping[str, Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between TRL and transformers; nothing a user could change
            return config(**{**ours, **changes})

    try:
        return build(settings)
    except TROUBLE as error:
        trouble = error
    remedy = f"it takes the fields of TRL's {config.__name__}"
    for name in settings:
        try:
            build({other: value for other, value in settings.items() if other != name})
        except TROUBLE:
            continue
        raise RecipeError(f"optimise.trl.{name} {settings[name]!r}: {first_line(trouble)}; {remedy}") from trouble
    raise RecipeError(f"optimise.trl: {first_line(trouble)}; {remedy}") from trouble


@contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """TensorBoard's files go into `folder` unless its variable is set: TRL's own choice is removed after training."""
    name = "TENSORBOARD_LOGGING_DIR"
    chosen = os.environ.get(name)
    os.environ[name] = chosen or str(folder)
    try:
        yield
    finally:
        if chosen is None:
            del os.environ[name]
