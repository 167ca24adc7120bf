"""A training through TRL, from rows to the next checkpoint, whatever its loss."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from harness.errors import RecipeError
from harness.models.options import ModelOptions
from harness.models.weights import parameters_in
from harness.types import Advance, Answer, Checkpoint, Sample, Sampling
from loops.kinds import Optimiser, Round, Study, Trained, Trial
from loops.optimise.collapse import LONGEST, prompts_of, refuse_collapsed
from loops.optimise.settings import TrlFields
from loops.rounds.offline import RowOptimiser, Train

if TYPE_CHECKING:
    from datasets import Dataset

    from harness.models.prompts import PromptReader
    from harness.models.vlm import Vlm
    from loops.optimise.agreement import Agreed
    from loops.optimise.collate import Collator
    from loops.optimise.with_trl import Passes
    from loops.plan import Planned, Planner
    from loops.rounds.online import Judge


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """Rows as TRL takes them, and what makes a batch of them."""

    rows: Dataset
    collator: type[Collator]


class TrlOptimiser(TrlFields, Optimiser):
    """An optimiser that trains through TRL's trainer of its `method`, such as DPO. `figures` are what is kept of what
    TRL logs. What is trained on (rows with answers, or samples that answers are drawn to) is `rows` here."""

    method: ClassVar[str]
    figures: ClassVar[tuple[str, ...]] = ("loss",)

    @property
    def relative(self) -> bool:
        """Whether the loss is relative to a reference policy."""
        return True

    @property
    def ahead(self) -> bool:
        """Whether the reference is asked once, before the first step, and not beside each."""
        return False

    @abstractmethod
    def material(self, rows: Sequence[Any]) -> Material:
        """The rows as TRL takes them."""

    @abstractmethod
    def trial_rows(self, sample: Sample) -> Sequence[Any]:
        """The fewest rows about a sample with which a step can be taken."""

    def one_step(self, rows: int) -> Mapping[str, Any]:
        """TRL's settings of a single step with so many rows."""
        return {"per_device_train_batch_size": rows, "gradient_accumulation_steps": 1, "max_steps": 1}

    def trial_judge(self) -> Judge | None:
        """What rewards the answers of a step that is tried, where it draws any."""
        return None

    def within(self, study: Study) -> Self:
        """This optimiser with what it takes from the other parts of a recipe; raises `RecipeError` where they do not
        fit together."""
        return self

    def reference_of(self, context: Round) -> Checkpoint | None:
        """The checkpoint whose log-probabilities the loss is relative to; None where there is none such."""
        return None

    def reference_argument(self, reference: Any, model: Any) -> Mapping[str, Any]:
        """What TRL's trainer of the `model` is given as its reference policy."""
        return {"ref_model": reference} if self.relative else {}

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

            recipe, options = self.within(study), study.options
            check_settings(recipe, options.device)
            sample = max(study.samples(1), key=lambda sample: len(sample.prompt)).blind()
            step = partial(take_a_step, options=options)
            return try_training(recipe, study.seed_folder, sample, step=step, options=options)

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
        return planner.training(self.within(study), settings, own_reference=own_reference)

    def train(
        self, context: Round, rows: Sequence[Any], out: Path, advance: Advance, judge: Judge | None = None
    ) -> Trained:
        """`optimise` from the round's start, by its draw and name."""
        reference = self.reference_of(context)
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
            judge=judge,
            prompts=prompts_of(rows) if self.stop_collapsed else (),
            longest=min(LONGEST, getattr(context.study.collect, "max_tokens", LONGEST)),
        )


class TrlRowOptimiser(TrlOptimiser, RowOptimiser):
    """One that learns from rows."""

    def open(self, context: Round) -> Train:
        return partial(self.train, context)


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
    judge: Judge | None = None,
    prompts: Sequence[Sample] = (),
    longest: int = LONGEST,
) -> Trained:
    """Train the checkpoint in `start` on the rows and save the next one, whole, into `out` (safetensors).

    Device, attention, pictures and what every prompt says are those of `options`, as when the answers were collected.
    `judge` rewards the answers of a training that draws them itself, whose rows are samples without gold. `reference`
    is the checkpoint whose log-probabilities the loss is relative to: where it is the start, the model in training, as
    it is before the first step or with its adapter switched off, as far as that is the same; else a copy of its own,
    which is let go where it is asked `ahead`. TRL's settings come from `recipe.trl` untouched. A tracker (`report_to`;
    none unless asked for) shows this training as `run_name`; TensorBoard's files lie beside `out`. `prompts` are
    samples that the model answers greedily before and after, in `longest` tokens at most, by which
    `loops.optimise.collapse` tells a model that answers nothing any more. Raises `RecipeError` for a setting that TRL
    does not know, for a tracker that is not installed, where TRL would compute other log-probabilities than the model
    (`agreement`), and for a training that diverged, collapsed or would take no step, `ModelError` for a checkpoint that
    is not whole: nothing is saved then.
    """
    from harness.models.loading import computed_by
    from loops.optimise import checkpoints, with_trl
    from loops.optimise.soundness import digests_of_trained

    begun = checkpoints.load_start(start, recipe, seed=seed, options=options)
    itself = reference == start and (begun.untouched if recipe.ahead else begun.switched_off)
    other = None if reference is None or itself else checkpoints.load_reference(reference, recipe, options)
    passes = with_trl.Passes(begun.reader.picture_tokens)
    with tempfile.TemporaryDirectory() as scratch, with_trl.tensorboard_in(out.with_name("tensorboard")):
        settings = trl_settings(
            recipe, scratch, seed=seed, run_name=run_name, checkpointing=begun.checkpointing, device=options.device
        )
        with with_trl.training_errors():
            built = agreed_trainer(
                begun.model, other, rows, recipe, settings, begun.reader, begun.end, judge=judge, options=options,
                passes=passes,
            )  # fmt: skip
        del other
        trainer, before = built.trainer, digests_of_trained(begun.model)
        if judge:
            with with_trl.training_errors():
                trainer.begin()
        greedy = _Greedy(trainer, begun.reader, options, prompts, longest)
        earlier = greedy.answers()
        with_trl.train(trainer, len(rows), advance)
    policy = {"device": str(trainer.args.device), **computed_by(begun.model), **trainer.ways}
    costs = Counter(passes.costs)
    costs.update(trainer.drawing_costs)
    with_trl.refuse_unsound(trainer)
    refuse_collapsed(earlier, greedy.answers())
    costs.update(greedy.costs)
    after = digests_of_trained(begun.model)
    checkpoints.save(begun, recipe, out)
    batch = {} if built.batch is None else {"per_device_train_batch_size": built.batch}
    return Trained(
        steps=trainer.state.global_step,
        changed=sum(after[name] != digest for name, digest in before.items()),
        figures={**batch, **with_trl.last_figures(trainer, recipe.figures)},
        costs=dict(costs),
        computed={"policy": policy},
    )


