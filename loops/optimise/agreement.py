"""Whether a trainer computes the log-probabilities of the model that it trains: only then is its loss about that model.

TRL takes the layers under the head and multiplies by the head's weights itself, in batches of pairs. That differs from
the model's own forward pass of a conversation alone where the configuration scales or bounds logits and the model's own
code does not, and where pictures of unlike size in one batch disturb each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from harness.errors import ModelError, RecipeError
from harness.models.adapters import without_adapter
from harness.wording import first_line
from loops.optimise.collate import ANSWER, Collator
from loops.optimise.settings import TROUBLE

EXACT, ROUNDED = 2e-3, 0.1
"""The largest mean difference of a token's log-probability, in nats, that batches and kernels explain: in float32, and
in 16 bits or fewer, where a logit of 16 is rounded to multiples of 1/8 (bfloat16)."""

BEHIND_HEAD: Mapping[str, float | None] = {
    "final_logit_softcapping": None,
    "logit_scale": 1.0,
    "output_multiplier": 1.0,
    "lm_head_multiplier": 1.0,
    "logits_scaling": 1.0,
}
"""The fields of a text configuration by which TRL changes logits, and the value at which it does not."""

JOINED, NOISE = 1e-5, 0.01
"""By how much a token's log-probability may differ, in nats, where a pair is read as one row and not as two: at most in
float32, and of 16 bits in the mean, beyond which it may not be twice as far from the model's own as two rows are."""

PROBED, COMPARED = 64, 8
"""Of so many first pairs, so many of the most unlike are compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreed:
    """A trainer that computes what its model does; `batch` is what it was brought to for that, where it was."""

    trainer: Any
    batch: int | None = None


def agreed(build: Callable[[int | None], Any], collator: Collator) -> Agreed:
    """The trainer that `build` makes, told the pairs of a batch or None for the settings' own.

    Where pairs disagree in a batch and not alone, it takes one pair at a time. Raises `RecipeError` where a pair alone
    disagrees, and what TRL, torch and their helpers raise.
    """
    trainer = build(None)
    _refuse_out_of_reach(trainer.model)
    rows = trainer.answered(_unlike(trainer.train_dataset, min(COMPARED, trainer.args.per_device_train_batch_size)))
    scale = getattr(trainer, "temperature", 1.0)
    read = [_read(trainer.model, collator, row, side, scale) for side in collator.sides for row in rows]
    unused = _scales(trainer) if all(reading.bare for reading in read) else []
    with _left_out(unused):
        if unused:
            trainer = build(None)
        if (trouble := _trouble(trainer, rows, read)) is None:
            return Agreed(trainer=_joining(trainer, rows))
        alone = [_trouble(trainer, [row], read[number :: len(rows)]) for number, row in enumerate(rows)]
        if len(rows) > 1 and not any(alone):
            return Agreed(trainer=_joining(build(1), rows[:1]), batch=1)
    raise RecipeError(f"optimise: {next(filter(None, alone), trouble)}")


def _refuse_out_of_reach(model: Any) -> None:
    """Raise `RecipeError` for a model whose layers below its head transformers does not name."""
    inner = without_adapter(model)
    if inner.base_model is inner:
        raise RecipeError(
            f"optimise: TRL's loss takes a model's layers apart from its head, which models of type "
            f"'{inner.config.model_type}' do not let it; take another model"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """What a model computes of a conversation alone: the log-probability of each of the answer's tokens, and whether
    its logits are what its head gives (`bare`)."""

    log_probs: torch.Tensor
    bare: bool


def _read(model: Any, collator: Collator, row: Mapping[str, Any], side: str, temperature: float = 1.0) -> _Reading:
    """One side of a pair in the model's own forward pass, as probable as it is at a temperature."""
    outputs: list[torch.Tensor] = []
    head = model.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    inputs = {name: values.to(model.device) for name, values in collator.alone(row, side).items()}
    answer = inputs.pop(ANSWER)[0, 1:].bool()
    try:
        with torch.no_grad():
            logits = model.eval()(**inputs, use_cache=False).logits
    finally:
        hook.remove()
    log_probs = (logits[0, :-1][answer].float() / temperature).log_softmax(-1)
    tokens = inputs["input_ids"][0, 1:][answer]
    return _Reading(
        log_probs=log_probs.gather(1, tokens[:, None])[:, 0].cpu(),
        bare=len(outputs) == 1 and torch.equal(outputs[0].float(), logits.float()),
    )


