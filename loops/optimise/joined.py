"""A pair as one row: what both sides begin with is read once, and the rest of each sees that and itself alone.

TRL reads a pair as two rows, so that the picture, the question and what both answers begin with go through the model
twice, forwards and backwards. Read once, they take half; the numbers are the same but for rounding wherever a model
takes a mask of what each token sees. What has windows of its own, reads pictures both ways or keeps a state instead of
looking back does not: a model is compared with TRL's way first (`loops.optimise.agreement`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from harness.models.adapters import without_adapter
from harness.models.branches import along
from loops.optimise.collate import NO_TARGET

SCORES = ("log_probs", "entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
"""What TRL's head says of each token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """B pairs as B rows of L tokens: a chosen side, and behind it the rejected one from the last token on that both
    begin with (it is followed by another token in each).

    `rows` and `columns` (B, L) say where a token stands among the sides (2 B, T); `labels` (B, L) which token is scored
    behind it; `sight` (B, 1, L, L) what it sees, itself last (padding sees the first token alone); `places`
    (2 B, T - 1) behind which token each of the sides' tokens from the second on is read.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    labels: torch.Tensor
    sight: torch.Tensor
    places: torch.Tensor


def joined(ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> Joined:
    """The layout of pairs of which all chosen sides stand before all rejected ones (2 B, T), padded on the right;
    `labels` are the tokens that are scored, `NO_TARGET` elsewhere."""
    sides, width = ids.shape
    chosen, rejected = mask.sum(1).chunk(2)
    alike = torch.ones_like(ids[: sides // 2], dtype=torch.bool)
    for values in (ids, mask, labels):
        alike &= torch.eq(*values.chunk(2))
    alike &= mask[: sides // 2].bool()
    start = (alike.long().cumprod(1).sum(1) - 1).clamp(min=0)
    total = chosen + rejected - start

    place = torch.arange(int(total.max()), device=ids.device)[None]
    second = (place >= chosen[:, None]) & (place < total[:, None])
    columns = torch.where(second, place - chosen[:, None] + start[:, None], place)
    columns = torch.where(place < total[:, None], columns, chosen[:, None] - 1)
    rows = torch.arange(sides // 2, device=ids.device)[:, None] + second * (sides // 2)

    reader, seen = place[..., None], place[:, None]
    between = (seen >= start[:, None, None]) & (seen < chosen[:, None, None])
    sight = (seen <= reader) & ~(second[..., None] & between)
    sight = torch.where((place < total[:, None])[..., None], sight, seen == 0)

    before = torch.arange(width - 1, device=ids.device)[None]
    behind = torch.where(before < start[:, None], before, before - start[:, None] + chosen[:, None])
    following = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=NO_TARGET)
    return Joined(
        rows=rows,
        columns=columns,
        labels=following[rows, columns].masked_fill(place >= total[:, None], NO_TARGET),
        sight=sight[:, None],
        places=torch.cat([before.expand_as(behind), behind]).clamp(max=place.shape[1] - 1),
    )


class JoinedPass:
    """A model as TRL's DPO calls it, with pairs read as one row each."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(
        self, *, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor, **others: Any
    ) -> SimpleNamespace:
        """TRL's scores of each token of the sides (2 B, T - 1), 0 where none is scored."""
        inner = without_adapter(self.model)
        layout = joined(input_ids, attention_mask, labels)
        beside = along({name: values for name, values in others.items() if torch.is_tensor(values)})
        inputs = {"input_ids": input_ids, **beside}
        pictures = {
            name: values[: len(values) // 2] if torch.is_tensor(values) else values
            for name, values in others.items()
            if name not in beside
        }
        asked = {**others, **inputs, "attention_mask": attention_mask}
        positions = inner._prepare_position_ids_for_generation(input_ids, asked)
        positions = positions.expand(*positions.shape[:-2], *input_ids.shape)
        output = self.model(
            **{name: values[layout.rows, layout.columns] for name, values in inputs.items()},
            **pictures,
            position_ids=positions[..., layout.rows, layout.columns],
            attention_mask=_as_taken(layout.sight, inner),
            shift_labels=layout.labels,
        )
        scored = labels[:, 1:] != NO_TARGET
        both = {
            name: values.repeat(2, 1).gather(1, layout.places).masked_fill(~scored, 0)
            for name in SCORES
            if (values := getattr(output, name)) is not None
        }
        return SimpleNamespace(**{**dict.fromkeys(SCORES), **both})


def _as_taken(sight: torch.Tensor, model: Any) -> torch.Tensor:
    """What each token sees, as truth values for torch's kernel and as what is added to scores for any other."""
    if model.config.get_text_config()._attn_implementation == "sdpa":
        return sight
    hidden = torch.finfo(model.dtype).min
    return torch.zeros(sight.shape, dtype=model.dtype, device=sight.device).masked_fill(~sight, hidden)
