"""Training of the embedded world's VLMs: first the tower on what fills each patch, then the whole on language."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from transformers import CLIPVisionModel, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from tasks.pictos.catalogue import CATEGORIES
from tasks.pictos.training.build import Size, vision_config
from tasks.pictos.training.data import Conversations, Looks, Packed, background
from tasks.pictos.training.patches import IGNORE, LABELS, Labelled, LabelledPictures
from tasks.pictos.world import SIDE

Report = Callable[[str, int, int, float], None]
"""(what, step, steps, running loss): called now and then."""

EDGES, NUMBERS = 4, 10
"""What a patch tells beside its label: the edges of what fills it, each one of SIDE pixels, and a number."""

EARLY, LATE = [LABELS, EDGES * SIDE, 1], [LABELS, EDGES * SIDE, NUMBERS]
"""What is read off the tower's patches: `COUNTING` layers before its end, and at its end."""

COUNTING = 2
"""Layers of the tower behind those that tell things apart: a thing is counted among those of its kind."""

BLUR = 1.0
"""Pixels by which an edge may be missed and be half right."""

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


def train_tower(
    size: Size, *, start: int, steps: int, batch: int, seed: int, device: str, report: Report
) -> CLIPVisionModel:
    """A vision tower whose patches know which object fills them, where its edges are, and how many there are of it."""
    torch.manual_seed(seed)
    tower = CLIPVisionModel(vision_config(size)).to(device)
    early, late = (
        nn.Sequential(nn.LayerNorm(size.vision_width), nn.Linear(size.vision_width, sum(sizes))).to(device)
        for sizes in (EARLY, LATE)
    )
    # position embeddings are a tenth as long as what becomes of a patch: they have a long way to go
    positions = [tower.embeddings.position_embedding.weight]
    parameters = [*tower.parameters(), *early.parameters(), *late.parameters()]
    rest = [parameter for parameter in parameters if parameter is not positions[0]]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "lr": 1.5e-3}, {"params": positions, "lr": 7.5e-3}], weight_decay=0.02, betas=(0.9, 0.98)
    )
    schedule = one_cycle(optimiser, steps)
    running = 0.0
    for step, labelled in enumerate(background(LabelledPictures(start, steps, batch))):
        layers = tower(pixel_values=labelled.pixels.to(device), output_hidden_states=True).hidden_states
        labels, edges, middle = early(layers[-1 - COUNTING][:, 1:]).split(EARLY, dim=-1)
        loss = patch_loss(labels, edges, labelled) + middle_loss(middle[..., 0], labelled)
        labels, edges, number = late(layers[-1][:, 1:]).split(LATE, dim=-1)
        loss = 0.5 * loss + patch_loss(labels, edges, labelled) + number_loss(number, labelled)
        running = _step(loss, parameters, optimiser, schedule, running)
        report("tower", step, steps, running)
    return tower


def patch_loss(labels: torch.Tensor, edges: torch.Tensor, truth: Labelled) -> torch.Tensor:
    """Cross-entropy of what fills patches and where its edges are: `labels` (B, P, LABELS), `edges` (B, P, 4 * SIDE).
    An edge that is missed by a pixel is nearly right: its target is a bell over the pixels."""
    filled = (truth.labels > 0).to(labels.device)
    wanted = truth.numbers.to(labels.device)[filled][:, :EDGES]
    edge = nn.functional.cross_entropy(edges[filled].view(-1, SIDE), bells(wanted).view(-1, SIDE))
    return nn.functional.cross_entropy(labels.flatten(0, 1), truth.labels.to(labels.device).flatten()) + 0.3 * edge


def number_loss(numbers: torch.Tensor, truth: Labelled) -> torch.Tensor:
    """Cross-entropy of how many there are: `numbers` (B, P, NUMBERS). Most things are alone of their kind: two alike
    count 2.8 times as much, three and the bars 5.2 times."""
    filled = (truth.labels > 0).to(numbers.device)
    wanted = truth.numbers.to(numbers.device)[filled][:, EDGES]
    missed = nn.functional.cross_entropy(numbers[filled], wanted, reduction="none")
    weights = wanted.clamp(max=3).float() ** 1.5
    return 0.5 * (missed * weights).sum() / weights.sum()


def middle_loss(middle: torch.Tensor, truth: Labelled) -> torch.Tensor:
    """Cross-entropy of whether the middle of what fills a patch lies in it: `middle` (B, P)."""
    return nn.functional.binary_cross_entropy_with_logits(middle, truth.middle.to(middle.device))


def bells(pixels: torch.Tensor) -> torch.Tensor:
    """(..., SIDE): the chances of each pixel where these (...) are right, a bell of `BLUR` pixels."""
    distance = torch.arange(SIDE, device=pixels.device) - pixels[..., None]
    return torch.softmax(-distance.square() / (2 * BLUR**2), dim=-1)


