"""What a model's generation_config.json does to its logits: repetition penalty, forbidden n-grams, least lengths.

They are followed by transformers' own logits processors, built as ``model.generate`` builds them, so that a greedy
answer here is the one of ``model.generate(do_sample=False, num_beams=1)``. As there, a row's ids are those of its
prompt, with as many picture tokens as its pictures take, and of its answer so far. Settings that need other passes of
the model, or text, are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from harness.errors import ModelError
from harness.models.options import GenerationSettings

_FOLLOWED: Mapping[str, tuple[Any, ...]] = {
    "repetition_penalty": (None, 1, 1.0),
    "no_repeat_ngram_size": (None, 0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "exponential_decay_length_penalty": (None,),
    "forced_eos_token_id": (None,),
    "sequence_bias": (None, {}, []),
    "bad_words_ids": (None, []),
    "suppress_tokens": (None, []),
    "begin_suppress_tokens": (None, []),
}
"""Settings that a logits processor follows, with the values at which they change no answer."""

_REFUSED: Mapping[str, tuple[Any, ...]] = {
    "encoder_repetition_penalty": (None, 1, 1.0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "guidance_scale": (None, 1, 1.0),
    "watermarking_config": (None,),
    "penalty_alpha": (None, 0, 0.0),
    "dola_layers": (None,),
    "stop_strings": (None, "", []),
}
"""Settings that change greedy answers and are not followed, with the values at which they do not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Processing:
    """The settings of one model that change its greedy answers: `followed`, or `left_out` where the user says so."""

    followed: Mapping[str, Any]
    left_out: Mapping[str, Any]

    @property
    def about(self) -> dict[str, Any]:
        """What results say of them; nothing of a model without such settings."""
        groups = {"generation_config": self.followed, "generation_config_left_out": self.left_out}
        return {name: dict(settings) for name, settings in groups.items() if settings}

    def rows(
        self, model: Any, prompts: Sequence[Sequence[int]], *, stop: Collection[int], max_tokens: int
    ) -> ProcessedRows | None:
        """The processors of rows with these prompts (the ids of each, picture tokens included), whose answers have
        `max_tokens` tokens at most; None where there is nothing to follow."""
        if not self.followed:
            return None
        return ProcessedRows(model, self.followed, prompts, stop=stop, max_tokens=max_tokens)


class ProcessedRows:
    """The logits processors of some rows, which may have prompts of different lengths.

    Rows of one length are processed together: the processors of transformers know no padding.
    """

    def __init__(
        self,
        model: Any,
        settings: Mapping[str, Any],
        prompts: Sequence[Sequence[int]],
        *,
        stop: Collection[int],
        max_tokens: int,
    ) -> None:
        self._device = model.device
        self._prompts = [torch.tensor(prompt, dtype=torch.long, device=self._device) for prompt in prompts]
        self._highest = max((*stop, *(token for prompt in prompts for token in set(prompt))))
        self._processors = {
            length: _processors(model, settings, length, stop=stop, max_tokens=max_tokens)
            for length in {len(prompt) for prompt in prompts}
        }

    def __call__(self, rows: Sequence[int], answers: Sequence[Sequence[int]], logits: torch.Tensor) -> torch.Tensor:
        """The logits (len(rows), vocabulary) of the next token of these rows, by number, as `generate` would have them.

        `answers` are the ids that follow each row's prompt so far.
        """
        width = logits.shape[1]
        # ids of pictures may lie beyond the head, where a processor would index
        wide = torch.nn.functional.pad(logits, (0, max(0, self._highest + 1 - width)))
        groups: dict[tuple[int, int], list[int]] = {}
        for slot, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            groups.setdefault((len(self._prompts[row]), len(answer)), []).append(slot)
        processed = wide.clone()
        for (length, _), slots in groups.items():
            behind = torch.tensor([answers[slot] for slot in slots], dtype=torch.long, device=self._device)
            ids = torch.cat([torch.stack([self._prompts[rows[slot]] for slot in slots]), behind], dim=1)
            processed[slots] = self._processors[length](ids, wide[slots])
        return processed[:, :width]


def processing_of(model: Any, name: str, choice: GenerationSettings = "model") -> Processing:
    """What of the model's generation settings is followed or, by the user's choice of "none", left out.

    Raises `ModelError` for settings that cannot be followed, unless all are left out.
    """
    generation = model.generation_config
    active = {
        setting: value
        for setting, harmless in {**_FOLLOWED, **_REFUSED}.items()
        if (value := getattr(generation, setting, None)) not in harmless
    }
    if choice == "none":
        return Processing(followed={}, left_out=active)
    for setting in _REFUSED.keys() & active.keys():
        raise ModelError(
            f"{name}: its generation_config.json sets {setting} to {active[setting]}, which is not followed here and "
            "changes answers; leave its settings out by --generation-config none, which results name"
        )
    return Processing(followed=active, left_out={})


def _processors(model: Any, settings: Mapping[str, Any], length: int, *, stop: Collection[int], max_tokens: int) -> Any:
    """The logits processors that `generate` builds for prompts of one length."""
    config = GenerationConfig(**settings, max_length=length + max_tokens)
    config._eos_token_tensor = torch.tensor(sorted(stop), dtype=torch.long, device=model.device) if stop else None
    return model._get_logits_processor(config, input_ids_seq_length=length, device=model.device)
