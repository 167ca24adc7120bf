"""TRL's GRPO on answers that the model in training gives here: drawn as in evaluation, trained on as they were drawn.

TRL would draw by another engine, from prompts tokenised anew, and cut pictures apart by each family's own rules. Here
`harness.models.vlm` draws (shared prefixes, forbidden tokens, the model's own stop tokens), and every pass of policy
and reference reads the very tokens that were drawn, with pictures as `loops.optimise.collate` shows them. TRL does the
rest: advantages within a group, the loss and its variants, steps, schedules and logs. Its loss is about the model's own
distribution at `temperature`; what `top_p`, forbidden tokens or a repetition penalty take from it is not known there.

The methods of TRL's trainer that are replaced have private names; the version is pinned, and tests hold them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch

from harness.models.adapters import without_adapter
from harness.models.vlm import Drawn, Vlm
from harness.types import Sample, Sampling
from loops.optimise.collate import ANSWER, NO_TARGET, PROMPT, SIDE, Collator, sample_of
from loops.rounds.online import Judge

Engine = Callable[[Any, str], Vlm]
"""What asks a model, given it and its device."""

AGAIN = 1_000_003
"""Numbers of one training seed lie so far from those of the next."""

CALIBRATED = 64
"""Pictures to which an answer is drawn before the first step, for verifiers that are calibrated."""


def on_policy(watched: Any, fused_head: Callable[[Any, Any], None]) -> Any:
    """The trainer of drawn answers, made of TRL's GRPO trainer as it is `watched`. `fused_head` gives a model the head
    by which TRL computes log-probabilities, by the trainer's settings."""

    class OnPolicyTrainer(watched):  # type: ignore[misc]
        """`train_dataset` has rows with `images`, `prompt` and their number (`row`); `samples` are the same. The
        reference is used where `beta` is above 0; None is the model with its adapter switched off."""

        def __init__(
            self,
            *,
            model: Any,
            args: Any,
            ref_model: Any = None,
            data_collator: Collator,
            samples: Sequence[Sample],
            judge: Judge,
            engine: Engine,
            **arguments: Any,
        ) -> None:
            self.samples, self.judge, self.collator = samples, judge, data_collator
            self.rows: Sequence[Mapping[str, Any]] = []
            self.rewards: list[float | None] = []
            beta, args.beta = args.beta, 0.0  # TRL would read a reference of its own from the model's folder
            super().__init__(
                model=model, args=args, reward_funcs=[self._verifier], rollout_func=self._rollout, **arguments
            )
            self.beta = args.beta = beta
            if beta and ref_model is not None:
                fused_head(ref_model, args)
                self.ref_model = self.accelerator.prepare_model(ref_model, evaluation_mode=True)
            inner = without_adapter(model)
            self.engine = engine(inner, str(args.device))
            self.eos_token_ids = sorted(self.engine.stop)

        @property
        def drawing_costs(self) -> Mapping[str, float]:
            return Counter(self.engine.costs)

        # Answers --------------------------------------------------------------------------------------------------

        def draw(self, samples: Sequence[Sample], *, answers: int, number: int) -> list[list[Drawn]]:
            """Answers of the model as it is now; `number` feeds the generator."""
            args, was_training = self.args, self.model.training
            self.model.eval()
            sampling = Sampling(
                n=answers, temperature=args.temperature, top_p=None if args.top_p == 1 else args.top_p,
                max_tokens=args.max_completion_length, seed=args.seed * AGAIN + number,
            )  # fmt: skip
            drawn = self.engine.drawn(samples, sampling)
            self.model.train(was_training)
            return drawn

        def begin(self) -> None:
            samples = self.samples[:CALIBRATED]
            self.judge.begin(samples, [row.answer for (row,) in self.draw(samples, answers=1, number=0)])

        def answered(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
            drawn = self.draw([sample_of(row) for row in rows], answers=1, number=0)
            return [_with_tokens(row, answer) for row, (answer,) in zip(rows, drawn, strict=True)]

        def _rollout(self, prompts: Any, trainer: Any) -> dict[str, Any]:
            """Draws and judges a group for each prompt; TRL repeats a prompt as often as its group is large."""
            samples = [self.samples[row["row"]] for row in self.rows[:: self.num_generations]]
            drawn = self.draw(samples, answers=self.num_generations, number=1 + self._step)
            rewards = self.judge(samples, [[row.answer for row in group] for group in drawn])
            self.rewards = list(chain.from_iterable(rewards))
            answers = list(chain.from_iterable(drawn))
            return {
                "prompt_ids": [list(answer.prompt) for answer in answers],
                "completion_ids": [list(answer.tokens) for answer in answers],
                "logprobs": None,
            }

        def _verifier(self, **_: Any) -> list[float | None]:
            return self.rewards

        # Passes ---------------------------------------------------------------------------------------------------

        def log_probs(self, rows: Sequence[Mapping[str, Any]]) -> list[torch.Tensor]:
            with torch.no_grad():
                values, *_ = self._computed(self.model.eval(), rows)
            return [each.float().cpu() for each in values]

        def _computed(
            self, model: Any, rows: Sequence[Mapping[str, Any]], *, aux_loss: bool = False
        ) -> tuple[list[torch.Tensor], list[torch.Tensor], Any]:
            """(log-probability of each token of the answers, entropy there, a mixture's own loss)."""
            inputs = {name: values.to(self.args.device) for name, values in self.collator(rows).items()}
            labels = inputs["input_ids"].masked_fill(inputs.pop(ANSWER) == 0, NO_TARGET)
            more = {"output_router_logits": True} if aux_loss else {}
            with self.accelerator.autocast():
                output = model(**inputs, **more, labels=labels, fused_lm_head=True)
            masks = labels[:, 1:] != NO_TARGET
            entropies = output.log_probs if output.entropy is None else output.entropy  # a reference has none
            log_probs, entropies = (
                [values[mask] for values, mask in zip(each, masks, strict=True)]
                for each in (output.log_probs, entropies)
            )
            return log_probs, entropies, output.aux_loss if aux_loss else None

        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            logits_to_keep: int,
            batch_size: int | None = None,
            compute_entropy: bool = False,
            compute_aux_loss: bool = False,
            **_: Any,
        ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
            """TRL's: prompts are padded on the left of (rows, tokens), answers on the right, in the last
            `logits_to_keep` columns; so are the results (rows, `logits_to_keep`)."""
            real, rows = attention_mask.bool(), []
            for row, ids, mask in zip(self.rows, input_ids, real, strict=True):
                prompt, answer = (
                    ids[part][mask[part]] for part in (slice(-logits_to_keep), slice(-logits_to_keep, None))
                )
                rows.append({**row, PROMPT: prompt.tolist(), SIDE: answer.tolist()})
            size = batch_size or len(rows)
            computed = [
                self._computed(model, rows[start : start + size], aux_loss=compute_aux_loss)
                for start in range(0, len(rows), size)
            ]
            log_probs, entropies = (
                torch.stack([_wide(values, logits_to_keep) for batch in computed for values in batch[kind]])
                for kind in (0, 1)
            )
            aux_loss = torch.stack([batch[2] for batch in computed]).mean() if compute_aux_loss else None
            return log_probs, entropies if compute_entropy else None, aux_loss

        def _generate_and_score_completions(self, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
            self.rows = inputs
            numbers = [row["row"] for row in inputs]
            # a text, and no picture: TRL would show pictures itself
            output = super()._generate_and_score_completions([{"prompt": "", "row": number} for number in numbers])
            return {**output, "row": torch.tensor(numbers)}  # shuffled and split with the rest

        def _compute_loss(self, model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
            self.rows = [self.train_dataset[number] for number in inputs["row"].tolist()]
            loss: torch.Tensor = super()._compute_loss(model, inputs)
            return loss

    return OnPolicyTrainer


def _with_tokens(row: Mapping[str, Any], answer: Drawn) -> dict[str, Any]:
    return {**row, PROMPT: list(answer.prompt), SIDE: list(answer.tokens)}


def _wide(values: torch.Tensor, width: int) -> torch.Tensor:
    """Values with zeros behind them."""
    return torch.nn.functional.pad(values, (0, width - len(values)))