def take_a_step(
    model: Any,
    reference: Any,
    rows: Sequence[Any],
    recipe: TrlOptimiser,
    reader: PromptReader,
    end: int,
    *,
    options: ModelOptions = ModelOptions(),
) -> None:
    """Train a prepared model for a single step on a few rows, as `optimise` would with these options; nothing is saved
    or reported.

    Raises what TRL, torch and their helpers raise.
    """
    from loops.optimise.checkpoints import quiet

    quiet()
    alone = {**recipe.one_step(len(rows)), "report_to": "none", "torch_compile": False}
    with tempfile.TemporaryDirectory() as scratch:
        only = recipe.model_copy(update={"trl": {**recipe.trl, **alone}})
        settings = trl_settings(only, scratch, seed=0, run_name="", device=options.device)
        judge = recipe.trial_judge()
        built = agreed_trainer(model, reference, rows, recipe, settings, reader, end, judge=judge, options=options)
        built.trainer.train()


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
    rows: Sequence[Any],
    recipe: TrlOptimiser,
    settings: Any,
    reader: PromptReader,
    end: int,
    *,
    judge: Judge | None = None,
    options: ModelOptions = ModelOptions(),
    passes: Passes | None = None,
) -> Agreed:
    """TRL's trainer of these rows, in the tokens that are asked, which computes what the model does; `passes` counts
    those of the training. A `reference` that is asked `ahead` has been when this returns."""
    from loops.optimise.agreement import agreed
    from loops.optimise.with_trl import ask_ahead, build_trainer, fuse_head

    material = recipe.material(rows)
    collator = material.collator.of(model, reader, end=end, max_length=getattr(settings, "max_length", None))
    drawing = {} if judge is None else {"samples": rows, "judge": judge, "engine": partial(_usable, reader, options)}

    def build(batch: int | None) -> Any:
        args = copy(settings)
        if batch is not None:
            parts = args.per_device_train_batch_size // batch
            args.gradient_accumulation_steps *= parts
            args.per_device_train_batch_size = batch
            if judge:
                args.steps_per_generation *= parts
        if recipe.ahead and reference is not None:
            fuse_head(reference)  # here, where what TRL does to its logits may be left out
        return build_trainer(
            recipe.method,
            model=model,
            **recipe.reference_argument(reference, model),
            args=args,
            data_collator=collator,
            train_dataset=material.rows,
            processing_class=reader.tokenizer if judge else reader.processor,
            **drawing,
        )

    built = agreed(build, collator)
    if passes:
        for each in filter(None, (model, reference)):
            passes.watch(each)
    if recipe.ahead:
        ask_ahead(built.trainer, reference)
    return built


def _usable(reader: PromptReader, options: ModelOptions, model: Any, device: str) -> Vlm:
    """The engine of a model that answers are drawn of; raises `ModelError` for one that cannot be asked."""
    from harness.models.probe import refuse_unusable

    vlm = _engine(reader, options, model, device)
    refuse_unusable(vlm)
    return vlm


def _engine(reader: PromptReader, options: ModelOptions, model: Any, device: str) -> Vlm:
    """What asks a model in training as the checkpoint that it becomes will be asked."""
    from harness.models.vlm import Vlm

    return Vlm(model, reader.processor, name="the model in training", digest="", device=device, options=options)


class _Greedy:
    """A model in training, asked the same before and after; `costs` is what that took."""

    def __init__(
        self, trainer: Any, reader: PromptReader, options: ModelOptions, samples: Sequence[Sample], longest: int
    ) -> None:
        self.model, self.samples, self.sampling = trainer.model, samples, Sampling(max_tokens=longest)
        self._engine = partial(_engine, reader, options, device=str(trainer.args.device))
        self.costs = Counter[str]()

    def answers(self) -> list[Answer]:
        if not self.samples:
            return []
        from harness.models.adapters import without_adapter

        inner = without_adapter(self.model)
        was_training = self.model.training
        self.model.eval()
        engine = self._engine(inner)
        drawn = engine.drawn(self.samples, self.sampling)
        self.model.train(was_training)
        self.costs.update(engine.costs)
        return [row.answer for (row,) in drawn]
