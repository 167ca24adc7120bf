"""Training of the embedded world's VLMs: first the tower on what fills each patch, then the whole on language."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import nn
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.training.build import Size, vision_config
from tasks.pictos.training.data import IGNORE, Conversations, Labelled, Looks, Packed, background

Report = Callable[[str, int, int, float], None]
"""(what, step, steps, running loss): called now and then."""

SHARPNESS = 16.0
"""What cosines are multiplied by where patches are compared with words."""


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear warm-up over a fifth of the steps, a hundred at most, then a half cosine to a hundredth."""
    warm_up = min(100, steps // 5)

    def factor(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def train_tower(size: Size, *, steps: int, batch: int, seed: int, device: str, report: Report) -> CLIPVisionModel:
    """A vision tower that knows which object fills each patch."""
    torch.manual_seed(seed)
    tower = CLIPVisionModel(vision_config(size)).to(device)
    head = nn.Sequential(nn.LayerNorm(size.vision_width), nn.Linear(size.vision_width, 1 + len(CATEGORIES))).to(device)
    parameters = [*tower.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1.5e-3, weight_decay=0.02, betas=(0.9, 0.98))
    schedule = one_cycle(optimiser, steps)
    running = 0.0
    for step, (pixels, labels) in enumerate(background(Labelled(0, steps, batch))):
        states = tower(pixel_values=pixels.to(device)).last_hidden_state[:, 1:]
        loss = nn.functional.cross_entropy(head(states).flatten(0, 1), labels.to(device).flatten())
        running = _step(loss, parameters, optimiser, schedule, running)
        report("tower", step, steps, running)
    return tower


def align(
    model: LlavaForConditionalGeneration,
    words: PreTrainedTokenizerFast,
    *,
    start: int,
    steps: int,
    batch: int,
    device: str,
    report: Report,
) -> None:
    """Teach the projector to write each patch as the word of what fills it, before any language is trained.

    A patch's projected feature is compared by cosine with the embeddings of the categories' words (the mean of two for
    a name of two), which are trained along, and with a vector of its own for nothing; its length is kept near theirs,
    so that neither drowns the other in the residual stream. What LLaVA's first stage does with captions (Liu et al.
    2023), done with labels.
    """
    model.to(device).train()
    core = model.model
    table = core.get_input_embeddings().weight
    nothing = nn.Parameter(torch.randn(table.shape[1], device=device) * table.shape[1] ** -0.5)
    names = [words(f" {category.name}").input_ids for category in CATEGORIES]
    mix = torch.zeros(len(names), len(table), device=device)
    for row, tokens in enumerate(names):
        mix[row, tokens] = 1 / len(tokens)
    rest = [table, nothing, *core.multi_modal_projector.parameters()]
    tower = list(core.vision_tower.parameters())
    optimiser = torch.optim.AdamW([{"params": rest, "lr": 2e-3}, {"params": tower, "lr": 3e-4}], weight_decay=0.01)
    schedule = one_cycle(optimiser, steps)
    running = 0.0
    for step, (pixels, labels) in enumerate(background(Labelled(start, steps, batch))):
        seen = core.multi_modal_projector(core.vision_tower(pixel_values=pixels.to(device)).last_hidden_state[:, 1:])
        meanings = nn.functional.normalize(torch.cat([nothing[None], mix @ table]), dim=-1)
        alike = nn.functional.normalize(seen, dim=-1) @ meanings.T
        loss = nn.functional.cross_entropy(SHARPNESS * alike.flatten(0, 1), labels.to(device).flatten())
        loss = loss + 0.1 * seen.norm(dim=-1).log().square().mean()
        running = _step(loss, [*rest, *tower], optimiser, schedule, running)
        report("align", step, steps, running)


def teach_places(
    model: LlavaForConditionalGeneration, *, start: int, steps: int, batch: int, device: str, report: Report
) -> None:
    """Teach the projected patches where they are, and let them say what fills them as before.

    A tower that was trained to label patches drops the position (a linear probe explains none of it), and attention in
    the text model carries none either: its rotary embedding turns queries and keys, not the values it fetches. Row and
    column are read off each projected patch by linear heads; a frozen copy of the patches holds the rest in place.
    """
    model.to(device).train()
    core = model.model
    before = [copy.deepcopy(module).requires_grad_(False) for module in (core.vision_tower, core.multi_modal_projector)]
    side = core.config.vision_config.image_size // core.config.vision_config.patch_size
    heads = nn.Linear(core.config.text_config.hidden_size, 2 * side).to(device)
    row, column = (axis.flatten().to(device) for axis in torch.meshgrid(*2 * [torch.arange(side)], indexing="ij"))
    # the tower's position embeddings are a tenth as long as what it makes of a patch: they have a long way to go
    slow = dict([*core.multi_modal_projector.named_parameters(), *core.vision_tower.named_parameters()])
    fast = [slow.pop(name) for name in list(slow) if "position_embedding" in name] + [*heads.parameters()]
    optimiser = torch.optim.AdamW(
        [{"params": [*slow.values()], "lr": 1e-3}, {"params": fast, "lr": 2e-2}], weight_decay=0.01
    )
    schedule = one_cycle(optimiser, steps)
    running = 0.0
    for step, (pixels, _) in enumerate(background(Labelled(start, steps, batch))):
        pictures = pixels.to(device)
        seen, frozen = (
            projector(tower(pixel_values=pictures).last_hidden_state[:, 1:])
            for tower, projector in ((core.vision_tower, core.multi_modal_projector), before)
        )
        rows, columns = heads(nn.functional.normalize(seen, dim=-1) * SHARPNESS).split(side, dim=-1)
        lost = [
            nn.functional.cross_entropy(scores.flatten(0, 1), where.repeat(len(seen)))
            for scores, where in ((rows, row), (columns, column))
        ]
        moved = (seen - frozen).square().sum(-1).mean() / frozen.square().sum(-1).mean()
        running = _step(sum(lost) + 3 * moved, [*slow.values(), *fast], optimiser, schedule, running)
        report("place", step, steps, running)


def train_vlm(
    model: LlavaForConditionalGeneration,
    batches: Looks | Conversations,
    *,
    rate: float,
    device: str,
    report: Report,
) -> LlavaForConditionalGeneration:
    """The whole model on packed batches; the tower at a third of the rate, since it comes trained."""
    model.to(device).train()
    tower = list(model.model.vision_tower.parameters())
    tower_ids = {id(parameter) for parameter in tower}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in tower_ids]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "lr": rate}, {"params": tower, "lr": rate / 3}], weight_decay=0.02, betas=(0.9, 0.98)
    )
    schedule = one_cycle(optimiser, batches.steps)
    running = 0.0
    for step, packed in enumerate(background(batches)):
        loss = packed_loss(model, packed, device)
        running = _step(loss, [*rest, *tower], optimiser, schedule, running)
        report(type(batches).__name__.lower(), step, batches.steps, running)
    return model.eval()


def packed_loss(model: LlavaForConditionalGeneration, packed: Packed, device: str) -> torch.Tensor:
    """Weighted cross-entropy of the answers' tokens."""
    core = model.model
    pixels, ids, targets = packed.pixels.to(device), packed.ids.to(device), packed.targets.to(device)
    picture = core.multi_modal_projector(core.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:])
    embedded = core.get_input_embeddings()(ids)
    places = (ids == model.config.image_token_index)[..., None].expand_as(embedded)
    embedded = embedded.masked_scatter(places, picture)
    states = core.language_model(
        inputs_embeds=embedded, attention_mask=packed.mask.to(device), position_ids=packed.positions.to(device)
    ).last_hidden_state
    spoken = targets != IGNORE
    losses = nn.functional.cross_entropy(model.lm_head(states[spoken]), targets[spoken], reduction="none")
    weights = packed.weights.to(device)[spoken]
    return (losses * weights).sum() / weights.sum()


def _step(
    loss: torch.Tensor,
    parameters: list[nn.Parameter],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    running: float,
) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    schedule.step()
    value = float(loss.detach())
    return value if not running else 0.98 * running + 0.02 * value
