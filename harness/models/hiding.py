"""Pictures hidden from some layers of a language model: there no token of text attends to a token of a picture.

It is done where a layer is called, by its attention mask: the layers of transformers take one of (rows, 1, tokens,
keys) or none, which stands for a causal one. Layers without attention over tokens are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.errors import ModelError


@dataclass(slots=True)
class Sight:
    """What the pass that is made at this time reads: all tokens of its rows, and their mask (rows, tokens) each."""

    pictures: frozenset[int]
    ids: torch.Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.long))
    mask: torch.Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.long))

    def hide(self, layer: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A layer's arguments with the pictures hidden from text; a hook of `register_forward_pre_hook`."""
        states = arguments[0] if arguments else options["hidden_states"]
        tokens, length = states.shape[-2], self.ids.shape[1]
        mask = options.get("attention_mask")
        if mask is None:
            mask = torch.ones(tokens, length, dtype=torch.bool, device=states.device).tril(length - tokens)
            mask = (mask & self.mask.bool()[:, None])[:, None]
        if not torch.is_tensor(mask) or mask.ndim != 4:
            raise ModelError(
                "its layers take no mask of tokens and keys, so no picture is hidden from them; with flash attention "
                "take --attn-implementation sdpa"
            )
        shown = torch.isin(self.ids, torch.tensor(sorted(self.pictures), device=self.ids.device))
        hidden = (shown[:, None, :] & ~shown[:, -tokens:, None])[:, None, :, -mask.shape[-1] :].to(states.device)
        closed = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
        return arguments, {**options, "attention_mask": mask.masked_fill(hidden, closed)}


def layers_of(model: Any, name: str) -> Sequence[Any]:
    """The layers of a model's language model, in their order; raises `ModelError` where they are not to be seen."""
    layers = getattr(model.get_decoder(), "layers", None)
    if layers is None:
        raise ModelError(f"{name}: the layers of its language model are not known, so no picture is hidden from them")
    return list(layers)


@contextmanager
def hidden_from(layers: Sequence[Any], numbers: Collection[int], name: str, sight: Sight) -> Iterator[None]:
    """Within it, pictures are hidden from the layers of these numbers; raises `ModelError` for one that attends to no
    tokens."""
    for number in numbers:
        if not hasattr(layers[number], "self_attn"):
            raise ModelError(
                f"{name}: layer {number} of its language model ({type(layers[number]).__name__}) has no attention over "
                "tokens that a picture could be hidden from; choose other layers"
            )
    with ExitStack() as hooks:
        for number in numbers:
            hooks.enter_context(layers[number].register_forward_pre_hook(sight.hide, with_kwargs=True))
        yield