class _Form:
    """Words in one form: of categories and the hand, one by one or several, as the mean of their tokens, `names`
    (LABELS - 1, V); of the numbers, behind a space or not, their tokens, `numerals` (SIDE,)."""

    def __init__(self, words: PreTrainedTokenizerFast, device: str, *, plural: bool) -> None:
        names = [*(category.plural if plural else category.name for category in CATEGORIES), "hand"]
        self.names = torch.zeros(len(names), len(words), device=device)
        for row, name in enumerate(names):
            tokens = words(f" {name}").input_ids
            self.names[row, tokens] = 1 / len(tokens)
        space = "" if plural else " "
        self.numerals = torch.tensor([words(f"{space}{number}").input_ids[0] for number in range(SIDE)], device=device)


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
    """Teach the projector to write each patch in words, before any language is trained: what fills it, and numbers.

    A patch's projected feature is compared by cosine with the embeddings of the categories' words (the mean of two for
    a name of two), which are trained along, and with a vector of its own for nothing; its length is kept near theirs,
    so that neither drowns the other in the residual stream. Each edge and the number are read off it by a linear map of
    their own and compared with the embeddings of the numbers' words, as a head of attention could. What LLaVA's first
    stage does with captions (Liu et al. 2023), done with labels.
    """
    model.to(device).train()
    core = model.model
    table = core.get_input_embeddings().weight
    width = table.shape[1]
    nothing = nn.Parameter(torch.randn(width, device=device) * width**-0.5)
    forms = [_Form(words, device, plural=plural) for plural in (False, True)]
    maps = nn.Linear(width, (EDGES + 1) * width, bias=False).to(device)
    middle = nn.Linear(width, 1).to(device)
    rest = [table, nothing, *maps.parameters(), *middle.parameters(), *core.multi_modal_projector.parameters()]
    tower = list(core.vision_tower.parameters())
    optimiser = torch.optim.AdamW([{"params": rest, "lr": 2e-3}, {"params": tower, "lr": 3e-4}], weight_decay=0.01)
    schedule = one_cycle(optimiser, steps)
    running = 0.0
    for step, labelled in enumerate(background(LabelledPictures(start, steps, batch))):
        pixels = labelled.pixels.to(device)
        projected = core.multi_modal_projector(core.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:])
        seen = nn.functional.normalize(projected, dim=-1)
        facts = maps(seen).view(*seen.shape[:2], EDGES + 1, width)
        loss = torch.zeros((), device=device)
        for form in forms:
            meanings = nn.functional.normalize(torch.cat([nothing[None], form.names @ table]), dim=-1)
            told = SHARPNESS * facts @ table[form.numerals].T
            labels = SHARPNESS * seen @ meanings.T
            missed = patch_loss(labels, told[..., :EDGES, :].flatten(-2), labelled)
            loss = loss + (missed + number_loss(told[..., EDGES, :NUMBERS], labelled)) / len(forms)
        loss = loss + middle_loss(middle(seen)[..., 0], labelled)
        loss = loss + 0.1 * projected.norm(dim=-1).log().square().mean()
        running = _step(loss, [*rest, *tower], optimiser, schedule, running)
        report("align", step, steps, running)


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
    near = nearness(batches.words).to(device)
    running = 0.0
    for step, packed in enumerate(background(batches)):
        loss = packed_loss(model, packed, near, device)
        running = _step(loss, [*rest, *tower], optimiser, schedule, running)
        report(type(batches).__name__.lower(), step, batches.steps, running)
    return model.eval()


def nearness(words: PreTrainedTokenizerFast) -> torch.Tensor:
    """(V, V): what each token may be told as where nearly right is nearly as good: itself, and a number its bell."""
    near = torch.eye(len(words))
    for form in (" {}", "{}"):
        numerals = torch.tensor([words(form.format(number)).input_ids[0] for number in range(SIDE)])
        near[numerals[:, None], numerals] = bells(torch.arange(SIDE))
    return near


def packed_loss(model: LlavaForConditionalGeneration, packed: Packed, near: torch.Tensor, device: str) -> torch.Tensor:
    """Weighted cross-entropy of the answers' tokens; `near` is `nearness`."""
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
    wanted, blurred, logits = targets[spoken], packed.blur.to(device)[spoken], model.lm_head(states[spoken])
    losses = nn.functional.cross_entropy(logits, wanted, reduction="none")
    losses = losses.masked_scatter(
        blurred, nn.functional.cross_entropy(logits[blurred], near[wanted[blurred]], reduction="none")
    )
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
