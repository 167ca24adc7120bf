"""Optimise by direct preference (DPO, Rafailov et al. 2023), through TRL."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harness.errors import RecipeError
from harness.models.options import ModelOptions
from harness.models.weights import parameters_in
from harness.types import Advance, Checkpoint
from loops.groups import Pair
from loops.kinds import Round, Study, Trained, Trial
from loops.optimise.settings import TrlFields
from loops.rounds.offline import PairOptimiser, Train

if TYPE_CHECKING:
    from harness.models.prompts import PromptReader
    from loops.optimise.agreement import Agreed
    from loops.plan import Planned, Planner

FIGURES = ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected")


class Dpo(TrlFields, PairOptimiser):
    """Direct preference optimisation; `trl` takes the fields of TRL's DPOConfig."""

    kind: Literal["dpo"] = "dpo"
    version: ClassVar[int] = 2

    reference: Literal["previous", "seed"] = Field(default="previous", description="the reference policy")
    sft_weight: float = Field(default=0.0, ge=0, description="weight of an SFT term on the chosen side")

    def reference_of(self, context: Round) -> Checkpoint:
        """The checkpoint whose log-probabilities the loss is relative to."""
        return context.seed if self.reference == "seed" else context.start

    def inputs(self, context: Round) -> dict[str, Any]:
        weights = parameters_in(context.study.seed_folder)
        return {
            **self.as_input("reference", "weights", "dtype"),
            **self.parts_input(weights),
            "reference": self.reference_of(context).digest,
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

            check_settings(self)
            sample = max(study.samples(1), key=lambda sample: len(sample.prompt)).blind()
            return try_training(self, study.seed_folder, sample, step=take_a_step, options=study.options)

        fields = [study.model, study.asking, study.source, study.collect.prompt, self.model_dump(mode="json")]
        return {"training": Trial(depends=fields, run=try_a_step)}

    def planned(self, study: Study, planner: Planner) -> Planned | None:
        def settings(recipe: TrlFields) -> Any:
            assert isinstance(recipe, Dpo)
            checkpointing = recipe.checkpointed(planner.outline.weights, planner.outline.checkpoints)
            with tempfile.TemporaryDirectory() as scratch:
                return trl_settings(
                    recipe, scratch, seed=0, run_name="", checkpointing=checkpointing, device=planner.device
                )

        # the seed is the start of the first round alone
        return planner.training(self, settings, own_reference=self.reference == "seed" and study.rounds > 1)

    def open(self, context: Round) -> Train:
        def train(pairs: Sequence[Pair], out: Path, advance: Advance) -> Trained:
            return optimise_dpo(
                pairs,
                self,
                start=context.start.path,
                reference=self.reference_of(context).path,
                out=out,
                seed=context.draw,
                run_name=context.name,
                options=context.study.options,
                advance=advance,
            )

        return train


def optimise_dpo(
    pairs: Sequence[Pair],
    recipe: Dpo,
    *,
    start: Path,
    reference: Path,
    out: Path,
    seed: int,
    run_name: str = "strop",
    options: ModelOptions = ModelOptions(),
    advance: Advance | None = None,
) -> Trained:
    """Train the checkpoint in `start` on the pairs and save the next one, whole, into `out` (safetensors).

    Device, attention, pictures and what every prompt says are those of `options`, as when the answers were collected.
    `reference` is the checkpoint whose log-probabilities the loss is relative to: where it is the start and only an
    adapter is trained, that model with the adapter switched off, else a copy of its own. TRL's settings come from
    `recipe.trl` untouched; the SFT term on the chosen side is TRL's own loss type `sft`. A tracker (`report_to`; none
    unless asked for) shows this training as `run_name`; TensorBoard's files lie beside `out`. Raises `RecipeError` for
    a setting that TRL does not know, for a tracker that is not installed, where TRL would compute other
    log-probabilities than the model (`agreement`), and for a training that diverged or would take no step, `ModelError`
    for a checkpoint that is not whole: nothing is saved then.
    """
    from harness.models.loading import computed_by
    from loops.optimise import checkpoints, with_trl
    from loops.optimise.soundness import digests_of_trained

    begun = checkpoints.load_start(start, recipe, seed=seed, options=options)
    other = (
        None if begun.switched_off and reference == start else checkpoints.load_reference(reference, recipe, options)
    )
    passes = with_trl.Passes(begun.reader.picture_tokens)
    with tempfile.TemporaryDirectory() as scratch, with_trl.tensorboard_in(out.with_name("tensorboard")):
        settings = trl_settings(
            recipe, scratch, seed=seed, run_name=run_name, checkpointing=begun.checkpointing, device=options.device
        )
        with with_trl.training_errors():
            built = agreed_trainer(begun.model, other, pairs, settings, begun.reader, begun.end)
        trainer, before = built.trainer, digests_of_trained(begun.model)
        for model in filter(None, (begun.model, other)):
            passes.watch(model)
        with_trl.train(trainer, len(pairs), advance)
    costs = dict(passes.costs)
    computed = {"policy": {"device": str(trainer.args.device), **computed_by(begun.model)}}
    with_trl.refuse_unsound(trainer)
    after = digests_of_trained(begun.model)
    checkpoints.save(begun, recipe, out)
    batch = {} if built.batch is None else {"per_device_train_batch_size": built.batch}
    return Trained(
        steps=trainer.state.global_step,
        changed=sum(after[name] != digest for name, digest in before.items()),
        figures={**batch, **with_trl.last_figures(trainer, FIGURES)},
        costs=costs,
        computed=computed,
    )


def take_a_step(model: Any, reference: Any, pair: Pair, recipe: Dpo, reader: PromptReader, end: int) -> None:
    """Train a prepared model for a single step on a single pair, as `optimise_dpo` would; nothing is saved or reported.

    Raises what TRL, torch and their helpers raise.
    """
    from loops.optimise.checkpoints import quiet

    quiet()
    alone = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "max_steps": 1, "report_to": "none",
             "torch_compile": False}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        only = recipe.model_copy(update={"trl": {**recipe.trl, **alone}})
        agreed_trainer(
            model, reference, [pair], trl_settings(only, scratch, seed=0, run_name=""), reader, end
        ).trainer.train()


