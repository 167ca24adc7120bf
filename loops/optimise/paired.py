"""TRL's DPO, with pairs read as one row each where that is exact, and the reference asked once before the first step.

TRL does the rest: the loss and its variants, steps, schedules and logs. What is handed to it in a model's place
(`loops.optimise.joined`) and what it is told of the reference go through its public methods and attributes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from loops.optimise.collate import ANSWER, NO_TARGET, REFERENCE
from loops.optimise.joined import JoinedPass

ONE_ROW, TWO_ROWS = "behind one prefix", "side by side"
"""How the two sides of a pair are read."""


def paired(watched: Any) -> Any:
    """The trainer of pairs, made of TRL's DPO trainer as it is `watched`."""

    class PairTrainer(watched):  # type: ignore[misc]
        """`joins` says whether pairs are read as one row each."""

        train_dataset: Any
        ref_model: Any
        joins = False

        @property
        def joinable(self) -> bool:
            """Whether one row may do: what is drawn anew for each row (dropout) or counts tokens (a mixture's balance)
            may not."""
            return bool(self.args.disable_dropout and not self.aux_loss_enabled)

        @property
        def ways(self) -> Mapping[str, str]:
            return {"pairs": ONE_ROW if self.joins else TWO_ROWS}

        def _reading(self, model: Any) -> Any:
            return JoinedPass(model) if self.joins else model

        def compute_loss(self, model: Any, inputs: Mapping[str, Any], *args: Any, **named: Any) -> Any:
            return super().compute_loss(self._reading(model), inputs, *args, **named)

        def compute_ref_log_probs(self, model: Any, inputs: Mapping[str, Any]) -> Any:
            return super().compute_ref_log_probs(self._reading(model), inputs)

        def log_probs(self, rows: Sequence[Mapping[str, Any]]) -> list[torch.Tensor]:
            batch = self._prepare_inputs(self.data_collator(rows))
            labels = batch["input_ids"].masked_fill(batch.pop(ANSWER) == 0, NO_TARGET)
            inputs = {name: values for name, values in batch.items() if name not in REFERENCE}
            with torch.no_grad():
                output = self._reading(self.model.eval())(**inputs, labels=labels, use_cache=False, fused_lm_head=True)
            scored = labels[:, 1:] != NO_TARGET
            return [values[mask].float().cpu() for values, mask in zip(output.log_probs, scored, strict=True)]

        def ask_ahead(self, reference: Any) -> None:
            """Ask the reference for the log-probabilities of all rows, short ones with short ones; None is the model
            itself, with its adapter off."""
            self.ref_model = None  # which TRL takes for the model with its adapter off, where it has one
            model = self.model if reference is None else reference.to(self.args.device)
            rows, model = self.train_dataset, model.eval()
            sides = [rows[name] for name in ("chosen", "rejected")]
            length = [sum(len(turn[0]["content"]) for turn in pair) for pair in zip(*sides, strict=True)]
            order = sorted(range(len(rows)), key=length.__getitem__)
            size = self.args.precompute_ref_batch_size or self.args.per_device_train_batch_size
            values = torch.zeros(len(REFERENCE), len(rows))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of an adapter's biases, which have not moved yet
                for start in range(0, len(rows), size):
                    numbers = order[start : start + size]
                    batch = self._prepare_inputs(self.data_collator([rows[number] for number in numbers]))
                    values[:, numbers] = torch.stack(self.compute_ref_log_probs(model, batch)).cpu()
            for name, column in zip(REFERENCE, values, strict=True):
                rows = rows.add_column(name, column.tolist())
            self.train_dataset = rows
            self.precompute_ref_logps, self.args.remove_unused_columns = True, False

    return PairTrainer
