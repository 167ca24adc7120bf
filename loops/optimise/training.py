"""A training through TRL, from rows to the next checkpoint, whatever its loss."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness.errors import RecipeError
from harness.models.options import ModelOptions
from harness.models.weights import parameters_in
from harness.types import Advance, Checkpoint, Sample
from loops.groups import Row
from loops.kinds import Round, Study, Trained, Trial
from loops.optimise.settings import TrlFields
from loops.rounds.offline import RowOptimiser, Train

if TYPE_CHECKING:
    from datasets import Dataset

    from harness.models.prompts import PromptReader
    from loops.optimise.agreement import Agreed
    from loops.optimise.collate import Collator
    from loops.plan import Planned, Planner


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Rows as TRL takes them, and what makes a batch of them."""

    rows: Dataset
    collator: type[Collator]


class TrlOptimiser(TrlFields, RowOptimiser):
    """An optimiser that trains through TRL's trainer of its `method`, such as DPO. `relative` says whether the loss is
    relative to a reference policy; `figures` are what is kept of what TRL logs."""

    method: ClassVar[str]
    relative: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ("loss",)

    @abstractmethod
    def material(self, rows: Sequence[Any]) -> Material:
        """The rows as TRL takes them."""

    @abstractmethod
    def trial_rows(self, sample: Sample) -> Sequence[Row]:
        """The fewest rows about a sample with which a step can be taken."""

    def reference_of(self, context: Round) -> Checkpoint | None:
        """The checkpoint whose log-probabilities the loss is relative to; None where there is none such."""
        return None

    def fixed(self) -> Mapping[str, Any]:
        """TRL's settings that follow from the recipe's other fields."""
        return {}

    def inputs(self, context: Round) -> dict[str, Any]:
        weights, reference = parameters_in(context.study.seed_folder), self.reference_of(context)
        return {
            **self.as_input("reference", "weights", "dtype"),
            **self.parts_input(weights),
            **({"reference": reference.digest} if reference else {}),
        }

    def refuse(self, study: Study) -> None:
        device, _, number = (study.options.device or "").partition(":")
        if number.strip("0"):
            raise RecipeError(
                f"device {device}:{number}: training takes the first GPU that it sees; set CUDA_VISIBLE_DEVICES="
                f"{number} and device={device}"
            )

    def trials(self, study: Study) -> dict[str, Trial]:
        def try_a_step() -> str:
            from loops.optimise.trial import try_training

            device = study.options.device
            check_settings(self, device)
            sample = max(study.samples(1), key=lambda sample: len(sample.prompt)).blind()
            step = partial(take_a_step, device=device)
            return try_training(self, study.seed_folder, sample, step=step, options=study.options)

        fields = [study.model, study.asking, study.source, study.collect.prompt, self.model_dump(mode="json")]
        return {"training": Trial(depends=fields, run=try_a_step)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        def settings(recipe: TrlFields) -> Any:
            assert isinstance(recipe, TrlOptimiser)
            checkpointing = recipe.checkpointed(planner.outline.weights, planner.outline.checkpoints)
            with tempfile.TemporaryDirectory() as scratch:
                return trl_settings(
                    recipe, scratch, seed=0, run_name="", checkpointing=checkpointing, device=planner.device
                )

        # the seed is the start of the first round alone
        own_reference = getattr(self, "reference", None) == "seed" and study.rounds > 1
        return planner.training(self, settings, own_reference=own_reference)

    def open(self, context: Round) -> Train:
        reference = self.reference_of(context)

        def train_rows(rows: Sequence[Any], out: Path, advance: Advance) -> Trained:
            return optimise(
                rows,
                self,
                start=context.start.path,
                reference=reference.path if reference else None,
                out=out,
                seed=context.draw,
                run_name=context.name,
                options=context.study.options,
                advance=advance,
            )

        return train_rows


def optimise(
    rows: Sequence[Any],
    recipe: TrlOptimiser,
    *,
    start: Path,
    reference: Path | None = None,
    out: Path,
    seed: int,
    run_name: str = "strop",
    options: ModelOptions = ModelOptions(),
    advance: Advance | None = None,
) -> Trained:
    """Train the checkpoint in `start` on the rows and save the next one, whole, into `out` (safetensors).

    Device, attention, pictures and what every prompt says are those of `options`, as when the answers were collected.
    `reference` is the checkpoint whose log-probabilities the loss is relative to: where it is the start and only an
    adapter is trained, that model with the adapter switched off, else a copy of its own. TRL's settings come from
    `recipe.trl` untouched. A tracker (`report_to`; none unless asked for) shows this training as `run_name`;
    TensorBoard's files lie beside `out`. Raises `RecipeError` for a setting that TRL does not know, for a tracker that
    is not installed, where TRL would compute other log-probabilities than the model (`agreement`), and for a training
    that diverged or would take no step, `ModelError` for a checkpoint that is not whole: nothing is saved then.
    """
    from harness.models.loading import computed_by
    from loops.optimise import checkpoints, with_trl
    from loops.optimise.soundness import digests_of_trained

    begun = checkpoints.load_start(start, recipe, seed=seed, options=options)
    needed = reference is not None and not (begun.switched_off and reference == start)
    other = checkpoints.load_reference(reference, recipe, options) if reference is not None and needed else None
    passes = with_trl.Passes(begun.reader.picture_tokens)
    with tempfile.TemporaryDirectory() as scratch, with_trl.tensorboard_in(out.with_name("tensorboard")):
        settings = trl_settings(
            recipe, scratch, seed=seed, run_name=run_name, checkpointing=begun.checkpointing, device=options.device
        )
        with with_trl.training_errors():
            built = agreed_trainer(begun.model, other, rows, recipe, settings, begun.reader, begun.end)
        trainer, before = built.trainer, digests_of_trained(begun.model)
        for model in filter(None, (begun.model, other)):
            passes.watch(model)
        with_trl.train(trainer, len(rows), advance)
    costs = dict(passes.costs)
    computed = {"policy": {"device": str(trainer.args.device), **computed_by(begun.model)}}
    with_trl.refuse_unsound(trainer)
    after = digests_of_trained(begun.model)
    checkpoints.save(begun, recipe, out)
    batch = {} if built.batch is None else {"per_device_train_batch_size": built.batch}
    return Trained(
        steps=trainer.state.global_step,
        changed=sum(after[name] != digest for name, digest in before.items()),
        figures={**batch, **with_trl.last_figures(trainer, recipe.figures)},
        costs=costs,
        computed=computed,
    )


def take_a_step(
    model: Any,
    reference: Any,
    rows: Sequence[Row],
    recipe: TrlOptimiser,
    reader: PromptReader,
    end: int,
    *,
    device: str | None = None,
) -> None:
    """Train a prepared model for a single step on a few rows, as `optimise` would on this device; nothing is saved or
    reported.

    Raises what TRL, torch and their helpers raise.
    """
    from loops.optimise.checkpoints import quiet

    quiet()
    alone = {"per_device_train_batch_size": len(rows), "gradient_accumulation_steps": 1, "max_steps": 1,
             "report_to": "none", "torch_compile": False}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        only = recipe.model_copy(update={"trl": {**recipe.trl, **alone}})
        settings = trl_settings(only, scratch, seed=0, run_name="", device=device)
        agreed_trainer(model, reference, rows, recipe, settings, reader, end).trainer.train()


def check_settings(recipe: TrlOptimiser, device: str | None = None) -> None:
    """Raise `RecipeError` for settings that TRL would refuse or take and make nothing of, and `ModelError` for weights
    that cannot be quantised here, before anything is asked or trained."""
    if recipe.quantise:
        from harness.models.loading import refuse_without_bitsandbytes

        refuse_without_bitsandbytes(f"optimise.quantise {recipe.quantise}")
    with tempfile.TemporaryDirectory() as scratch:
        trl_settings(recipe, scratch, seed=0, run_name="", device=device)


def trl_settings(
    recipe: TrlOptimiser,
    scratch: str,
    *,
    seed: int,
    run_name: str,
    checkpointing: bool = False,
    device: str | None = None,
) -> Any:
    from loops.optimise.with_trl import settings_of

    # the load of a mixture's experts is no part of a preference, and TRL does not know every mixture's fields
    fixed: dict[str, Any] = {"gradient_checkpointing": checkpointing, "router_aux_loss_coef": 0.0, **recipe.fixed()}
    if device == "cpu":
        fixed |= {"use_cpu": True, "dataloader_pin_memory": False}
    return settings_of(recipe.method, recipe.trl, scratch, seed=seed, run_name=run_name, **fixed)


def agreed_trainer(
    model: Any,
    reference: Any,
    rows: Sequence[Row],
    recipe: TrlOptimiser,
    settings: Any,
    reader: PromptReader,
    end: int,
) -> Agreed:
    """TRL's trainer of these rows, in the tokens that are asked, which computes what the model does."""
    from loops.optimise.agreement import agreed
    from loops.optimise.with_trl import build_trainer

    material = recipe.material(rows)
    collator = material.collator.of(model, reader, end=end, max_length=settings.max_length)

    def build(batch: int | None) -> Any:
        args = copy(settings)
        if batch is not None:
            args.gradient_accumulation_steps *= args.per_device_train_batch_size // batch
            args.per_device_train_batch_size = batch
        return build_trainer(
            recipe.method,
            model=model,
            **({"ref_model": reference} if recipe.relative else {}),
            args=args,
            data_collator=collator,
            train_dataset=material.rows,
            processing_class=reader.processor,
        )

    return agreed(build, collator)