def check_settings(recipe: Dpo) -> None:
    """Raise `RecipeError` for settings that TRL would refuse or take and make nothing of, and `ModelError` for weights
    that cannot be quantised here, before anything is asked or trained."""
    if recipe.quantise:
        from harness.models.loading import refuse_without_bitsandbytes

        refuse_without_bitsandbytes(f"optimise.quantise {recipe.quantise}")
    with tempfile.TemporaryDirectory() as scratch:
        trl_settings(recipe, scratch, seed=0, run_name="")


def trl_settings(
    recipe: Dpo, scratch: str, *, seed: int, run_name: str, checkpointing: bool = False, device: str | None = None
) -> Any:
    from loops.optimise.with_trl import settings_of

    # the load of a mixture's experts is no part of a preference, and TRL does not know every mixture's fields
    fixed: dict[str, Any] = {"gradient_checkpointing": checkpointing, "router_aux_loss_coef": 0.0}
    if device == "cpu":
        fixed |= {"use_cpu": True, "dataloader_pin_memory": False}
    if recipe.sft_weight:
        if named := [name for name in ("loss_type", "loss_weights") if recipe.trl.get(name) is not None]:
            raise RecipeError(
                f"optimise.trl.{named[0]}: optimise.sft_weight {recipe.sft_weight:g} decides it; set that to 0, or "
                "leave this out"
            )
        fixed |= {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, recipe.sft_weight]}
    return settings_of("DPO", recipe.trl, scratch, seed=seed, run_name=run_name, **fixed)


def agreed_trainer(
    model: Any, reference: Any, pairs: Sequence[Pair], settings: Any, reader: PromptReader, end: int
) -> Agreed:
    """TRL's trainer of these pairs, in the tokens that are asked, which computes what the model does."""
    from loops.optimise.agreement import agreed
    from loops.optimise.collate import PairCollator, rows_of
    from loops.optimise.with_trl import build_trainer

    collator, rows = PairCollator.of(model, reader, end=end, max_length=settings.max_length), rows_of(pairs)

    def build(batch: int | None) -> Any:
        args = copy(settings)
        if batch is not None:
            args.gradient_accumulation_steps *= args.per_device_train_batch_size // batch
            args.per_device_train_batch_size = batch
        return build_trainer(
            "DPO",
            model=model,
            ref_model=reference,
            args=args,
            data_collator=collator,
            train_dataset=rows,
            processing_class=reader.processor,
        )

    return agreed(build, collator)