def _trouble(trainer: Any, rows: Sequence[Mapping[str, Any]], read: Sequence[_Reading]) -> str | None:
    """How a batch of pairs differs from what the model itself computes of each side; None where it does not. What a
    pair alone raises is raised."""
    try:
        computed = trainer.log_probs(rows)
    except torch.OutOfMemoryError:
        raise
    except (ModelError, *TROUBLE) as error:
        if len(rows) == 1:
            raise
        return f"pairs do not go into a batch ({first_line(error)})"
    bound = EXACT if trainer.model.dtype == torch.float32 and not _quantised(trainer.model) else ROUNDED
    for reading, values in zip(read, computed, strict=True):
        if len(values) != len(reading.log_probs) or (values - reading.log_probs).abs().mean() > bound:
            return (
                f"TRL computes {float(values.sum()):.4f} for the log-probability of an answer of {len(values)} tokens, "
                f"and the model itself {float(reading.log_probs.sum()):.4f}; training would follow numbers that are "
                "not the model's (its code may change a picture by those before it in a batch, or logits behind its "
                "head), so this kind of model cannot be trained by TRL's loss; take another model"
            )
    return None


def _joining(trainer: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """The trainer; one of pairs reads each as one row from here on, where of these rows as a batch, and of the longest
    of all, that computes the same as two rows do."""
    if not getattr(trainer, "joinable", False):
        return trainer
    batches = [rows, [_longest(trainer.train_dataset)]]
    apart = [values for batch in batches for values in trainer.log_probs(batch)]
    trainer.joins = True
    try:
        joined = [values for batch in batches for values in trainer.log_probs(batch)]
    except torch.OutOfMemoryError:
        raise
    except (ModelError, *TROUBLE):
        trainer.joins = False
        return trainer
    if trainer.model.dtype == torch.float32 and not _quantised(trainer.model):
        trainer.joins = _furthest(joined, apart) <= JOINED
        return trainer
    collator, model = trainer.data_collator, trainer.model
    own = [_read(model, collator, row, side).log_probs for batch in batches for side in collator.sides for row in batch]
    trainer.joins = _mean(joined, own) <= max(2 * _mean(apart, own), NOISE)
    return trainer


def _longest(dataset: Any) -> Mapping[str, Any]:
    lengths = [
        sum(len(turn[0]["content"]) for turn in turns)
        for turns in zip(dataset["prompt"], dataset["chosen"], dataset["rejected"], strict=True)
    ]
    row: Mapping[str, Any] = dataset[max(range(len(lengths)), key=lengths.__getitem__)]
    return row


def _furthest(values: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> float:
    return float((torch.cat(list(values)) - torch.cat(list(others))).abs().max())


def _mean(values: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> float:
    return float((torch.cat(list(values)) - torch.cat(list(others))).abs().mean())


def _quantised(model: Any) -> bool:
    return getattr(model, "quantization_method", None) is not None


def _unlike(dataset: Any, count: int) -> list[Mapping[str, Any]]:
    """So many of the first pairs, those first whose pictures are of sizes that were not met before."""
    first: dict[tuple[tuple[int, int], ...], int] = {}
    rows = [dataset[number] for number in range(min(PROBED, len(dataset)))]
    for number, row in enumerate(rows):
        first.setdefault(tuple(picture.size for picture in row["images"]), number)
    others = [number for number in range(len(rows)) if number not in first.values()]
    return [rows[number] for number in [*first.values(), *others][:count]]


def _scales(trainer: Any) -> list[tuple[Any, str, Any]]:
    """(text configuration, field, value) of all that TRL does to the logits of the models that the trainer asks."""
    texts = [
        model.config.get_text_config()
        for model in (trainer.model, getattr(trainer, "ref_model", None))
        if model is not None
    ]
    fields = itertools.product(texts, BEHIND_HEAD)
    values = [(text, name, getattr(text, name, None)) for text, name in fields]
    return [(text, name, value) for text, name, value in values if value not in (None, BEHIND_HEAD[name])]


@contextmanager
def _left_out(scales: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """While a trainer is built, these fields are of no effect."""
    for text, name, _ in scales:
        setattr(text, name, BEHIND_HEAD[name])
    try:
        yield
    finally:
        for text, name, value in scales:
            setattr(text, name, value)
